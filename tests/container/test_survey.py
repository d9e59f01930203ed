"""Searching behind damage takes time in proportion to the bytes, however the records lie."""

import io
from collections.abc import Callable

import pytest

from tests.container.archives import archive_of, stored
from zipllm.container import ArchiveHeader, End
from zipllm.container.record import RecordType, frame
from zipllm.container.survey import Survey


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def nested(count: int) -> bytes:
    """Headers of stored blocks, each of which claims everything behind it."""
    parts, size = [bytes(16)], 16
    for _ in range(count):
        parts.append(frame(RecordType.BLOCK, size, bytes(5)))
        size += len(parts[-1])
    return b"".join(reversed(parts))


def ends(count: int) -> bytes:
    block = stored(b"a")
    return (block.header.encode() + b"a") * count + bytes(30) + End(1, bytes(32)).encode(False) * count + b"\0"


def letters(count: int) -> bytes:
    """Everything may be a record header."""
    return b"B\xff" * (20 * count)


def many(count: int) -> bytes:
    return archive_of(*[b"a"] * count)[20:]


@pytest.mark.parametrize("make", [nested, ends, letters, many])
def test_work_is_linear(make: Callable[[int], bytes]) -> None:
    data = ArchiveHeader(1 << 24).encode() + make(3000)
    source = CountingFile(data)
    found = Survey(source, 1)
    count = sum(1 for _ in found.records()) + sum(1 for _ in found.others(lambda _item: True))
    # The source once, and for each record that is given out again its header.
    assert source.bytes_read <= len(data) + 300 + 300 * count
    assert count <= len(data) // 12


def test_tail_leads_to_the_end() -> None:
    data = archive_of(b"first", b"second", b"third")
    found = Survey(io.BytesIO(data), 0)
    assert next(found.records()).offset == found.tail == 0
    assert list(found.others(lambda _item: True)) == []
    assert Survey(io.BytesIO(data + b"x"), 0).tail == len(data) + 1
    assert Survey(io.BytesIO(data + data), 1).tail < len(data), "an archive follows the END of the first"


def test_two_chains_share_their_end() -> None:
    """A block that hides in the payload of another leads to the end, too."""
    inner = stored(b"inner")
    hidden = inner.header.encode() + inner.payload
    outer = stored(b"xyz" + hidden)
    last = stored(b"last").header.encode() + b"last" + End(9, bytes(32)).encode(True)
    data = outer.header.encode() + outer.payload + last
    found = Survey(io.BytesIO(data), 0)
    assert found.tail == len(outer.header.encode() + outer.payload)
