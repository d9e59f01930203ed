"""The inputs of ``zipllm eval``: those of the benchmark, unpacked files and standard input, up to a limit.

A packed file (``.gz``, ``.xz``, ``.bz2``, ``.zst``) is read as its content, as in training; the benchmark, which
compresses files, reads it as it is.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from zipllm.bench.inputs import FILES, BenchInput, CorpusPart, PathPart, resolve
from zipllm.data.local import Places
from zipllm.data.slices import check_slice
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits, open_raw
from zipllm.errors import UsageError
from zipllm.files.names import STDIN, means_stdin

_CHUNK = 1 << 20


@dataclass(frozen=True)
class RawInput:
    """Data to evaluate.

    Attributes:
        name: as the user gave it, or corpus and file; ``-`` for standard input.
        item: where the raw bytes lie.
        cut: whether the limit left bytes out.
    """

    name: str
    item: BenchInput
    cut: bool


def prepare_raw(
    arguments: Sequence[str],
    places: Places,
    folder: Path,
    stdin: Callable[[], IO[bytes]],
    limit: int | None = None,
    unpacking: UnpackLimits = UNPACK_LIMITS,  # frozen
) -> list[RawInput]:
    """Copy the raw bytes of all arguments into ``folder``.

    Args:
        arguments: corpora, slices of them, files, folders and ``-``.
        places: where to look for corpora.
        folder: receives the files.
        stdin: opens standard input; called for ``-``.
        limit: bytes to keep of each; the rest is read only to check a corpus.
        unpacking: limits on packed files.

    Raises:
        UsageError: an argument is neither a corpus nor a path, a slice is empty, or something is named twice.
        CorruptData: a copy of a corpus file is not that file.
        FileError: a corpus is missing, or a file cannot be read.
        LimitExceeded: a packed file passes the limits.
    """
    inputs: list[RawInput] = []
    for argument in arguments:
        for part in [None] if means_stdin(argument) else resolve(argument, places):
            name = STDIN if part is None else part.name
            if any(name == earlier.name for earlier in inputs):
                raise UsageError(f"{name} is named twice")
            target = folder / f"{len(inputs):06d}"
            if part is None:
                found = _copy(stdin(), target, (FILES, STDIN), 0, None, limit)
            elif isinstance(part, PathPart):
                found = _unpacked(part, target, limit, unpacking)
            else:
                found = _checked(part, target, limit)
            inputs.append(found)
    return inputs


def _checked(part: CorpusPart, target: Path, limit: int | None) -> RawInput:
    """Read a corpus file to its end regardless of the limit, to check its digest."""
    begin, end, _ = part.part.indices(part.file.bytes)
    kept = end if limit is None else min(end, begin + limit)
    item = replace(part, part=slice(begin, kept)).into(target)
    return RawInput(part.name, item, kept < end)


def _unpacked(part: PathPart, target: Path, limit: int | None, unpacking: UnpackLimits) -> RawInput:
    begin, end = 0, None
    if part.part != slice(None):
        begin, end = check_slice(part.name, part.part, _raw_size(part.path, unpacking))
    with open_raw(part.path, unpacking) as stream:
        found = _copy(stream, target, (part.place, part.label), begin, end, limit)
    return replace(found, name=part.name)


def _copy(
    stream: IO[bytes], target: Path, name: tuple[str, str], begin: int, end: int | None, limit: int | None
) -> RawInput:
    """Copy bytes ``begin`` to ``end`` (None: all), at most ``limit``, and note whether more follow."""
    end = sys.maxsize if end is None else end
    kept = end if limit is None else min(end, begin + limit)
    with target.open("wb") as sink:
        position = 0
        while position <= min(kept, end - 1) and (chunk := stream.read(_CHUNK)):
            sink.write(chunk[max(0, begin - position) : max(0, kept - position)])
            position += len(chunk)
    return RawInput(name[1], BenchInput.of_file(*name, target), kept < min(position, end))


def _raw_size(path: Path, unpacking: UnpackLimits) -> int:
    with open_raw(path, unpacking) as stream:
        return sum(map(len, iter(lambda: stream.read(_CHUNK), b"")))
