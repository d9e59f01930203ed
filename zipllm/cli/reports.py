"""Files that hold a report: checked before a long run, and replaced in one step after it."""

from pathlib import Path

from zipllm.files.names import PathError
from zipllm.temporary import replacing


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
    try:
        with replacing(path) as (stream, _):
            stream.write(text.encode("utf-8"))
    except OSError as error:
        raise PathError.from_os(path, error) from error
