"""Byte streams whose errors name the file, and that wait where plain ones would return less than was asked for."""

from __future__ import annotations

import io
import select
from typing import TYPE_CHECKING, cast

from zipllm.files.names import PathError

if TYPE_CHECKING:
    import hashlib

    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 1 << 16


class NamedFile(io.FileIO):
    """An open descriptor as a raw stream that raises `PathError` instead of a nameless `OSError`.

    A pipe inherited from a parent may be non-blocking; Python's buffered streams then stop early, which would look
    like the end of the file. Here such a read or write waits instead. `BrokenPipeError` passes unchanged: it is no
    failure of ours, and ends the program in silence.

    Args:
        descriptor: closed with the stream if ``owned``.
        mode: ``r`` or ``w``.
        label: the name for messages.
    """

    def __init__(self, descriptor: int, mode: str, label: str, *, owned: bool = True) -> None:
        self.label = label
        self.discarding = False
        self.digest: hashlib._Hash | None = None  # of all bytes read, if somebody wants it
        try:
            super().__init__(descriptor, mode, closefd=owned)
        except OSError as error:
            raise PathError.from_os(label, error) from error

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            while (count := cast("int | None", super().readinto(buffer))) is None:
                self._wait(select.POLLIN)
        except OSError as error:
            raise PathError.from_os(self.label, error) from error
        if self.digest is not None:
            self.digest.update(memoryview(buffer)[:count])
        return count

    def readall(self) -> bytes:
        chunks = iter(lambda: self.read(BUFFER_SIZE), b"")
        return b"".join(chunks)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(buffer)])

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of the data and return how much, or pretend to when the file is to be thrown away."""
        if self.discarding:
            return memoryview(data).nbytes
        try:
            while (count := cast("int | None", super().write(data))) is None:
                self._wait(select.POLLOUT)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise PathError.from_os(self.label, error) from error
        return count

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.fileno(), event)
        poll.poll()
