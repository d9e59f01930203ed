"""Files that hold a report: checked before a long run, and replaced in one step after it; a folder for scratch."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zipllm.files.names import PathError
from zipllm.files.signals import before_signal_exit
from zipllm.temporary import replacing


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder; it goes at the end of the block, and when a signal ends the process."""
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as folder,
        before_signal_exit(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        yield Path(folder)


def check_report(path: Path, *, force: bool, hint: str = "-f overwrites it") -> None:
    """Raise `PathError` before the work if the folder does not exist, or holds something that may not be replaced."""
    if not path.parent.is_dir():
        raise PathError(path, "its folder does not exist")
    if path.exists() and not path.is_file():
        raise PathError(path, "exists and is not a regular file")
    if path.exists() and not force:
        raise PathError(path, "already exists, not overwritten", hint)


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all. Raises `PathError` if it cannot be written."""
    try:
        with replacing(path) as (stream, _):
            stream.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise PathError.from_os(path, error) from error
