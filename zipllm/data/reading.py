"""Finding and reading local data files: folders are walked, ``.gz``, ``.xz``, ``.bz2`` and ``.zst`` are opened."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import zstandard

from zipllm.errors import FileError

_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".bz2": bz2.decompress,
}


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
    """Return the bytes of a file, decompressed when its suffix says so.

    Raises:
        FileError: the file cannot be read, or is not what its suffix says.
    """
    try:
        if path.suffix == ".zst":
            with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                return bytes(stream.read())
        raw = path.read_bytes()
        decompress = _DECOMPRESS.get(path.suffix)
        return raw if decompress is None else decompress(raw)
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


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
