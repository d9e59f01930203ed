"""Byte-level byte-pair encoding of open models (Radford et al. 2019): words split by a pattern over Unicode text.

`zipllm.tokenizer.bpe` splits bytes instead, and belongs to models that zipllm trains.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from tokenizers import Tokenizer as _Library
from tokenizers import models

from zipllm.tokenizer.merges import by_rank, created_tokens, pack, unpack, unpack_pairs
from zipllm.tokenizer.patterns import PATTERNS, splitter
from zipllm.tokenizer.text import TextTokenizer
from zipllm.tokenizer.token_bytes import letters_of

_FIELDS = {"type", "pattern", "whole_words", "merges", "ranks"}


class ByteLevelTokenizer(TextTokenizer):
    """Merges of bytes within words; a vocabulary sorted by byte string.

    Args:
        merges: pairs of ids in creation order, see `zipllm.tokenizer.merges`; ids 0 to 255 are the single bytes.
        pattern: name of how words are split, a key of ``PATTERNS``.
        ranks: place of each merge in the order in which they apply; empty if that is the order given.
        whole_words: whether a word that is a token stays whole, whatever merges would make of it (Llama 3).

    Raises:
        ValueError: unknown pattern, impossible merges or ranks.
    """

    name: ClassVar[str] = "byte-level"

    def __init__(
        self,
        merges: Iterable[tuple[int, int]],
        pattern: str,
        *,
        ranks: Sequence[int] = (),
        whole_words: bool = False,
    ) -> None:
        if pattern not in PATTERNS:
            raise ValueError(f"unknown pattern {pattern!r} (known: {', '.join(PATTERNS)})")
        self._merges = [(int(left), int(right)) for left, right in merges]
        self._ranks = list(ranks)
        self._pattern, self._whole_words = pattern, whole_words
        created = created_tokens(self._merges)
        super().__init__(created, self._library_of(created))

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.name,
            "pattern": self._pattern,
            "whole_words": self._whole_words,
            "merges": pack(self._merges),
            "ranks": pack(self._ranks),
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "ByteLevelTokenizer":
        """Raises ``ValueError`` for missing, unknown or impossible fields."""
        if set(description) != _FIELDS:
            raise ValueError(f"byte-level tokenizer needs exactly the fields {', '.join(sorted(_FIELDS))}")
        if not isinstance(description["pattern"], str) or not isinstance(description["whole_words"], bool):
            raise ValueError("pattern is not a text, or whole_words not true or false")
        return cls(
            unpack_pairs(description["merges"]),
            description["pattern"],
            ranks=unpack(description["ranks"], "ranks"),
            whole_words=description["whole_words"],
        )

    def _library_of(self, created: list[bytes]) -> Any:
        text = [letters_of(token) for token in created]
        merges = [(text[left], text[right]) for left, right in by_rank(self._merges, self._ranks)]
        vocabulary = {token: index for index, token in enumerate(text)}
        library = _Library(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=self._whole_words))
        library.pre_tokenizer = splitter(self._pattern)
        return library
