"""Local copies of corpus files: where they are looked for, and reading them no further than their digest allows.

Several layouts are understood, compressed or not: ``DIR/canterbury/alice29.txt``, ``DIR/bench/calgary/book1.xz``,
``DIR/enwik8``, ``DIR/bench/enwik8.xz``. The digest says whether a copy is right, not its place.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import platformdirs

from zipllm.data.registry import SAMPLES, Corpus, CorpusFile, samples_folder
from zipllm.errors import CorruptData, FileError

DATA_VARIABLE = "ZIPLLM_DATA_DIR"
CACHE_VARIABLE = "ZIPLLM_CACHE"

_SUFFIXES = ("", ".xz", ".gz", ".bz2", ".zst")
_CHUNK = 1 << 20
_OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


@dataclass(frozen=True)
class Places:
    """Folders in which corpora are looked for, first one first; the last is where fetched ones are put."""

    folders: tuple[Path, ...]

    @classmethod
    def default(cls, data_dir: Path | None = None, environment: Mapping[str, str] = os.environ) -> "Places":
        """``--data-dir``, then ``ZIPLLM_DATA_DIR``, then the cache."""
        cache = environment.get(CACHE_VARIABLE)
        store = Path(cache) if cache else platformdirs.user_cache_path("zipllm", appauthor=False)
        named = [data_dir] if data_dir else []
        named += [Path(environment[DATA_VARIABLE])] if environment.get(DATA_VARIABLE) else []
        return cls((*named, store / "corpora"))

    @property
    def store(self) -> Path:
        """Where fetched corpora are put."""
        return self.folders[-1]


def find_copies(corpus: Corpus, file: CorpusFile, places: Places) -> Iterator[Path]:
    """Yield the paths that may be copies of a file, in order of preference."""
    if corpus.name == SAMPLES:
        yield samples_folder() / file.name
        return
    alone = [file.name] if len(corpus.files) == 1 else []
    for folder in places.folders:
        for below in ("", "bench"):
            for middle in (f"{corpus.name}/{file.name}", *alone):
                for suffix in _SUFFIXES:
                    path = folder / below / f"{middle}{suffix}"
                    if path.is_file():
                        yield path


def copy_verified(path: Path, file: CorpusFile, sink: Sink, part: slice = slice(None)) -> None:
    """Write the raw content of a copy, or a part of it, to ``sink``, and require the right digest.

    Memory is bounded, and so is what is unpacked: reading stops at the first byte too many.

    Args:
        path: the copy, compressed if its suffix says so.
        file: what it must be.
        sink: receives the bytes; they count only if nothing is raised.
        part: which bytes of the raw content.

    Raises:
        CorruptData: the content is another one: damaged, truncated, or not this file at all.
        FileError: it cannot be read.
    """
    digest, size = file.hasher(), 0
    begin, end, _ = part.indices(file.bytes)
    try:
        with _open_raw(path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                sink.write(chunk[max(0, begin - size) : max(0, end - size)])
                size += len(chunk)
                if size > file.bytes:
                    break
    except (EOFError, lzma.LZMAError, zlib.error, ValueError, gzip.BadGzipFile) as error:
        raise CorruptData(f"{path}: damaged or truncated, it does not decompress ({error})") from error
    except OSError as error:
        if path.suffix == ".bz2" and error.errno is None:  # how bz2 says that the data is damaged
            raise CorruptData(f"{path}: damaged or truncated, it does not decompress ({error})") from error
        raise FileError(f"{path}: {error.strerror or error}") from error
    if size != file.bytes:
        found = f"{size} bytes" if size < file.bytes else f"more than {file.bytes} bytes"
        raise CorruptData(f"{path}: is not {file.name}: {found} instead of {file.bytes}")
    if digest.hexdigest() != file.digest:
        raise CorruptData(
            f"{path}: is not {file.name}: its {file.algorithm} is {digest.hexdigest()}, not {file.digest}"
        )


class Discard:
    """A sink for looking only."""

    def write(self, data: bytes, /) -> int:
        return len(data)


@contextlib.contextmanager
def _open_raw(path: Path) -> Iterator[BinaryIO | IO[bytes]]:
    if path.suffix == ".zst":
        import zstandard

        try:
            with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                yield stream
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        return
    opener: Callable[..., IO[bytes]] = _OPENERS.get(path.suffix, open)
    with opener(path, "rb") as stream:
        yield stream
