"""The folder of a run: one process works in it at a time, and a new run begins without traces of another."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from zipllm.data.reading import RUN_MARK
from zipllm.errors import FileError, UsageError
from zipllm.train.checkpoint import checkpoints, clean_checkpoints

_RESULTS = ("metrics.jsonl", "model.safetensors", "card.md", "best")
"""Files of a run that has begun to train; earlier versions kept ``best``."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder of a run; a folder made for it is removed again if nothing comes of it.

    Raises:
        UsageError: another process holds it; the message names the process.
        FileError: the folder cannot be created.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    mark = folder / RUN_MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from error
    try:
        _lock(descriptor, folder)
        clean_checkpoints(folder)
        yield
    finally:
        with contextlib.suppress(OSError):
            if os.listdir(folder) == [RUN_MARK]:
                mark.unlink()
            for path in missing:
                path.rmdir()
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode("ascii", "replace").strip() or "another process"
        raise UsageError(f"{folder} is in use by {owner}; --run names another folder") from None
    except OSError:
        return  # a file system without locks
    os.ftruncate(descriptor, 0)
    began = time.strftime("%Y-%m-%d %H:%M")
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {began}\n".encode("ascii", "replace"))


def check_folder(folder: Path, *, resume: bool) -> None:
    """Refuse to resume nothing, and to begin where another run has been. Raises ``UsageError``."""
    has_checkpoint = bool(checkpoints(folder))
    if resume and not has_checkpoint and not (folder / "data.json").exists() and not (folder / "input").exists():
        raise UsageError(f"{folder} has no checkpoint to resume; leave out --resume to begin")
    left = [name for name in _RESULTS if (folder / name).exists()]
    if not resume and (has_checkpoint or left):
        way = "--resume goes on, --run names another folder" if has_checkpoint else "--run names another folder"
        raise UsageError(f"{folder} holds an earlier run; {way}")
