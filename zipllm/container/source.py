"""Exact reads from a file, a pipe or a socket: all bytes that were asked for, or an error that says where."""

from typing import Protocol, runtime_checkable

from zipllm.errors import CorruptData

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """Anything with a ``read`` like a binary file's; it may return fewer bytes than asked for, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


@runtime_checkable
class Seekable(Readable, Protocol):
    """A source that may also jump, when ``seekable()`` says so."""

    def seekable(self) -> bool: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


class ByteSource:
    """Counts and completes the reads from a :class:`Readable`.

    Memory follows the bytes that arrive, never a declared size: large reads go chunk by chunk.

    Attributes:
        position: offset of the next byte; from the source's own beginning when it can tell, else from here.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._seekable: Seekable | None = None
        self.position = 0
        if isinstance(source, Seekable) and source.seekable():
            self._seekable = source
            self.position = source.tell()

    def read_up_to(self, count: int) -> bytes:
        """Return ``count`` bytes, or fewer when the source ends before."""
        parts = []
        while count:
            part = self._source.read(min(count, CHUNK_BYTES))
            if not part:
                break
            parts.append(part)
            count -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def read(self, count: int, what: str) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            CorruptData: the source ends before; the message names ``what`` and the place.
        """
        start = self.position
        data = self.read_up_to(count)
        if len(data) < count:
            raise CorruptData(_truncated(what, start, count, len(data)))
        return data

    def skip(self, count: int, what: str) -> None:
        """Step over ``count`` bytes, by a jump where the source can.

        Raises:
            CorruptData: the source ends before.
        """
        start = self.position
        if self._seekable is not None:
            end = self._seekable.seek(0, 2)
            if end < start + count:
                raise CorruptData(_truncated(what, start, count, end - start))
            self.position = self._seekable.seek(start + count)
            return
        while self.position < start + count:
            if not self.read_up_to(min(CHUNK_BYTES, start + count - self.position)):
                raise CorruptData(_truncated(what, start, count, self.position - start))


def _truncated(what: str, start: int, wanted: int, found: int) -> str:
    return f"the archive is truncated: {what} at byte {start} has {wanted} bytes, only {found} are there"
