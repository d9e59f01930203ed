"""Opening what is read: regular files, links, pipes, devices and standard input."""

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from typing import Self

from zipllm.files.names import PathError
from zipllm.files.stream import BUFFER_SIZE, NamedFile


@dataclass(frozen=True)
class Source:
    """An open input.

    Attributes:
        path: the path it was opened by, None for standard input.
        stream: the bytes; its errors are `PathError`.
        status: of the open descriptor, so it describes what is really read.
    """

    path: str | None
    stream: "io.BufferedReader[NamedFile]"
    status: os.stat_result

    @property
    def name(self) -> str:
        """The name for messages, not escaped."""
        return "stdin" if self.path is None else self.path

    @property
    def is_regular_file(self) -> bool:
        """Whether this is a named regular file, with a mode and times worth carrying over."""
        return self.path is not None and stat.S_ISREG(self.status.st_mode)

    @property
    def size(self) -> int | None:
        """Bytes left to read if known beforehand. A file of /proc says 0 and holds more, so 0 counts as unknown."""
        if not stat.S_ISREG(self.status.st_mode):
            return None
        offset = self.stream.tell() if self.path is None else 0
        return max(0, self.status.st_size - offset) or None

    def watch(self) -> None:
        """Remember a digest of what will be read from the beginning on, for ``remove``."""
        self.stream.raw.digest = hashlib.sha256()

    def remove(self) -> None:
        """Remove the file under its path, unless it is not the one that was read or was changed since.

        The time of the last change (ctime) cannot be set, and is compared before and after the content is read again.
        Only a change between the last look and the removal goes unnoticed, or one that another process makes later
        through a descriptor or a mapping that it keeps.

        Raises:
            PathError: the file was replaced, written to, or cannot be removed.
        """
        assert self.path is not None, "standard input has no name to remove"
        try:
            if not (self._is_unchanged(self.path) and self._holds_what_was_read() and self._is_unchanged(self.path)):
                raise PathError(self.path, "changed while it was read, not removed")
            os.unlink(self.path)
        except OSError as error:
            raise PathError.from_os(self.path, error) from error

    def _is_unchanged(self, path: str) -> bool:
        return _fingerprint(os.stat(path)) == _fingerprint(self.status)

    def _holds_what_was_read(self) -> bool:
        if self.stream.raw.digest is None:
            return True
        again, offset = hashlib.sha256(), 0
        while data := os.pread(self.stream.fileno(), 1 << 20, offset):
            again.update(data)
            offset += len(data)
        return again.digest() == self.stream.raw.digest.digest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stream.close()


def standard_input() -> Source:
    """Return standard input as bytes; `PathError` if it is closed or a directory."""
    try:
        status = os.fstat(0)
    except OSError as error:
        raise PathError.from_os("stdin", error) from error
    stream = io.BufferedReader(NamedFile(0, "r", "stdin", owned=False), BUFFER_SIZE)
    return Source(None, stream, status)


def open_source(path: str, *, follow: bool, special: bool) -> Source:
    """Open a file for reading.

    Args:
        path: as the user gave it.
        follow: read what a symbolic link points to; otherwise a link to a file is refused.
        special: read pipes and devices too; otherwise only regular files.

    Raises:
        PathError: missing, unreadable, a directory, or of a kind not allowed here.
    """
    try:
        return _open(path, follow, special)
    except OSError as error:
        raise PathError.from_os(path, error) from error


def _open(path: str, follow: bool, special: bool) -> Source:
    kind = _check_kind(path, follow, special)
    # Without O_NONBLOCK a pipe put in place of the regular file just now would make open() wait for a writer.
    nonblocking = os.O_NONBLOCK if kind == stat.S_IFREG else 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | nonblocking)
    raw = NamedFile(descriptor, "r", path)
    try:
        status = os.fstat(descriptor)
        if stat.S_IFMT(status.st_mode) != kind:
            raise PathError(path, "replaced by something else while it was opened")
    except BaseException:
        raw.close()
        raise
    return Source(path, io.BufferedReader(raw, BUFFER_SIZE), status)


def _check_kind(path: str, follow: bool, special: bool) -> int:
    """Return the kind of file (``stat.S_IFMT``) at the path, links followed, or refuse it."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        if os.path.islink(path):
            raise PathError(path, "is a link to a directory, skipped", "-rf takes the files in it")
        raise PathError(path, "is a directory, skipped", "-r takes the files in it")
    if stat.S_ISREG(mode):
        if not follow and os.path.islink(path):
            raise PathError(path, "is a symbolic link, skipped", "-f follows it")
    elif not special:
        raise PathError(path, "is not a regular file, skipped", "name the result with -o or use -c")
    return stat.S_IFMT(mode)


def _fingerprint(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
