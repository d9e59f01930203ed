"""Layouts from file headers: WAV, AIFF, PGM and PPM, BMP, TIFF.

A header is believed as far as its data reach: a layout only chooses contexts, so a false one costs bytes in the archive
and nothing else. What is cut off, damaged, compressed or unusual gives a clipped layout or none, never an error.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import replace

from zipllm.container.samples import BIG_ENDIAN, PICTURE, SOUND, UNSIGNED, Layout
from zipllm.media.tiff import tiff_layout

_MOST_CHUNKS = 64
"""Chunks of a file of sound that are looked at: real files have a handful."""
_PCM, _EXTENSIBLE = 1, 0xFFFE
_AIFC_FORMS = {b"NONE": BIG_ENDIAN, b"twos": BIG_ENDIAN, b"sowt": 0}
_SPACE = rb"(?:\s|#[^\n]*\n)+"
_PORTABLE = re.compile(rb"P([56])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"255\s")
_PORTABLE_HEADER = 1024


def find_layout(raw: bytes) -> Layout | None:
    """Return the layout that the header of a file states, or None; only the file's beginning may be there."""
    for begins, parser in _PARSERS:
        if raw.startswith(begins):
            try:
                layout = parser(raw)
            except struct.error:  # the header itself is cut off
                return None
            return _clipped(layout, len(raw)) if layout else None
    return None


def _clipped(layout: Layout, size: int) -> Layout | None:
    """Return a layout with as many whole rows or frames as there are; None if there are none, or it is impossible."""
    if layout.row <= 0 or layout.begin < 0:
        return None
    rows = min(layout.length, size - layout.begin) // layout.row
    layout = replace(layout, length=rows * layout.row)
    return layout if rows > 0 and layout.fits(size) else None


def _chunks(raw: bytes, order: str) -> dict[bytes, tuple[int, int]]:
    """Return begin and size of the first chunk of each name in a RIFF or AIFF file."""
    found: dict[bytes, tuple[int, int]] = {}
    place = 12
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(raw):
            break
        size: int = struct.unpack_from(order + "I", raw, place + 4)[0]
        found.setdefault(raw[place : place + 4], (place + 8, size))
        place += 8 + size + size % 2
    return found


def _sound(begin: int, length: int, channels: int, bits: int, form: int) -> Layout | None:
    if channels not in (1, 2) or bits not in (8, 16, 24):
        return None
    return Layout(SOUND, begin, length, channels * bits // 8, bits // 8, form)


def _wav(raw: bytes) -> Layout | None:
    chunks = _chunks(raw, "<")
    if raw[8:12] != b"WAVE" or b"fmt " not in chunks or b"data" not in chunks:
        return None
    begin, size = chunks[b"fmt "]
    kind, channels, _, _, align, bits = struct.unpack_from("<HHIIHH", raw, begin)
    if kind == _EXTENSIBLE and size >= 26:
        kind = struct.unpack_from("<H", raw, begin + 24)[0]
    if kind != _PCM or align * 8 != channels * bits:
        return None
    return _sound(*chunks[b"data"], channels, bits, UNSIGNED if bits == 8 else 0)


def _aiff(raw: bytes) -> Layout | None:
    chunks = _chunks(raw, ">")
    if raw[8:12] not in (b"AIFF", b"AIFC") or b"COMM" not in chunks or b"SSND" not in chunks:
        return None
    begin, _ = chunks[b"COMM"]
    channels, _, bits = struct.unpack_from(">HIH", raw, begin)
    coding = raw[begin + 18 : begin + 22] if raw[8:12] == b"AIFC" else b"NONE"
    if coding not in _AIFC_FORMS:
        return None
    begin, size = chunks[b"SSND"]
    skipped = 8 + struct.unpack_from(">I", raw, begin)[0]
    return _sound(begin + skipped, size - skipped, channels, bits, 0 if bits == 8 else _AIFC_FORMS[coding])


def _portable(raw: bytes) -> Layout | None:
    """Parse PGM and PPM."""
    header = _PORTABLE.match(raw[:_PORTABLE_HEADER])
    if header is None:
        return None
    pixel, wide, high = (1 if header[1] == b"5" else 3), int(header[2]), int(header[3])
    return Layout(PICTURE, header.end(), wide * pixel * high, wide * pixel, pixel)


def _bmp(raw: bytes) -> Layout | None:
    begin, _, wide, high, _, bits, compression = struct.unpack_from("<IIiiHHI", raw, 10)
    if bits not in (8, 24, 32) or wide <= 0 or compression not in ((0, 3) if bits == 32 else (0,)):
        return None
    row = (wide * bits // 8 + 3) & ~3
    return Layout(PICTURE, begin, row * abs(high), row, bits // 8)


_PARSERS: tuple[tuple[bytes, Callable[[bytes], Layout | None]], ...] = (
    (b"RIFF", _wav),
    (b"FORM", _aiff),
    (b"P5", _portable),
    (b"P6", _portable),
    (b"BM", _bmp),
    (b"II*\0", tiff_layout),
    (b"MM\0*", tiff_layout),
)
