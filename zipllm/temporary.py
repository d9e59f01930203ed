"""The unfinished files of this process, known at every instant so that a signal can remove them.

A process that is killed outright leaves its file behind. Each file is locked as long as its process lives, so the next
run that writes into the same folder can tell: what nobody holds is removed.
"""

import contextlib
import fcntl
import functools
import operator
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_PREFIX = ".zipllm-"
_ENDING = ".tmp"
_unfinished: set[str] = set()
_cleaned: set[str] = set()

ABANDONED_SECONDS = 60
"""A file that changed less long ago may belong to a process that is about to lock or to publish it."""


def create_temporary(folder: str) -> tuple[int, str]:
    """Create a new file, readable by its owner only, and return its descriptor (write only) and path.

    ``O_EXCL`` refuses whatever somebody else put there, links included, so nobody can read or redirect the content
    while it is written. The name is registered before the file exists: a signal between the two finds it.

    Raises:
        OSError: the folder is missing, full or not writable.
    """
    while True:
        path = os.path.join(folder, f"{_PREFIX}{secrets.token_hex(8)}{_ENDING}")
        _unfinished.add(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(OSError):  # a file system without locks: then nobody removes the file either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor, path
        except OSError as error:
            _unfinished.discard(path)
            if not isinstance(error, FileExistsError):  # somebody else's: try another name
                raise


def discard_temporary(path: str) -> None:
    """Remove the file if it is still there and forget it."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    _unfinished.discard(path)


def discard_all() -> None:
    """Remove every unfinished file of this process; called when a signal ends it."""
    for path in tuple(_unfinished):
        discard_temporary(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Write a file that takes its name in one step: whole and on disk when the block ends without error, or not at all.

    Yields:
        The stream to write to, and the temporary path, from which it may be read back after a ``flush``.

    Raises:
        OSError: it cannot be written; an existing file stays as it was.
    """
    remove_abandoned(os.fspath(path.parent))
    descriptor, temporary = create_temporary(os.fspath(path.parent))
    try:
        with open(descriptor, "wb") as stream:
            yield stream, Path(temporary)
            stream.flush()
            with contextlib.suppress(OSError):  # file systems without modes
                os.fchmod(descriptor, 0o666 & ~umask())
            os.fsync(descriptor)
            os.replace(temporary, path)
    finally:
        discard_temporary(temporary)


def remove_abandoned(folder: str) -> None:
    """Remove what killed runs of the same user left in a folder; looks once in a process."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_temporary_name(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(entry.path)


def _remove_if_abandoned(path: str) -> None:
    """Raises ``OSError`` when somebody holds it, or when it is a link, a pipe or somebody else's."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        idle = time.time() - status.st_ctime  # unlike the time of modification it cannot be set
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and idle >= ABANDONED_SECONDS:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(descriptor)


def is_temporary_name(name: str) -> bool:
    """Whether a file of this name is the unfinished work of some run, perhaps one that was killed."""
    return name.startswith(_PREFIX) and name.endswith(_ENDING)


@contextlib.contextmanager
def private_as(sources: Iterable[Path | int]) -> Iterator[None]:
    """Create files inside that only those may read who may read every source (a path or a descriptor).

    The umask of the whole process is narrower meanwhile. Missing sources, pipes and devices do not count.
    """
    before = umask()
    os.umask(functools.reduce(operator.or_, map(_closed_to, sources), before))
    try:
        yield
    finally:
        os.umask(before)


def _closed_to(source: Path | int) -> int:
    """Return the bits of a umask that keep out group and others, as far as they cannot read a source."""
    try:
        status = os.stat(source)
    except OSError:
        return 0
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return 0
    others = bool(status.st_mode & stat.S_IROTH)
    group = status.st_mode & stat.S_IRGRP and (others or status.st_gid == os.getegid())
    return (0 if others else 0o007) | (0 if group else 0o070)


def umask() -> int:
    """Return the mode bits that new files do not get."""
    mask = os.umask(0o077)  # the mask can only be read by setting it; a strict one does no harm meanwhile
    os.umask(mask)
    return mask
