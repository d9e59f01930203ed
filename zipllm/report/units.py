"""Bytes and tokens -> whole characters, and signs for characters that cannot be seen.

A token may end inside a character, so tokens are joined to *units* that end where a character ends. Each byte outside
of valid UTF-8 counts as a character.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SIGNS = {"\n": "↵", "\r": "\\r", "\t": "→"}
_SEEN = {"\u3000"}
"""The ideographic space: not printable to Python, but as visible as a space."""


class Unit(NamedTuple):
    """Whole characters and their tokens.

    Attributes:
        first: index of the first token.
        tokens: number of tokens.
        begin: offset of the first byte.
        end: offset after the last byte.
        text: the characters; bytes outside of valid UTF-8 are lone surrogates (PEP 383).
    """

    first: int
    tokens: int
    begin: int
    end: int
    text: str


def units(raw: bytes, lengths: Sequence[int]) -> Iterator[Unit]:
    """Yield the units of some bytes.

    Args:
        raw: all bytes.
        lengths: bytes of each token; they sum to ``len(raw)``.
    """
    ends = _character_ends(raw)
    first = begin = end = 0
    for number, length in enumerate(lengths, 1):
        end += length
        if ends[end]:
            text = raw[begin:end].decode("utf-8", "surrogateescape")
            yield Unit(first, number - first, begin, end, text)
            first, begin = number, end


def _character_ends(raw: bytes) -> bytearray:
    """Return 1 for every offset at which a character ends."""
    ends, at = bytearray(len(raw) + 1), 0
    for character in raw.decode("utf-8", "surrogateescape"):
        at += 1 if "\udc80" <= character <= "\udcff" else len(character.encode())
        ends[at] = 1
    return ends


def sign(character: str) -> str:
    """Return a character itself if it can be seen, else ``↵``, ``→``, or its number."""
    if character.isprintable() or character in _SEEN:
        return character
    code = ord(character)
    if character in _SIGNS:
        return _SIGNS[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 128 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(token: bytes) -> str:
    """Return a token as one line of text."""
    return "".join(map(sign, token.decode("utf-8", "surrogateescape")))
