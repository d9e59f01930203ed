"""Counts the characters and words of bytes that may be text, chunk by chunk.

Each byte outside of valid UTF-8 counts as one character and belongs to the word around it, so both counts exist for
every input, and are the usual ones for text.
"""

import codecs
import re
from dataclasses import dataclass

_INVALID = re.compile("[\udc80-\udcff]")
"""The ``surrogateescape`` handler's characters for bytes that do not decode (PEP 383)."""

_PIECE = 1 << 20
"""Bytes to decode at once; memory holds the words of one piece."""


@dataclass(frozen=True)
class TextCounts:
    """Characters, words as in ``len(text.split())``, and whether all bytes are valid UTF-8."""

    characters: int
    words: int
    valid_utf8: bool


class TextCounter:
    """Counts bytes in chunks of any size; characters and words may span chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._characters = self._words = 0
        self._inside = False  # a word
        self._valid = True

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        for begin in range(0, len(data), _PIECE):
            self._count(self._decoder.decode(data[begin : begin + _PIECE]))

    def finish(self) -> TextCounts:
        """Return the counts; no more bytes may follow."""
        self._count(self._decoder.decode(b"", final=True))
        return TextCounts(self._characters, self._words, self._valid)

    def _count(self, text: str) -> None:
        if text:
            self._characters += len(text)
            self._words += len(text.split()) - (self._inside and not text[0].isspace())
            self._inside = not text[-1].isspace()
            self._valid = self._valid and _INVALID.search(text) is None
