"""Files that hold a report: looked at before a long run, and replaced in one step after it."""

import os
from pathlib import Path

from zipllm.files.names import PathError


def check_report(path: Path, *, force: bool) -> None:
    """Find out before the work what would fail after it.

    Raises:
        PathError: the folder does not exist, or something is there that may not be replaced.
    """
    if not path.parent.is_dir():
        raise PathError(path, "its folder does not exist")
    if path.exists() and not path.is_file():
        raise PathError(path, "exists and is not a regular file")
    if path.exists() and not force:
        raise PathError(path, "already exists, not overwritten", "-f overwrites it")


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        PathError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PathError.from_os(path, error) from error
