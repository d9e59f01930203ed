"""Finds local data files in folders and by patterns, and cuts their content into documents."""

import contextlib
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits, raw_chunks
from zipllm.errors import FileError

DOCUMENT_BYTES = 1 << 16
RUN_MARK = ".zipllm-run"
"""A file in the folder of every training run; such folders are no data."""


def find_files(paths: Sequence[Path], passed_over: list[Path] | None = None) -> list[Path]:
    """Return the files named by ``paths``, each once.

    A folder stands for every file below it in sorted order, but for hidden files, training runs, and models of zipllm
    with their cards. A path that does not exist and contains ``*``, ``?`` or ``[`` is a pattern, in which ``**`` stands
    for any folders.

    Args:
        paths: files, folders and patterns.
        passed_over: receives the training runs and models left out.

    Raises:
        FileError: a path does not exist, a pattern matches nothing, or nothing was found.
    """
    found: list[Path] = []
    for path in paths:
        found.extend(_meant(path, [] if passed_over is None else passed_over))
    if not found:
        raise FileError(
            f"no files in {', '.join(map(str, paths))} (hidden files, models and training runs do not count)"
        )
    return list({os.path.abspath(path): path for path in found}.values())


def read_data(path: Path, limits: UnpackLimits = UNPACK_LIMITS) -> bytes:
    """Return all bytes of a file, unpacked by suffix; errors as in ``raw_chunks``."""
    return b"".join(raw_chunks(path, limits))


def documents(chunks: Iterable[bytes], size: int = DOCUMENT_BYTES) -> Iterator[bytes]:
    """Cut the chunks of one file into documents of at most ``size`` bytes, after newlines where possible."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        start = 0
        while len(rest) - start > size:
            newline = rest.rfind(b"\n", start + size // 2, start + size)
            end = newline + 1 if newline >= 0 else start + size
            yield rest[start:end]
            start = end
        rest = rest[start:]
    if rest:
        yield rest


def _meant(path: Path, passed_over: list[Path]) -> list[Path]:
    pattern = glob.has_magic(str(path))
    try:
        found = glob.glob(str(path), recursive=True) if pattern else []
        matches = [path] if path.exists() else sorted(map(Path, found))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    if not matches:
        raise FileError(f"{path}: {'no file matches this pattern' if pattern else 'no such file or folder'}")
    return [file for match in matches for file in (_walk(match, passed_over) if match.is_dir() else [match])]


def _walk(folder: Path, passed_over: list[Path]) -> list[Path]:
    """Return the regular files that are not hidden; an unreadable folder is an error, not an empty folder."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=_refuse):
        if RUN_MARK in names:
            folders.clear()
            passed_over.append(Path(root))
            continue
        folders[:] = [name for name in folders if name[0] != "."]
        found.extend(Path(root, name) for name in names if name[0] != ".")
    files = {path for path in found if path.is_file()}
    models = {path for path in files if path.suffix == ".safetensors" and _is_model(path)}
    passed_over.extend(sorted(models))
    return sorted(files - models - {model.with_suffix(".md") for model in models})


def _is_model(path: Path) -> bool:
    """Whether a file begins as zipllm's models do; see `zipllm.model_file`."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(40)[8:].startswith(b'{"__metadata__":{"zipllm"')
    return False


def _refuse(error: OSError) -> NoReturn:
    raise FileError(f"{error.filename}: {error.strerror or error}") from error
