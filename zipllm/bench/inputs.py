"""From arguments to files with a digest: corpora (``canterbury``), their files, paths, and slices of all of these."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zipllm.data.local import Places, copy_from_corpus
from zipllm.data.reading import find_files
from zipllm.data.registry import Corpus, CorpusFile, corpora
from zipllm.data.slices import check_slice, parse_slice
from zipllm.errors import UsageError, file_errors, suggestion
from zipllm.files.names import escape_name

_CHUNK = 1 << 20
FILES = "files"
"""The corpus name of files that belong to no corpus."""


@dataclass(frozen=True)
class BenchInput:
    """One file to measure, as raw bytes on disk.

    Attributes:
        corpus: name of the corpus or folder it belongs to.
        file: its name there, as it can be shown, with the slice if it is one.
        path: of the raw bytes.
        raw_bytes: their number.
        sha256: of these bytes, hexadecimal.
        whole_sha256: of the whole registered file that this is a slice of; of these bytes if they are no slice of
            one; empty if the registry has no SHA-256.
    """

    corpus: str
    file: str
    path: Path
    raw_bytes: int
    sha256: str
    whole_sha256: str

    @classmethod
    def of_file(cls, corpus: str, name: str, path: Path, whole_sha256: str | None = None) -> "BenchInput":
        """Describe raw bytes on disk; ``whole_sha256`` is their own digest unless given. Raises ``OSError``."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(corpus, name, path, path.stat().st_size, digest, digest if whole_sha256 is None else whole_sha256)


def prepare_inputs(arguments: Sequence[str], places: Places, folder: Path) -> list[BenchInput]:
    """Copy the raw bytes that the arguments name into ``folder``, and check those of corpora.

    Raises:
        UsageError: an argument is neither a corpus nor a path, a slice is empty, or something is named twice.
        CorruptData: a copy of a corpus file is not that file.
        FileError: a corpus has no local copy, or a file cannot be read.
    """
    parts = [part for argument in arguments for part in resolve(argument, places)]
    twice = _repeated((part.place, part.label) for part in parts)
    parts = [  # files of the same name in several folders go by their paths
        replace(part, label=escape_name(part.name))
        if isinstance(part, PathPart) and (part.place, part.label) in twice
        else part
        for part in parts
    ]
    for place in _repeated((part.place, part.label) for part in parts):
        raise UsageError(f"{'/'.join(place)} is named twice")
    return [part.into(folder / f"{number:06d}") for number, part in enumerate(parts)]


def _repeated(places: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [place for place, count in Counter(places).items() if count > 1]


def read_paths(arguments: Sequence[str], places: Places) -> list[Path]:
    """Return the files outside of the corpora that the arguments name; errors as in ``prepare_inputs``."""
    parts = (part for argument in arguments for part in resolve(argument, places))
    return [part.path for part in parts if isinstance(part, PathPart)]


@dataclass(frozen=True)
class CorpusPart:
    """A file of a corpus, or a part of it."""

    corpus: Corpus
    file: CorpusFile
    part: slice
    label: str
    places: Places

    @property
    def place(self) -> str:
        """Name of the corpus."""
        return self.corpus.name

    @property
    def name(self) -> str:
        """``canterbury/alice29.txt``, ``enwik8[95M:96M]``."""
        return self.label if len(self.corpus.files) == 1 else f"{self.corpus.name}/{self.label}"

    def into(self, target: Path) -> BenchInput:
        """Copy the bytes into a file; errors as in ``prepare_inputs``."""
        copy_from_corpus(self.corpus, self.file, self.places, target, self.part)
        whole = self.file.digest if self.file.algorithm == "sha256" else ""
        return BenchInput.of_file(self.place, self.label, target, whole)


@dataclass(frozen=True)
class PathPart:
    """A file outside of the corpora, or a part of it."""

    path: Path
    place: str
    label: str
    part: slice
    suffix: str = ""

    @property
    def name(self) -> str:
        """The path as the user gave it, with the slice; ``./-`` for a file called ``-``, which is standard input."""
        return f"{'./' if str(self.path) == '-' else ''}{self.path}{self.suffix}"

    def into(self, target: Path) -> BenchInput:
        """Copy the bytes into a file; errors as in ``prepare_inputs``."""
        with file_errors(self.path):
            begin, end = check_slice(self.name, self.part, self.path.stat().st_size)
            with self.path.open("rb") as source, target.open("wb") as sink:
                source.seek(begin)
                while begin < end and (chunk := source.read(min(_CHUNK, end - begin))):
                    begin += sink.write(chunk)
        return BenchInput.of_file(self.place, self.label, target)


def resolve(argument: str, places: Places) -> Iterator[CorpusPart | PathPart]:
    """Yield the files that an argument names; errors as in ``prepare_inputs``."""
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
        raise UsageError(f"{name!r} is neither a file nor a corpus{suggestion(name, corpora())}")
    group = escape_name(path.resolve().name or "/") if path.is_dir() else FILES
    for found in find_files([path]):
        label = found.relative_to(path).as_posix() if path.is_dir() else found.name
        yield PathPart(found, group, escape_name(label + suffix), part, suffix)
