"""Text in GB18030 or UTF-16 <-> UTF-8, the only encoding that models and the history's prior know.

The way back is part of the archive format, so it depends on no library's tables: UTF-16 is arithmetic, and GB18030 is
``gb18030.bin`` and the rules of FORMAT.md, section 6.8. The way there may use any decoder, since an encoder keeps
its result only if the way back gives the original bytes.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipllm.container.block import ENCODINGS, Transcoding
from zipllm.errors import CorruptData

_GB18030 = Path(__file__).with_name("gb18030.bin")
"""Code points of the two-byte codes, little-endian u16, in the order of their bytes: 126 leads of 190 trails."""

_MOST = 3
"""Bytes of a cut character: a character has at most four."""

_PROBE = 1 << 16
"""The encoding that gives this much of a block the fewest different characters is tried first: a wrong one mixes halves
of characters. Text has no NUL."""

_SURROGATES = range(0xD800, 0xE000)


def find_transcoding(raw: bytes) -> tuple[Transcoding, bytes] | None:
    """Return the likeliest way to read a block as text in another encoding than UTF-8, with that text in UTF-8.

    A block may begin and end within a character. ``restore`` gives the block back exactly. None for text in ASCII or
    UTF-8, and for most other data, which do not decode.
    """
    if 0 not in raw and _is_utf8(raw):
        return None
    characters = {}
    for encoding, name in ENCODINGS.items():
        for head in range(_MOST + 1):
            end = _whole(raw[head:_PROBE], name)
            seen = set(raw[head : head + end].decode(name)) if end else set()
            if seen and "\0" not in seen:
                characters[encoding, head] = len(seen)
    likeliest = sorted(characters, key=lambda way: (characters[way], way[1], way[0]))
    found = (_transcode(raw, encoding, head) for encoding, head in likeliest)
    return next((way for way in found if way is not None), None)


def transcode(raw: bytes, transcoding: Transcoding) -> bytes:
    """Return the UTF-8 of a block; raise ``UnicodeDecodeError`` if the block is not in that encoding."""
    head, end = transcoding.head, len(raw) - transcoding.tail
    return raw[:head] + raw[head:end].decode(transcoding.name).encode() + raw[end:]


def restore(text: bytes, transcoding: Transcoding) -> bytes:
    """Undo ``transcode``.

    Raises:
        CorruptData: the text is not UTF-8, or has characters that the encoding lacks.
    """
    head, end = transcoding.head, len(text) - transcoding.tail
    try:
        middle = text[head:end].decode()
    except UnicodeDecodeError as error:
        raise CorruptData(f"a transcoded block is not UTF-8: {error.reason}") from error
    encoded = _to_gb18030(middle) if transcoding.name == "gb18030" else middle.encode(transcoding.name)
    return text[:head] + encoded + text[end:]


def _transcode(raw: bytes, encoding: int, head: int) -> tuple[Transcoding, bytes] | None:
    """Return the block transcoded if its characters begin behind ``head`` bytes, otherwise None."""
    end = _whole(raw[head:], ENCODINGS[encoding])
    if end is None:
        return None
    tail = len(raw) - head - end
    transcoding = Transcoding(encoding, head, tail, 0)
    text = transcode(raw, transcoding)
    transcoding = transcoding._replace(size=len(text))
    return (transcoding, text) if restore(text, transcoding) == raw else None


def _whole(data: bytes, name: str) -> int | None:
    """Return the bytes that decode, all but at most a cut character at the end; None if more do not."""
    for tail in range(min(_MOST, len(data)) + 1):
        try:
            data[: len(data) - tail].decode(name)
        except UnicodeDecodeError as error:
            if error.start < len(data) - tail - _MOST:
                return None
        else:
            return len(data) - tail
    return None


def _is_utf8(raw: bytes) -> bool:
    """Whether the block is UTF-8, apart from cut characters at its ends."""
    begin = next((at for at in range(min(_MOST, len(raw))) if raw[at] & 0xC0 != 0x80), _MOST)
    return _whole(raw[begin:], "utf-8") is not None


def _to_gb18030(text: str) -> bytes:
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    codes, lengths = _basic_codes()
    basic = np.minimum(points, 0xFFFF)
    rows, sizes = codes[basic], lengths[basic]
    beyond = points > 0xFFFF
    rows[beyond], sizes[beyond] = _four_bytes(points[beyond] - 0x10000, lead=0x90), 4
    used: NDArray[np.uint8] = rows[np.arange(4, dtype=np.uint8) < sizes[:, None]]
    return used.tobytes()


@cache
def _basic_codes() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the codes ``[65536, 4]`` of the code points below 0x10000 and the bytes ``[65536]`` that each one uses.

    ASCII has one byte, the table two. All other code points but the surrogates have four, numbered in their order.
    """
    codes, lengths = np.zeros((1 << 16, 4), np.uint8), np.zeros(1 << 16, np.uint8)
    codes[:128, 0], lengths[:128] = np.arange(128), 1
    pairs = np.frombuffer(_GB18030.read_bytes(), dtype="<u2").reshape(126, 190)
    codes[pairs, 0] = np.arange(0x81, 0xFF, dtype=np.uint8)[:, None]
    codes[pairs, 1] = np.delete(np.arange(0x40, 0xFF, dtype=np.uint8), 0x7F - 0x40)
    lengths[pairs] = 2
    lengths[_SURROGATES] = 2  # decoded UTF-8 has none
    others = np.flatnonzero(lengths == 0)
    codes[others], lengths[others] = _four_bytes(np.arange(len(others)), lead=0x81), 4
    return codes, lengths


def _four_bytes(numbers: NDArray[np.integer], lead: int) -> NDArray[np.uint8]:
    """Return the four-byte codes ``[n, 4]`` of the numbers ``[n]`` that count from the first code with this lead."""
    digits = (lead + numbers // 12600, 0x30 + numbers // 1260 % 10, 0x81 + numbers // 10 % 126, 0x30 + numbers % 10)
    return np.stack(digits, axis=1).astype(np.uint8)
