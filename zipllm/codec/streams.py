"""Whole reads and writes on files, pipes and sockets, which may transfer less at a time."""

from zipllm.container.source import Readable
from zipllm.container.writer import Writable


class CountingSource:
    """A source that counts the bytes read from it. It hides ``seek``, which would make the count wrong."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.count = 0

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; empty at the end.

        Raises:
            BlockingIOError: the source is in non-blocking mode and has nothing yet.
        """
        data: bytes | None = self._source.read(size)
        if data is None:
            raise BlockingIOError("the source is in non-blocking mode; zipllm needs a blocking one")
        self.count += len(data)
        return data


def read_up_to(source: Readable, size: int) -> bytes:
    """Return ``size`` bytes; fewer only at the end of the source."""
    parts: list[bytes] = []
    while size:
        part = source.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_all(sink: Writable, data: bytes) -> None:
    """Write everything, even if the sink takes little at a time."""
    left = memoryview(data)
    while left:
        written = sink.write(left)  # type: ignore[arg-type]  # every binary file takes any buffer
        left = left[len(left) if written is None else written :]
