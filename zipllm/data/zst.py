"""Reading ``.zst`` files like the standard library reads ``.gz``: all frames, and an error where one is cut off.

The readers of the ``zstandard`` package end without a word in both cases.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO

import zstandard

_INPUT = 512
"""Compressed bytes taken at once: a block of 128 KiB needs four, so up to 16 MiB come out."""


class ZstdFile(io.RawIOBase):
    """The raw content of a compressed file. Reading raises ``EOFError`` or ``ZstdError`` where it is damaged."""

    def __init__(self, file: BinaryIO) -> None:
        self._pieces = _decompressed(file)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # RawIOBase hands over no other
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _decompressed(file: BinaryIO) -> Iterator[bytes]:
    frame, whole = zstandard.ZstdDecompressor().decompressobj(), False
    while data := file.read(_INPUT):
        while data:
            if whole:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            whole, data = frame.eof, frame.unused_data
    if not whole:
        raise EOFError("it is empty or ends in the middle of a frame")
