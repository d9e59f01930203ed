"""Headers of sound and pictures: what they state, and what becomes of damaged and hostile ones."""

import io
import struct
import wave
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.container.samples import BIG_ENDIAN, PICTURE, SOUND, UNSIGNED, Layout
from zipllm.media.headers import find_layout

DATA = bytes(range(240))


def wav(channels: int, sample: int, data: bytes = DATA) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(sample)
        writer.setframerate(8000)
        writer.writeframes(data)
    return file.getvalue()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def aiff(channels: int, bits: int, kind: bytes = b"AIFF", coding: bytes = b"", offset: int = 0) -> bytes:
    common = struct.pack(">HIH", channels, 1, bits) + bytes(10) + coding
    sound = struct.pack(">II", offset, 0) + bytes(offset) + DATA
    chunks = [(b"COMM", common), (b"ABCD", b"odd"), (b"SSND", sound)]
    body = b"".join(name + struct.pack(">I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"FORM" + struct.pack(">I", len(body) + 4) + kind + body


def bmp(width: int, height: int, bits: int, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + header + DATA


def tiff(order: str, fields: dict[int, tuple[int, ...]], pad: int = 0) -> bytes:
    begin = 8 + pad
    directory, more = b"", b""
    for name, values in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place = begin + 2 + 12 * len(fields) + len(more)
            more += packed
            packed = struct.pack(order + "I", place)
        directory += struct.pack(order + "HHI", name, 4, len(values)) + packed
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 42)
    head = mark + struct.pack(order + "I", begin) + bytes(pad)
    return head + struct.pack(order + "H", len(fields)) + directory + more + DATA


def picture_fields(strips: tuple[int, ...], **changed: int) -> dict[int, tuple[int, ...]]:
    fields: dict[int, tuple[int, ...]] = {256: (10,), 257: (8,), 258: (8, 8, 8), 259: (1,), 262: (2,), 273: strips}
    fields |= {277: (3,), 278: (8 // len(strips),), 284: (1,)}
    return fields | {int(name[1:]): (value,) for name, value in changed.items()}


def tiff_of(order: str, strips: int, **changed: int) -> bytes:
    """A TIFF file with its data at the end."""
    draft = tiff(order, picture_fields(tuple(range(strips)), **changed))
    begin = len(draft) - len(DATA)
    return tiff(order, picture_fields(tuple(begin + 240 // strips * strip for strip in range(strips)), **changed))


FILES = {
    "wav": (wav(1, 2), Layout(SOUND, 44, 240, 2, 2)),
    "wav, 8 bits": (wav(2, 1), Layout(SOUND, 44, 240, 2, 1, UNSIGNED)),
    "wav, 24 bits": (wav(2, 3), Layout(SOUND, 44, 240, 6, 3)),
    "wav, extensible": (
        riff(
            (b"LIST", b"abc"),
            (b"fmt ", struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 0) + b"\1" + bytes(15)),
            (b"data", DATA),
        ),
        Layout(SOUND, 80, 240, 2, 2),
    ),
    "aiff": (aiff(2, 16), Layout(SOUND, 66, 240, 4, 2, BIG_ENDIAN)),
    "aiff, 8 bits": (aiff(1, 8), Layout(SOUND, 66, 240, 1, 1)),
    "aiff, offset": (aiff(1, 24, offset=6), Layout(SOUND, 72, 240, 3, 3, BIG_ENDIAN)),
    "aifc": (aiff(1, 16, b"AIFC", b"sowt\0\0"), Layout(SOUND, 72, 240, 2, 2)),
    "aifc, twos": (aiff(1, 16, b"AIFC", b"twos\0\0"), Layout(SOUND, 72, 240, 2, 2, BIG_ENDIAN)),
    "pgm": (b"P5 24 10 255\n" + DATA, Layout(PICTURE, 13, 240, 24, 1)),
    "ppm": (b"P6\n# by hand\n8 # wide\n10\n255\n" + DATA, Layout(PICTURE, 29, 240, 24, 3)),
    "bmp": (bmp(7, -10, 24), Layout(PICTURE, 54, 240, 24, 3)),
    "bmp, 8 bits": (bmp(22, 10, 8), Layout(PICTURE, 54, 240, 24, 1)),
    "bmp, 32 bits": (bmp(6, 10, 32, 3), Layout(PICTURE, 54, 240, 24, 4)),
    "tiff": (tiff_of("<", 1), Layout(PICTURE, 130, 240, 30, 3)),
    "tiff, strips": (tiff_of(">", 4), Layout(PICTURE, 146, 240, 30, 3)),
}


@pytest.mark.parametrize("name", FILES)
def test_layouts(name: str) -> None:
    raw, layout = FILES[name]
    assert raw[layout.begin : layout.begin + 240] == DATA
    assert find_layout(raw) == layout
    assert find_layout(raw + b"tail") == layout


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        wav(3, 2),
        wav(1, 4),
        wav(1, 2).replace(b"\x10\0\0\0\1\0", b"\x10\0\0\0\3\0"),
        aiff(1, 16, b"AIFC", b"ima4\0\0"),
        aiff(1, 12),
        b"P5 24 10 65535\n" + DATA,
        b"P5 0 10 255\n" + DATA,
        b"P4 24 10 255\n" + DATA,
        bmp(7, 10, 24, 1),
        bmp(-7, 10, 24),
        bmp(30, 10, 1),
        tiff_of("<", 1, _259=5),
        tiff_of("<", 1, _284=2),
        tiff_of("<", 1, _317=2),
        tiff_of("<", 1, _262=6),
        tiff_of("<", 1, _258=16),
        tiff_of("<", 4, _278=3),
        b"RIFF" + b"\xff" * 300,
        b"II*\0" + b"\xff" * 300,
    ],
    ids=range(20),
)
def test_what_is_not_for_us(raw: bytes) -> None:
    assert find_layout(raw) is None


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(name: str) -> None:
    raw, whole = FILES[name]
    for size in range(len(raw)):
        found = find_layout(raw[:size])
        rows = (size - whole.begin) // whole.row
        assert found == (replace(whole, length=rows * whole.row) if rows > 0 else None)


@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6))
def test_damaged_headers(name: str, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(FILES[name][0])
    for place, value in changes:
        raw[place] = value
    found = find_layout(bytes(raw))
    assert found is None or (found.fits(len(raw)) and found.length > 0)


@pytest.mark.parametrize("begins", [b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"P5", b"P6 ", b"BM", b"II*\0", b"MM\0*"])
def test_hostile_headers(begins: bytes) -> None:
    generator = np.random.default_rng(len(begins))
    for number in range(300):
        body = generator.integers(0, 256, 400, dtype=np.uint8)
        if number % 3:
            body[generator.random(400) < 0.7] = (0, 255)[number % 2]
        found = find_layout(begins + body.tobytes())
        assert found is None or found.fits(400 + len(begins))


def test_large_files_are_not_read_through() -> None:
    """A million empty chunks, white space for ever, strips without end."""
    for raw in (b"RIFF\0\0\0\0WAVE", b"P5", b"P5 1 1", b"II*\0\x08\0\0\0\xff\xff"):
        for filler in (b"\0", b" ", b"#", b"\xff"):
            assert find_layout(raw + filler * (8 << 20)) is None
