"""Local copies of corpus files, compressed or not; their digest decides whether they are right.

Layouts: ``DIR/canterbury/alice29.txt``, ``DIR/bench/calgary/book1.xz``, ``DIR/enwik8``, ``DIR/bench/enwik8.xz``.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import platformdirs

from zipllm.data.registry import SAMPLES, Corpus, CorpusFile, samples_folder
from zipllm.data.unpack import SUFFIXES, raw_chunks
from zipllm.errors import CorruptData, FileError, LimitExceeded

DATA_VARIABLE = "ZIPLLM_DATA_DIR"
CACHE_VARIABLE = "ZIPLLM_CACHE"

_CHUNK = 1 << 20


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


@dataclass(frozen=True)
class Places:
    """Folders with corpora, in the order of the search; the last receives fetched corpora."""

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
        """The folder that receives fetched corpora."""
        return self.folders[-1]


def find_copies(corpus: Corpus, file: CorpusFile, places: Places) -> Iterator[Path]:
    """Yield the paths that may be copies of a file, in order of preference."""
    if corpus.name == SAMPLES:
        yield samples_folder() / file.name
        return
    names = [f"{corpus.name}/{file.name}", *([file.name] if len(corpus.files) == 1 else [])]
    for folder in places.folders:
        for below in ("", "bench"):
            for name in names:
                paths = (folder / below / f"{name}{suffix}" for suffix in ("", *SUFFIXES))
                yield from filter(Path.is_file, paths)


def copy_verified(path: Path, file: CorpusFile, sink: Sink | None = None, part: slice = slice(None)) -> None:
    """Write the raw content of a copy, or a part of it, to ``sink``, and require the right digest.

    Bytes in the sink count only if nothing is raised; None checks the digest alone.

    Raises:
        CorruptData: the content is damaged, truncated, or another file.
        FileError: the copy cannot be read.
    """
    digest, size = file.hasher(), 0
    begin, end, _ = part.indices(file.bytes)
    for chunk in raw_chunks(path):
        digest.update(chunk)
        if sink is not None:
            sink.write(chunk[max(0, begin - size) : max(0, end - size)])
        size += len(chunk)
        if size > file.bytes:
            break
    if size != file.bytes:
        found = f"{size} bytes" if size < file.bytes else f"more than {file.bytes} bytes"
        raise CorruptData(f"{path}: is not {file.name}: {found} instead of {file.bytes}")
    if digest.hexdigest() != file.digest:
        raise CorruptData(
            f"{path}: is not {file.name}: its {file.algorithm} is {digest.hexdigest()}, not {file.digest}"
        )


def copy_from_corpus(corpus: Corpus, file: CorpusFile, places: Places, target: Path, part: slice = slice(None)) -> None:
    """Write a corpus file, or a part of it, to ``target`` from the first right copy.

    Raises:
        CorruptData: no copy is right; the error is the first copy's.
        FileError: no local copy, a copy that cannot be read, or ``target`` cannot be written.
    """
    problem: CorruptData | None = None
    for copy in find_copies(corpus, file, places):
        try:
            with target.open("wb") as sink:
                copy_verified(copy, file, sink, part)
        except CorruptData as error:
            problem = problem or error
        except OSError as error:
            raise FileError(f"cannot copy {corpus.name} to {target}: {error.strerror or error}") from error
        else:
            return
    raise problem or FileError(
        f"{corpus.name}/{file.name}: no local copy (zipllm data fetch {corpus.name}, or --data-dir)"
    )


def copy_bounded(source: IO[bytes], sink: Sink, limit: int, name: str, exceeded: str | None = None) -> None:
    """Copy a stream, called ``name``, to its end.

    Raises:
        LimitExceeded: the stream holds more than ``limit`` bytes; ``exceeded`` is its ``limit``.
    """
    size = 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise LimitExceeded(f"{name}: more than the {limit:,} bytes allowed", exceeded)
        sink.write(chunk)
