"""From arguments to files with a digest: corpora (``canterbury``), files and slices of them, paths."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zipllm.data.local import Places, copy_verified, find_copies
from zipllm.data.reading import find_files
from zipllm.data.registry import Corpus, CorpusFile, corpora
from zipllm.data.slices import check_slice, parse_slice
from zipllm.errors import CorruptData, FileError, UsageError, ZipllmError

_CHUNK = 1 << 20
FILES = "files"
"""What files that belong to no corpus are listed under."""


@dataclass(frozen=True)
class BenchInput:
    """One file to measure, as raw bytes on disk.

    Attributes:
        corpus: name of the corpus or folder it belongs to.
        file: its name there, with the slice if it is one.
        path: where the raw bytes lie.
        raw_bytes: how many.
        sha256: of these bytes, hexadecimal.
        whole_sha256: of the whole file that this is a slice of, if it is a registered one.
    """

    corpus: str
    file: str
    path: Path
    raw_bytes: int
    sha256: str
    whole_sha256: str


class Hashing:
    """Writes through to a file, hashes and counts what passes."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._sink.write(data)


def prepare_inputs(arguments: Sequence[str], places: Places, folder: Path) -> list[BenchInput]:
    """Put the raw bytes of everything the arguments mean into ``folder``, each file checked.

    Args:
        arguments: corpora, slices of them, files and folders.
        places: where corpora are looked for.
        folder: receives the files.

    Raises:
        UsageError: an argument is neither a corpus nor a path, or a slice is empty.
        CorruptData: a copy of a corpus file is not that file.
        FileError: a corpus is not here, or a file cannot be read.
    """
    inputs: list[BenchInput] = []
    for argument in arguments:
        for prepare in resolve(argument, places):
            inputs.append(prepare.into(folder / f"{len(inputs):06d}"))
    names = [(item.corpus, item.file) for item in inputs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{'/'.join(name)} is named twice")
    return inputs


@dataclass(frozen=True)
class CorpusPart:
    """What an argument means in a corpus: a file of it, or a part of that."""

    corpus: Corpus
    file: CorpusFile
    part: slice
    label: str
    places: Places

    @property
    def name(self) -> str:
        """``canterbury/alice29.txt``, ``enwik8[95M:96M]``."""
        return self.label if len(self.corpus.files) == 1 else f"{self.corpus.name}/{self.label}"

    def into(self, target: Path) -> BenchInput:
        problem: ZipllmError | None = None
        for copy in find_copies(self.corpus, self.file, self.places):
            try:
                with target.open("wb") as sink:
                    hashing = Hashing(sink)
                    copy_verified(copy, self.file, hashing, self.part)
            except CorruptData as error:
                problem = problem or error
                continue
            whole = self.file.digest if self.file.algorithm == "sha256" else ""
            size, digest = hashing.size, hashing.digest.hexdigest()
            return BenchInput(self.corpus.name, self.label, target, size, digest, whole)
        raise problem or FileError(
            f"{self.corpus.name}/{self.file.name}: no local copy (zipllm data fetch {self.corpus.name}, or --data-dir)"
        )


@dataclass(frozen=True)
class PathPart:
    """What an argument means outside of the corpora: a file, or a part of it."""

    path: Path
    corpus: str
    label: str
    part: slice
    suffix: str = ""

    @property
    def name(self) -> str:
        """The path as the user gave it, with the slice."""
        return f"{self.path}{self.suffix}"

    def into(self, target: Path) -> BenchInput:
        try:
            size = self.path.stat().st_size
            begin, end = check_slice(self.name, self.part, size)
            with self.path.open("rb") as source, target.open("wb") as sink:
                hashing = Hashing(sink)
                source.seek(begin)
                while begin < end and (chunk := source.read(min(_CHUNK, end - begin))):
                    begin += hashing.write(chunk)
        except OSError as error:
            raise FileError(f"{self.path}: {error.strerror or error}") from error
        digest = hashing.digest.hexdigest()
        return BenchInput(self.corpus, self.label, target, hashing.size, digest, digest)


def resolve(argument: str, places: Places) -> Iterator[CorpusPart | PathPart]:
    """Yield everything an argument means; errors as ``prepare_inputs``."""
    name, part, suffix = argument, slice(None), ""
    if not Path(argument).exists():
        name, part = parse_slice(argument)
        suffix = argument[len(name) :]
    corpus, _, file_name = name.partition("/")
    if corpus in corpora():
        known = corpora()[corpus]
        files = [file for file in known.files if not file_name or file.name == file_name]
        if not files:
            raise UsageError(f"the corpus {corpus} has no file {file_name!r}")
        for file in files:
            check_slice(argument, part, file.bytes)
            yield CorpusPart(known, file, part, file.name + suffix, places)
        return
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name!r} is neither a file nor a corpus (known: {', '.join(corpora())})")
    for found in find_files([path]):
        if path.is_dir():
            label = found.relative_to(path).as_posix() + suffix
            yield PathPart(found, path.resolve().name or "/", label, part, suffix)
        else:
            yield PathPart(found, FILES, found.name + suffix, part, suffix)
