"""SentencePiece's byte-pair encoding with byte fallback (Kudo and Richardson 2018), as Llama 2 and Mistral have it.

Merges join characters, blanks included, and a character that is no token becomes the tokens of its UTF-8 bytes.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as _Library

from zipllm.tokenizer.merges import SINGLE_BYTES, by_rank, created_tokens, pack, unpack, unpack_pairs
from zipllm.tokenizer.text import TextTokenizer
from zipllm.tokenizer.token_bytes import is_byte_fallback

_FIELDS = {"type", "characters", "merges", "ranks"}
_MOST_CHARACTERS_BYTES = 1 << 20
_ASCII = 128


class PiecesTokenizer(TextTokenizer):
    """Merges of characters, with a token for every single byte.

    Args:
        merges: pairs of ids in creation order, see `zipllm.tokenizer.merges`: ids 0 to 255 are the single bytes, of
            which merges may name those of ASCII, then come ``characters``.
        characters: ascending characters past ASCII that are tokens.
        ranks: place of each merge in the order in which they apply; empty if that is the order given.

    Raises:
        ValueError: impossible characters, merges or ranks.
    """

    name: ClassVar[str] = "pieces"
    cut = re.compile(b"(?<=[!-~])(?= )")

    def __init__(self, merges: Iterable[tuple[int, int]], characters: str, *, ranks: Sequence[int] = ()) -> None:
        self._merges = [(int(left), int(right)) for left, right in merges]
        self._ranks = list(ranks)
        self._characters = characters
        _check_characters(characters)
        first = [*SINGLE_BYTES, *(character.encode() for character in characters)]
        if any(_ASCII <= part < 256 for pair in self._merges for part in pair):
            raise ValueError("a merge names a byte that is not a character")
        created = created_tokens(self._merges, first)
        super().__init__(created, self._library_of(created))

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.name,
            "characters": base64.b64encode(self._characters.encode()).decode("ascii"),
            "merges": pack(self._merges),
            "ranks": pack(self._ranks),
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "PiecesTokenizer":
        """Raises ``ValueError`` for missing, unknown or impossible fields."""
        if set(description) != _FIELDS:
            raise ValueError(f"pieces tokenizer needs exactly the fields {', '.join(sorted(_FIELDS))}")
        merges, ranks = unpack_pairs(description["merges"]), unpack(description["ranks"], "ranks")
        return cls(merges, _unpack_characters(description["characters"]), ranks=ranks)

    def _library_of(self, created: list[bytes]) -> Any:
        text = [*(chr(byte) if byte < _ASCII else f"<0x{byte:02X}>" for byte in range(256))]
        text += [token.decode() for token in created[256:]]
        if any(is_byte_fallback(token) for token in text[256:]):
            raise ValueError("a token is written like a byte")
        vocabulary = {token: index for index, token in enumerate(text)}
        vocabulary |= {f"<0x{byte:02X}>": byte for byte in range(_ASCII)}
        merges = [(text[left], text[right]) for left, right in by_rank(self._merges, self._ranks)]
        library = _Library(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True))
        if not any(_has_inner_blank(token) for token in text[256:]):
            library.pre_tokenizer = pre_tokenizers.Split(Regex(" *[^ ]+| +"), behavior="isolated")  # words are faster
        return library


def _check_characters(characters: str) -> None:
    if any(ord(character) < _ASCII for character in characters):
        raise ValueError("characters of ASCII are not listed")
    if any(left >= right for left, right in pairwise(characters)):
        raise ValueError("characters are not strictly ascending")


def _unpack_characters(encoded: object) -> str:
    if not isinstance(encoded, str) or len(encoded) > _MOST_CHARACTERS_BYTES:
        raise ValueError("characters are not a base64 string of at most a mebibyte")
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ValueError("characters are not base64 of UTF-8") from error


def _has_inner_blank(text: str) -> bool:
    """Whether a blank follows something else, so that a token may reach from word to word."""
    return " " in text.lstrip(" ")
