"""The raw bytes of a file in chunks, unpacked up to a limit if its suffix is ``.gz``, ``.xz``, ``.bz2`` or ``.zst``."""

import bz2
import contextlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from zipllm.errors import CorruptData, FileError, LimitExceeded

SUFFIXES = (".gz", ".xz", ".bz2", ".zst")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class UnpackLimits:
    """What unpacking one file may take.

    Attributes:
        size: bytes of its content, or of standard input.
        window: bytes that a .zst file may refer back to, which memory holds; the default is zstd's own.
    """

    size: int = 16 << 30
    window: int = 128 << 20


UNPACK_LIMITS = UnpackLimits()


@dataclass(frozen=True)
class _Format:
    """A packed file is one frame or more, as its command-line tool reads them.

    Attributes:
        frame: makes what unpacks one frame.
        magic: begins every frame but the first; empty where the library looks at it.
        padding: zeros after a frame come in multiples of it; 0: no zeros.
        ignores: whether other bytes after the last frame are left out, not damage.
        feed: packed bytes for one call, which unpacks up to some thousand times as many.
    """

    frame: Callable[[UnpackLimits], Any]
    magic: bytes = b""
    padding: int = 0
    ignores: bool = False
    feed: int = 256


_FORMATS = {
    ".gz": _Format(lambda _: zlib.decompressobj(wbits=31), b"\x1f\x8b", padding=1, ignores=True, feed=4096),
    ".xz": _Format(lambda _: lzma.LZMADecompressor(), b"\xfd7zXZ\0", padding=4),
    ".bz2": _Format(lambda _: bz2.BZ2Decompressor(), b"BZh", ignores=True),
    ".zst": _Format(lambda most: zstandard.ZstdDecompressor(max_window_size=most.window).decompressobj()),
}


def raw_chunks(
    path: Path,
    limits: UnpackLimits = UNPACK_LIMITS,  # frozen
    *,
    regular: bool = True,
    ignored: Callable[[], None] = lambda: None,
) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked by suffix; ``regular`` refuses devices and pipes, which may have no end.

    ``ignored`` is called when bytes after the packed content are left out.

    Raises:
        FileError: the file cannot be read, or is not a regular file.
        CorruptData: the file is damaged, truncated, or not what its suffix says.
        LimitExceeded: a compressed file passes the limits.
    """
    size = 0
    with _naming(path):
        if regular and not path.is_file():
            path.stat()  # raises for a missing file
            raise FileError(f"{path}: is not a regular file (- reads standard input)")
        for chunk in _chunks(path, limits, ignored):
            size += len(chunk)
            if size > limits.size and path.suffix in SUFFIXES:
                most = f"{limits.size:,} bytes allowed for one file"
                raise LimitExceeded(f"{path}: unpacks to more than the {most}", "input")
            yield chunk


def open_raw(path: Path, limits: UnpackLimits = UNPACK_LIMITS) -> io.BufferedReader:  # frozen
    """Open a file or device for reading its raw bytes; errors as in ``raw_chunks``, also while reading."""
    return io.BufferedReader(_ChunkReader(raw_chunks(path, limits, regular=False)))


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


def _chunks(path: Path, limits: UnpackLimits, ignored: Callable[[], None]) -> Iterator[bytes]:
    form = _FORMATS.get(path.suffix)
    with path.open("rb") as file:
        if form is None:
            yield from iter(lambda: file.read(_CHUNK), b"")
        else:
            yield from _frames(file, form, limits, ignored)


def _frames(file: IO[bytes], form: _Format, limits: UnpackLimits, ignored: Callable[[], None]) -> Iterator[bytes]:
    packed = file.read(form.feed)
    if not packed:
        raise EOFError("it is empty")
    while packed:
        frame = form.frame(limits)
        most = (_CHUNK,) if hasattr(frame, "needs_input") else ()  # bz2 and lzma stop there and go on without input
        while not frame.eof:
            if not most or frame.needs_input:
                packed = packed or file.read(form.feed)
                if not packed:
                    raise EOFError("it ends inside a frame")
            chunk = frame.decompress(packed, *most)
            packed = b""
            if chunk:
                yield chunk
        packed = _next_frame(frame.unused_data, file, form, ignored)


def _next_frame(packed: bytes, file: IO[bytes], form: _Format, ignored: Callable[[], None]) -> bytes:
    """Return the beginning of the next frame, or nothing at the end."""
    packed += file.read(form.feed)
    zeros = 0
    while form.padding and packed.startswith(b"\0"):
        rest = packed.lstrip(b"\0")
        zeros += len(packed) - len(rest)
        packed = rest or file.read(form.feed)
    if zeros and zeros % form.padding:
        raise ValueError("its padding is damaged")
    packed += file.read(len(form.magic))
    if packed and (not packed.startswith(form.magic) or (zeros and form.ignores)):
        if not form.ignores:
            raise ValueError("other bytes follow it")
        ignored()
        return b""
    return packed


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn the libraries' exceptions into errors that name the file."""
    try:
        yield
    except zstandard.ZstdError as error:
        if "too much memory" in str(error):
            reason = "it refers back by more than the window allowed (zstd --long): --max-window allows more"
            raise LimitExceeded(f"{path}: {reason}, or unpack it with zstd first", "window") from error
        raise CorruptData(f"{path}: not a whole {path.suffix} file ({error})") from error
    except (EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise CorruptData(f"{path}: not a whole {path.suffix} file ({error})") from error
    except OSError as error:
        if path.suffix == ".bz2" and error.errno is None:  # bz2's way to report damage
            raise CorruptData(f"{path}: not a whole .bz2 file ({error})") from error
        raise FileError(f"{path}: {error.strerror or error}") from error
