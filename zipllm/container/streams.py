"""Whole reads and writes on files, pipes and sockets, which may transfer less at a time."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zipllm.errors import CorruptData, FileError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """Anything with a ``read`` like a binary file's; it may return fewer bytes than asked for, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """Anything with a ``write`` like a binary file's."""

    def write(self, data: bytes, /) -> int | None: ...


@runtime_checkable
class Seekable(Readable, Protocol):
    """A source that can also jump, if ``seekable()`` says so."""

    def seekable(self) -> bool: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


def read_up_to(source: Readable, size: int) -> bytes:
    """Return ``size`` bytes, or fewer if the source ends.

    Reads chunk by chunk, so that memory follows the bytes that arrive and never a declared size.

    Raises:
        BlockingIOError: the source is in non-blocking mode and has nothing yet.
    """
    parts = []
    while size:
        part: bytes | None = source.read(min(size, CHUNK_BYTES))
        if part is None:
            raise BlockingIOError("the source is in non-blocking mode; zipllm needs a blocking one")
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def byte_view(data: "ReadableBuffer") -> memoryview:
    """Return the bytes of any buffer; of an empty one too, which ``cast`` refuses if it has several dimensions."""
    view = memoryview(data)
    return view.cast("B") if view.nbytes else memoryview(b"")


def write_all(sink: Writable, data: bytes) -> None:
    """Write everything, even if the sink takes little at a time; a sink that returns None has taken all.

    Raises:
        FileError: the sink takes no bytes.
    """
    left = memoryview(data)
    while left:
        written = sink.write(left)  # type: ignore[arg-type]  # every binary file takes any buffer
        if written == 0:
            raise FileError("the output takes no more bytes")
        left = left[len(left) if written is None else written :]


class ByteSource:
    """Exact reads from a source, and where it stands.

    Attributes:
        position: offset of the next byte, from the source's own beginning if it can tell, else from the first read.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._seekable: Seekable | None = None
        self.position = 0
        if isinstance(source, Seekable) and source.seekable():
            self._seekable = source
            self.position = source.tell()

    def read_up_to(self, count: int) -> bytes:
        """Return ``count`` bytes, or fewer if the source ends."""
        data = read_up_to(self._source, count)
        self.position += len(data)
        return data

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
        """Step over ``count`` bytes, by a jump if the source can seek.

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
