"""Reading and writing whole pieces on files, pipes and sockets that take or give less at a time."""

from typing import Protocol


class Readable(Protocol):
    """Anything with a ``read`` like a binary file's; it may return fewer bytes than asked for."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """Anything with a ``write`` like a binary file's."""

    def write(self, data: bytes, /) -> int | None: ...


class CountingSource:
    """A source that knows how many bytes have been taken from it.

    It hides ``seek`` on purpose: whoever counts reads cannot allow jumps.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.count = 0

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end.

        Raises:
            BlockingIOError: the source is in non-blocking mode and has nothing yet.
        """
        data: bytes | None = self._source.read(size)
        if data is None:
            raise BlockingIOError("the source is in non-blocking mode; zipllm needs a blocking one")
        self.count += len(data)
        return data


def read_up_to(source: Readable, size: int) -> bytes:
    """Return ``size`` bytes, or fewer at the end of the source only."""
    parts: list[bytes] = []
    while size:
        part = source.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_all(sink: Writable, data: bytes) -> None:
    """Write everything, however little the sink takes at a time."""
    left = memoryview(data)
    while left:
        written = sink.write(left)  # type: ignore[arg-type]  # every binary file takes any buffer
        left = left[len(left) if written is None else written :]
