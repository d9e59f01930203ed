"""The raw bytes of a file in chunks, unpacked up to a limit if its suffix is ``.gz``, ``.xz``, ``.bz2`` or ``.zst``."""

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import zstandard

from zipllm.errors import CorruptData, FileError, LimitExceeded

SUFFIXES = (".gz", ".xz", ".bz2", ".zst")
UNPACKED_LIMIT = 16 << 30
"""Default limit on the bytes of standard input, and on those that one compressed file unpacks to."""

_CHUNK = 1 << 20
_ZSTD_INPUT = 256
"""Bytes for one call of zstd, which unpacks up to 32,000 times as many at once."""

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def raw_chunks(path: Path, limit: int = UNPACKED_LIMIT, *, regular: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked by suffix; ``regular`` refuses devices and pipes, which may have no end.

    Raises:
        FileError: the file cannot be read, or is not a regular file.
        CorruptData: the file is damaged, truncated, or not what its suffix says.
        LimitExceeded: a compressed file unpacks to more than ``limit`` bytes.
    """
    size = 0
    with _naming(path):
        if regular and not path.is_file():
            path.stat()  # raises for a missing file
            raise FileError(f"{path}: is not a regular file (- reads standard input)")
        for chunk in _chunks(path):
            size += len(chunk)
            if size > limit and path.suffix in SUFFIXES:
                raise LimitExceeded(f"{path}: unpacks to more than the {limit:,} bytes allowed for one file", "input")
            yield chunk


def open_raw(path: Path, limit: int = UNPACKED_LIMIT) -> io.BufferedReader:
    """Open a file or device for reading its raw bytes; errors as in ``raw_chunks``, also while reading."""
    return io.BufferedReader(_ChunkReader(raw_chunks(path, limit, regular=False)))


class _ChunkReader(io.RawIOBase):
    """Chunks as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # RawIOBase passes memoryviews
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _chunks(path: Path) -> Iterator[bytes]:
    if path.suffix == ".zst":
        with path.open("rb") as file:
            yield from _zstd_chunks(file)
        return
    opener = _OPENERS.get(path.suffix, open)
    with opener(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _zstd_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Unpack frame after frame; unlike ``stream_reader``, this notices an incomplete last frame."""
    frame: Any = None
    pending = b""
    while pending := pending or file.read(_ZSTD_INPUT):
        frame = frame or zstandard.ZstdDecompressor().decompressobj()
        chunk = frame.decompress(pending)
        pending = b""
        if frame.eof:
            pending, frame = frame.unused_data, None
        if chunk:
            yield chunk
    if frame is not None:
        raise EOFError("it ends inside a frame")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn the libraries' exceptions into errors that name the file."""
    try:
        yield
    except (EOFError, ValueError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise CorruptData(f"{path}: not a whole {path.suffix} file ({error})") from error
    except OSError as error:
        if path.suffix == ".bz2" and error.errno is None:  # bz2's way to report damage
            raise CorruptData(f"{path}: not a whole .bz2 file ({error})") from error
        raise FileError(f"{path}: {error.strerror or error}") from error
