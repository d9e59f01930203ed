"""Finding and reading local data files: folders are walked, ``.gz``, ``.xz``, ``.bz2`` and ``.zst`` are opened."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import zstandard

from zipllm.data.zst import ZstdFile
from zipllm.errors import FileError

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files named by ``paths``; folders stand for every file below them, in sorted order.

    Raises:
        FileError: a path does not exist, or nothing was found.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(child for child in path.rglob("*") if child.is_file() and not _hidden(child, path)))
        elif path.exists():
            found.append(path)
        else:
            raise FileError(f"{path}: no such file or folder")
    if not found:
        raise FileError(f"no files in {', '.join(map(str, paths))}")
    return found


def read_data(path: Path) -> bytes:
    """Return the bytes of a file, decompressed when its suffix says so; errors as ``open_data``."""
    with open_data(path) as stream:
        return stream.read()


@contextmanager
def open_data(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed when its suffix says so.

    Raises:
        FileError: the file cannot be read, or is not what its suffix says; also while reading inside the ``with``.
    """
    try:
        with _open(path) as stream:
            yield stream
    except gzip.BadGzipFile as error:
        raise FileError(f"{path}: not a whole .gz file ({error})") from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (EOFError, ValueError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise FileError(f"{path}: not a whole {path.suffix} file ({error})") from error


def documents(data: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    """Cut ``data`` into documents of about ``size`` bytes, after a newline where there is one."""
    start = 0
    while start < len(data):
        end = min(start + size, len(data))
        if end < len(data):
            newline = data.rfind(b"\n", start + size // 2, end)
            end = newline + 1 if newline >= 0 else end
        yield data[start:end]
        start = end


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".zst":
        with path.open("rb") as file, io.BufferedReader(ZstdFile(file)) as stream:
            yield stream
        return
    opener: Callable[..., IO[bytes]] = _OPENERS.get(path.suffix, open)
    with opener(path, "rb") as stream:
        yield stream


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
