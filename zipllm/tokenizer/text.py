"""Tokenizers of text made lossless for all bytes: what is valid UTF-8 goes to the library, the rest byte by byte."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.tokenizer.base import check_vocabulary
from zipllm.tokenizer.library import LibraryTokenizer

CHUNK = 1 << 16
"""Bytes handed to the library at a time."""
_BATCH_BYTES = 64 * CHUNK
_BATCH_PARTS = 1 << 14

_NO_TEXT = re.compile("([\udc80-\udcff]+)")
"""Bytes that do not decode, as the ``surrogateescape`` handler shows them (PEP 383)."""


class TextTokenizer(LibraryTokenizer):
    """See the module.

    Args:
        created: byte strings of the library's ids; the first 256 are the single bytes.
        library: finds tokens in text, and joined they are its UTF-8.

    Raises:
        ValueError: the vocabulary does not keep the promise of `zipllm.tokenizer.base`.
    """

    cut = re.compile(
        rb"(?<=[!-~])(?= )|(?<=[A-Za-z])(?=\n)|(?<=[\xe4-\xe9][\x80-\xbf]{2})(?=\xef\xbc\x8c|\xe3\x80\x82)"
    )
    """Where no word of any pattern reaches across: before a blank, a new line, and a Chinese comma or stop."""

    def __init__(self, created: Sequence[bytes], library: Any) -> None:
        self.vocabulary = tuple(sorted(created))
        check_vocabulary(self.vocabulary)
        rank = {token: index for index, token in enumerate(self.vocabulary)}
        self._sorted_id = np.array([rank[token] for token in created], dtype=np.int32)
        self._library = library

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        cut = [[part for chunk in text_chunks(piece, self.cut) for part in _parts(chunk)] for piece in pieces]
        ids = self._ids([part for parts in cut for part in parts])
        joined = [np.concatenate([np.zeros(0, dtype=np.int32), *islice(ids, len(parts))]) for parts in cut]
        return [self._sorted_id[piece] for piece in joined]

    def _ids(self, parts: Sequence[str | bytes]) -> Iterator[NDArray[np.int32]]:
        """Yield the library's ids of each part."""
        for batch in _batches(parts):
            encodings = iter(self._encodings([part for part in batch if isinstance(part, str)]))
            for part in batch:
                if isinstance(part, str):
                    yield np.array(next(encodings).ids, dtype=np.int32)
                else:
                    yield np.frombuffer(part, dtype=np.uint8).astype(np.int32)


def text_chunks(data: bytes, cut: re.Pattern[bytes]) -> Iterator[bytes]:
    """Cut ``data`` into pieces of at most ``CHUNK`` bytes, where ``cut`` matches if it does in the second half."""
    start = 0
    while len(data) - start > CHUNK:
        end = start + CHUNK
        found = _last_cut(cut, data, end - CHUNK // 16, end) or _last_cut(cut, data, start + CHUNK // 2, end)
        end = found or _character_end(data, end)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


def _last_cut(cut: re.Pattern[bytes], data: bytes, begin: int, end: int) -> int:
    """Return the last place to cut, 0 if there is none."""
    last = 0
    for found in cut.finditer(data, begin, end):
        last = found.start()
    return last


def _character_end(data: bytes, end: int) -> int:
    """Return the last place, up to 3 bytes before ``end``, that is not inside of a UTF-8 character; else ``end``."""
    return next((place for place in range(end, end - 4, -1) if data[place] & 0xC0 != 0x80), end)


def _parts(chunk: bytes) -> Iterator[str | bytes]:
    """Yield what is text, as text, and what is not, as bytes."""
    for part in filter(None, _NO_TEXT.split(chunk.decode("utf-8", "surrogateescape"))):
        yield part.encode("utf-8", "surrogateescape") if _NO_TEXT.match(part) else part


def _batches(parts: Sequence[str | bytes]) -> Iterator[Sequence[str | bytes]]:
    begin = size = 0
    for index, part in enumerate(parts):
        if size + len(part) > _BATCH_BYTES or index - begin >= _BATCH_PARTS:
            yield parts[begin:index]
            begin, size = index, 0
        size += len(part)
    yield parts[begin:]
