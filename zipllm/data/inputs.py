"""From what the user names as data to files whose bytes, size and digest are known.

Files, folders, patterns (``logs/**/*.gz``), ``-`` for standard input, and the parts of registered corpora set aside
for training (``enwik8[0:90M]``). Standard input and corpora are copied into a folder first: a pipe is read once, and a
corpus counts only once its digest is right.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from zipllm.data.local import Places, copy_verified, find_copies
from zipllm.data.permission import Use, check_file, corpus_part, names_corpus
from zipllm.data.reading import find_files
from zipllm.data.unpack import UNPACKED_LIMIT, raw_chunks
from zipllm.errors import CorruptData, FileError, LimitExceeded, ZipllmError

STDIN = Path("-")
_CHUNK = 1 << 20
_SNIFFED = 1 << 16
_INPUT_NAME = "stdin"


@dataclass(frozen=True)
class DataFile:
    """One file of data.

    Attributes:
        name: what the user knows it as.
        path: where its bytes lie, perhaps compressed.
        bytes: of its raw content; 0 before it was surveyed.
        sha256: of its raw content, hexadecimal; empty before it was surveyed.
        binary: whether its beginning holds a zero byte.
    """

    name: str
    path: Path
    bytes: int = 0
    sha256: str = ""
    binary: bool = False


@dataclass(frozen=True)
class Spool:
    """Where copies are put, and where corpora come from.

    Attributes:
        folder: made when the first copy is.
        places: where corpora are looked for.
        limit: bytes that standard input may bring, and a compressed file may unpack to.
    """

    folder: Path
    places: Places
    limit: int = UNPACKED_LIMIT


def gather(paths: Sequence[Path], use: Use, spool: Spool) -> list[DataFile]:
    """Return the files meant by the arguments, none of them read yet but those that were copied.

    Raises:
        FileError: something is missing or cannot be read, or a copy cannot be written.
        UsageError: what is named is kept for measuring.
        CorruptData: a copy of a corpus is not what the registry says.
        LimitExceeded: standard input brings more than the limit.
    """
    files: list[DataFile] = []
    for path in paths:
        if path == STDIN:
            files.append(_standard_input(spool))
        elif names_corpus(str(path)):
            files.append(_corpus_file(str(path), use, spool))
        else:
            files.extend(DataFile(str(found), found) for found in find_files([path]))
    return list({os.path.abspath(file.path): file for file in files}.values())


def survey(files: Sequence[DataFile], use: Use, limit: int = UNPACKED_LIMIT) -> Iterator[DataFile]:
    """Read every file once and yield it with its size and digest.

    Raises:
        FileError: it cannot be read.
        CorruptData: it is compressed and damaged.
        LimitExceeded: it unpacks to more than ``limit``.
        UsageError: it is a file of a benchmark.
    """
    for file in files:
        digest, size, binary = hashlib.sha256(), 0, False
        for chunk in raw_chunks(file.path, limit):
            binary = binary or (size < _SNIFFED and b"\0" in chunk[:_SNIFFED])
            digest.update(chunk)
            size += len(chunk)
        check_file(file.name, file.path, size, digest.hexdigest(), use)
        yield replace(file, bytes=size, sha256=digest.hexdigest(), binary=binary)


def _standard_input(spool: Spool) -> DataFile:
    """Copy standard input, unless a copy is there already: whoever goes on after a crash has no pipe any more."""
    whole = spool.folder / _INPUT_NAME
    if not whole.exists():
        part = spool.folder / f".{_INPUT_NAME}.part"
        try:
            spool.folder.mkdir(parents=True, exist_ok=True)
            with open(0, "rb", closefd=False) as source, part.open("wb") as sink:
                _copy_bounded(source, sink, spool.limit)
            part.replace(whole)
        except OSError as error:
            raise FileError(f"cannot copy standard input to {whole}: {error.strerror or error}") from error
        finally:
            part.unlink(missing_ok=True)
    return DataFile(_INPUT_NAME, whole)


def _copy_bounded(source: BinaryIO, sink: BinaryIO, limit: int) -> None:
    size = 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise LimitExceeded(f"standard input brings more than the {limit:,} bytes allowed", "input")
        sink.write(chunk)


def _corpus_file(text: str, use: Use, spool: Spool) -> DataFile:
    corpus, file, part = corpus_part(text, use)
    target = spool.folder / f"{corpus.name}-{part.start}-{part.stop}"
    problem: ZipllmError | None = None
    for copy in find_copies(corpus, file, spool.places):
        try:
            spool.folder.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as sink:
                copy_verified(copy, file, sink, part)
        except CorruptData as error:
            problem = problem or error
        except OSError as error:
            raise FileError(f"cannot copy {text} to {target}: {error.strerror or error}") from error
        else:
            return DataFile(text, target)
    raise problem or FileError(f"{text}: no local copy (zipllm data fetch {corpus.name}, or --data-dir)")
