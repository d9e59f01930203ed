"""Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019) over raw bytes.

The ``tokenizers`` library learns and applies the merges. It works on text, so bytes are handed to it
as Latin-1, one character per byte; nothing is normalized, and no byte string is out of reach. Words
are split off first by a pattern over *bytes* that knows UTF-8 by its lead bytes: letters of two-byte
scripts stay with ASCII letters, runs of Chinese characters stay together, everything that is not
valid UTF-8 falls through to the last alternative.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as _Library

from zipllm.tokenizer.base import check_vocabulary
from zipllm.tokenizer.library import LibraryTokenizer
from zipllm.tokenizer.merges import created_tokens, unpack_pairs

DEFAULT_VOCABULARY_SIZE = 8192
_MOST_TOKENS = 65_536
PATTERN_NAME = "utf8-words-1"
"""Stored in the model file instead of the pattern itself: a file must not bring its own regex."""

_CONTINUATION = "[\x80-\xbf]"
_SPACE = r"[ \t\n\r\f\v]"
_PATTERN = "|".join(
    (
        f" ?(?:[A-Za-z]|[\xc2-\xdf]{_CONTINUATION})+",  # words of one- and two-byte scripts
        "[0-9]{1,3}",
        f"(?:[\xe4-\xe9]{_CONTINUATION}{{2}})+",  # Chinese characters
        f"(?:\xe3[\x81-\x83]{_CONTINUATION})+",  # kana
        f"(?:[\xea-\xed]{_CONTINUATION}{{2}})+",  # hangul
        f"[\xe0-\xef]{_CONTINUATION}{{2}}",  # other three-byte characters: punctuation, full-width forms
        r" ?[!-/:-@\[-`{-~]+[\r\n]*",  # ASCII punctuation
        f"{_SPACE}*[\r\n]+",
        rf"{_SPACE}+(?![^ \t\n\r\f\v])",  # all but the last blank before a word
        f"{_SPACE}+",
        "[\x80-\xff]+",  # four-byte characters, or not UTF-8
        "[\x00-\xff]",  # control bytes
    )
)

_CHUNK = 1 << 16
"""Bytes handed to the library at a time; cut after a newline or a space so that words stay whole."""


_BATCH = 64
"""Chunks handed over together."""


class BpeTokenizer(LibraryTokenizer):
    """Byte-pair encoding with a vocabulary sorted by byte string.

    Args:
        merges: pairs of ids in creation order, where ids 0 to 255 are the single bytes and each merge
            that makes a new byte string adds the next id.

    Raises:
        ValueError: a merge names an id that does not exist yet, or makes a token that is too long.
    """

    name: ClassVar[str] = "bpe"

    def __init__(self, merges: Iterable[tuple[int, int]]) -> None:
        self._merges = tuple((int(left), int(right)) for left, right in merges)
        created = created_tokens(self._merges, most=_MOST_TOKENS)
        self.vocabulary = tuple(sorted(created))
        check_vocabulary(self.vocabulary)
        rank = {token: index for index, token in enumerate(self.vocabulary)}
        self._sorted_id = np.array([rank[token] for token in created], dtype=np.int32)
        self._library = _library_tokenizer(created, self._merges)

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        cut = [list(chunks(piece)) for piece in pieces]
        ids = self._ids([chunk for chunks in cut for chunk in chunks])
        joined = [np.concatenate([np.zeros(0, dtype=np.int32), *islice(ids, len(chunks))]) for chunks in cut]
        return [self._sorted_id[piece] for piece in joined]

    def _ids(self, chunks: Sequence[bytes]) -> Iterator[NDArray[np.int32]]:
        """Yield the ids of each chunk in creation order."""
        for begin in range(0, len(chunks), _BATCH):
            texts = [chunk.decode("latin-1") for chunk in chunks[begin : begin + _BATCH]]
            for encoding in self._encodings(texts):
                yield np.array(encoding.ids, dtype=np.int32)

    def to_dict(self) -> dict[str, Any]:
        merges = np.array(self._merges, dtype="<u2").reshape(-1, 2)
        return {
            "type": self.name,
            "pattern": PATTERN_NAME,
            "merges": base64.b64encode(merges.tobytes()).decode("ascii"),
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "BpeTokenizer":
        """Raises ``ValueError`` for missing, unknown or impossible fields."""
        if set(description) != {"type", "pattern", "merges"}:
            raise ValueError("bpe tokenizer needs exactly the fields type, pattern and merges")
        if description["pattern"] != PATTERN_NAME:
            raise ValueError(f"unknown bpe pattern {description['pattern']!r} (known: {PATTERN_NAME})")
        return cls(unpack_pairs(description["merges"], width=2))


def train_bpe(documents: Iterable[bytes], vocabulary_size: int = DEFAULT_VOCABULARY_SIZE) -> BpeTokenizer:
    """Learn a vocabulary from ``documents``.

    Args:
        documents: training bytes; read once, in order.
        vocabulary_size: tokens wanted, 256 to 65536. Fewer result when the data has too few pairs.

    Raises:
        ValueError: ``vocabulary_size`` is out of range.
    """
    if not 256 <= vocabulary_size <= 65_536:
        raise ValueError(f"vocabulary_size must be 256 to 65536, not {vocabulary_size}")
    library = _Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=[chr(value) for value in range(256)],
        max_token_length=32,
        show_progress=False,
    )
    texts = (chunk.decode("latin-1") for document in documents for chunk in chunks(document))
    library.train_from_iterator(texts, trainer)
    return BpeTokenizer(_merges_of(library))


def _library_tokenizer(created: list[bytes], merges: tuple[tuple[int, int], ...]) -> _Library:
    text = [token.decode("latin-1") for token in created]
    vocabulary = {token: index for index, token in enumerate(text)}
    library = _Library(models.BPE(vocab=vocabulary, merges=[(text[a], text[b]) for a, b in merges]))
    library.pre_tokenizer = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated")
    return library


def _merges_of(library: _Library) -> list[tuple[int, int]]:
    """Read the learned merges back as pairs of creation-order ids."""
    import json

    pairs = json.loads(library.to_str())["model"]["merges"]
    known = {chr(value): value for value in range(256)}
    merges = []
    for left, right in pairs:
        merges.append((known[left], known[right]))
        known.setdefault(left + right, len(known))
    return merges


def chunks(data: bytes) -> Iterator[bytes]:
    """Cut ``data`` into pieces of about ``_CHUNK`` bytes, after a newline or before a space if there is one."""
    start = 0
    while start < len(data):
        end = min(start + _CHUNK, len(data))
        if end < len(data):
            cut = data.rfind(b"\n", start + _CHUNK // 2, end) + 1 or data.rfind(b" ", start + _CHUNK // 2, end)
            end = cut if cut > start else end
        yield data[start:end]
        start = end
