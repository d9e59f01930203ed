"""Writing results: all of the file appears under its name, or nothing does.

A regular file is written under a temporary name in its own folder, mode 0600 from its first moment, then given the
mode, owner and times of the source, forced to disk, and published in one step. Pipes, devices and standard output
have no such step and receive the bytes directly.
"""

import contextlib
import errno
import io
import os
import stat
from typing import Self

from zipllm.files.names import PathError
from zipllm.files.source import Source
from zipllm.files.stream import BUFFER_SIZE, NamedFile
from zipllm.temporary import create_temporary, discard_temporary, remove_abandoned, umask

_STDOUT_PATHS = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


class Output:
    """A pipe, a device or standard output: bytes leave at once and cannot be taken back.

    Leaving the ``with`` block without ``commit`` discards what has not left yet.

    Attributes:
        name: for messages, not escaped.
        stream: takes the bytes.
        keeps: whether the bytes lie in a regular file afterwards, so the source may be removed.
    """

    keeps = False

    def __init__(self, name: str, descriptor: int, *, owned: bool = True) -> None:
        self.name = name
        self._raw = NamedFile(descriptor, "w", name, owned=owned)
        self.stream = io.BufferedWriter(self._raw, BUFFER_SIZE)

    def commit(self) -> None:
        """Finish: after this the result is complete and safe.

        Raises:
            PathError: it cannot be written in full, or published.
            BrokenPipeError: the reader went away.
        """
        self.stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._raw.discarding = True  # what commit could not write, closing must not try again
        self.stream.close()


class FileOutput(Output):
    """A regular file that appears under its name, complete, when it is committed."""

    keeps = True

    def __init__(self, path: str, source: Source, *, force: bool) -> None:
        self._source = source
        self._force = force
        self._folder = os.path.dirname(path) or "."
        remove_abandoned(self._folder)
        try:
            descriptor, self._temporary = create_temporary(self._folder)
        except OSError as error:
            raise PathError.from_os(path, error) from error
        super().__init__(path, descriptor)

    def commit(self) -> None:
        try:
            self.stream.flush()
            _carry_metadata(self._raw.fileno(), self._source)
            _sync(self._raw.fileno())
            self.stream.close()
            self._publish()
        except OSError as error:
            raise PathError.from_os(self.name, error) from error
        discard_temporary(self._temporary)
        _sync_folder(self._folder)

    def _publish(self) -> None:
        if self._force:
            os.replace(self._temporary, self.name)
            return
        try:
            os.link(self._temporary, self.name)  # unlike a rename, this never replaces a file that came meanwhile
        except FileExistsError:
            raise _already_exists(self.name) from None
        except OSError:  # a file system without hard links
            if os.path.lexists(self.name):
                raise _already_exists(self.name) from None
            os.rename(self._temporary, self.name)

    def __exit__(self, *_error: object) -> None:
        super().__exit__()
        discard_temporary(self._temporary)


def standard_output() -> Output:
    """Return standard output as bytes; `PathError` if it is closed."""
    return Output("stdout", 1, owned=False)


def is_standard_output(path: str) -> bool:
    """Whether the path means standard output; as a file it would be replaced instead of written to."""
    return path in _STDOUT_PATHS


def create_output(path: str, source: Source, *, force: bool) -> Output:
    """Open the place for a result.

    Args:
        path: a new file, an existing one if ``force``, or a pipe or character device, which is written to directly.
        source: what the result is made from; its mode, owner and times go to a regular file.
        force: replace an existing file, in one step, on commit.

    Raises:
        PathError: it exists, is the source itself, is of a wrong kind, or cannot be created.
    """
    try:
        return _create(path, source, force)
    except OSError as error:
        raise PathError.from_os(path, error) from error


def _create(path: str, source: Source, force: bool) -> Output:
    if not path:
        raise PathError(path, "is no name for a file")
    try:
        os.lstat(path)
    except FileNotFoundError:
        return FileOutput(path, source, force=force)
    with contextlib.suppress(FileNotFoundError):  # a link to nothing counts as an existing file
        status = os.stat(path)
        if os.path.samestat(status, source.status) and stat.S_ISREG(status.st_mode):
            raise PathError(path, "is the input itself")
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            return Output(path, os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY))
        if not stat.S_ISREG(status.st_mode):
            raise PathError(path, "exists and is not a regular file")
    if not force:
        raise _already_exists(path)
    return FileOutput(path, source, force=True)


def _already_exists(path: str) -> PathError:
    return PathError(path, "already exists, not overwritten", "-f overwrites it")


def _carry_metadata(descriptor: int, source: Source) -> None:
    """Give the result the permissions, owner and times of a regular source, or the usual ones of a new file.

    File systems without some of these refuse to set them. The content is what counts then, and the mode stays 0600.
    """
    if not source.is_regular_file:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o666 & ~umask())
        return
    status = source.status
    mode = status.st_mode & 0o777  # never setuid, setgid or sticky
    with contextlib.suppress(OSError):
        os.fchown(descriptor, status.st_uid, -1)
    try:
        os.fchown(descriptor, -1, status.st_gid)
    except OSError:
        # The result stays with another group, which may do only what the old group and everybody else could.
        mode &= 0o707 | ((mode & 0o007) << 3)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, mode)
    with contextlib.suppress(OSError):
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _sync(descriptor: int) -> None:
    """Force the content to disk before it gets its name, or a power cut could leave an empty file."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise


def _sync_folder(folder: str) -> None:
    """Make the new name survive a power cut, where the file system can; the file is whole either way."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
