"""From the data that a user names to files of known size and digest.

Users name files, folders, patterns (``logs/**/*.gz``), ``-`` for standard input, and parts of registered corpora
(``enwik8[0:90M]``). Standard input and corpora are copied first: a pipe can be read only once, and the digest of a
corpus has to be checked.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zipllm.data.local import Places, copy_bounded, copy_from_corpus
from zipllm.data.permission import Use, check_file, corpus_part, names_corpus
from zipllm.data.reading import find_files
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits, raw_chunks
from zipllm.errors import FileError
from zipllm.temporary import replacing

STDIN = Path("-")
_SNIFFED = 1 << 16
_INPUT_NAME = "stdin"


@dataclass(frozen=True)
class DataFile:
    """One file of data, by the user's name for it; the path may be of compressed bytes.

    Attributes:
        bytes: size of the raw content; 0 until ``survey``.
        sha256: of the raw content, hexadecimal; empty until ``survey``.
        binary: whether the start of the content holds a zero byte.
        ignored: whether bytes after the packed content are left out, as gzip and bzip2 do.
    """

    name: str
    path: Path
    bytes: int = 0
    sha256: str = ""
    binary: bool = False
    ignored: bool = False


@dataclass(frozen=True)
class Spool:
    """Where copies go (a folder, created with the first one), where corpora come from, and the limit on input."""

    folder: Path
    places: Places
    limits: UnpackLimits = UNPACK_LIMITS


def gather(paths: Sequence[Path], use: Use, spool: Spool, passed_over: list[Path] | None = None) -> list[DataFile]:
    """Return the files that the arguments name. Only standard input and corpora are read, to copy them.

    ``passed_over`` receives the training runs and models in folders, which are no data.

    Raises:
        FileError: something is missing or cannot be read, or a copy cannot be written.
        UsageError: an argument names data of a benchmark.
        CorruptData, LimitExceeded: as `copy_from_corpus` and `copy_bounded`.
    """
    files: list[DataFile] = []
    for path in paths:
        if path == STDIN:
            files.append(_standard_input(spool))
        elif names_corpus(str(path)):
            files.append(_corpus_file(str(path), use, spool))
        else:
            files.extend(DataFile(str(found), found) for found in find_files([path], passed_over))
    return list({os.path.abspath(file.path): file for file in files}.values())


def survey(files: Sequence[DataFile], use: Use, limits: UnpackLimits = UNPACK_LIMITS) -> Iterator[DataFile]:
    """Read every file once and yield it with its size and digest; errors as `raw_chunks` and `check_file`."""
    for file in files:
        digest, size, binary, ignored = hashlib.sha256(), 0, False, list[DataFile]()
        for chunk in raw_chunks(file.path, limits, ignored=lambda file=file, to=ignored: to.append(file)):  # type: ignore[misc]
            binary = binary or (size < _SNIFFED and b"\0" in chunk[:_SNIFFED])
            digest.update(chunk)
            size += len(chunk)
        check_file(file.name, file.path, size, digest.hexdigest(), use)
        yield replace(file, bytes=size, sha256=digest.hexdigest(), binary=binary, ignored=bool(ignored))


def _standard_input(spool: Spool) -> DataFile:
    """Copy standard input, unless an interrupted run has left a copy."""
    whole = spool.folder / _INPUT_NAME
    if not whole.exists():
        try:
            spool.folder.mkdir(parents=True, exist_ok=True)
            with open(0, "rb", closefd=False) as source, replacing(whole) as (sink, _):
                copy_bounded(source, sink, spool.limits.size, "standard input", "input")
        except OSError as error:
            raise FileError(f"cannot copy standard input to {whole}: {error.strerror or error}") from error
    return DataFile(_INPUT_NAME, whole)


def _corpus_file(text: str, use: Use, spool: Spool) -> DataFile:
    corpus, file, part = corpus_part(text, use)
    target = spool.folder / f"{corpus.name}-{part.start}-{part.stop}"
    try:
        spool.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot copy {text} to {target}: {error.strerror or error}") from error
    copy_from_corpus(corpus, file, spool.places, target, part)
    return DataFile(text, target)
