"""Listing without reading payloads, and fetching one block."""

import io
import itertools

import pytest

from tests.container.archives import MODEL_ID, Pipe, archive, archive_of, modeled, stored
from zipllm.container import ArchiveHeader, Block, BlockHeader, End, ModelHeader, ModelRecord, read_payload, scan
from zipllm.container.record import seal
from zipllm.errors import CorruptData, UnsupportedData

BLOCKS: list[Block] = [stored(b"first"), modeled(b"second", b"words"), stored(b"third")]
DATA = archive(BLOCKS, b"firstsecondthird", ModelRecord(MODEL_ID, b"model file"))


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_offsets() -> None:
    items = list(scan(io.BytesIO(DATA)))
    assert [type(item.record) for item in items] == [
        ArchiveHeader,
        ModelHeader,
        BlockHeader,
        BlockHeader,
        BlockHeader,
        End,
    ]
    assert items[0].offset == 0
    assert items[-1].end_offset == len(DATA)
    for item, following in itertools.pairwise(items):
        assert item.end_offset == following.offset
    assert [item.record for item in items[2:5]] == [block.header for block in BLOCKS]


def test_pipe_gives_the_same() -> None:
    assert list(scan(Pipe(DATA))) == list(scan(io.BytesIO(DATA)))


def test_offsets_begin_where_the_source_stands() -> None:
    source = io.BytesIO(b"before" + DATA)
    source.seek(6)
    assert next(scan(source)).offset == 6


def test_any_block_while_scanning() -> None:
    source = io.BytesIO(DATA + archive_of(b"fourth"))
    payloads = [read_payload(source, item) for item in scan(source) if isinstance(item.record, BlockHeader)]
    assert payloads == [b"first", b"words", b"third", b"fourth"]


def test_payloads_are_not_read() -> None:
    raw = bytes(1 << 20)
    source = CountingFile(archive_of(raw, raw, raw))
    assert sum(item.payload_size for item in scan(source)) == 3 * len(raw) + 2
    assert source.bytes_read < 200


def test_source_that_says_it_cannot_seek() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, offset: int, whence: int = 0, /) -> int:
            raise io.UnsupportedOperation("seek")

        def tell(self) -> int:
            raise io.UnsupportedOperation("tell")

    assert list(scan(Unseekable(DATA))) == list(scan(io.BytesIO(DATA)))


def test_truncation_inside_of_a_payload() -> None:
    place = DATA.index(b"words") + 2
    for source in (io.BytesIO(DATA[:place]), Pipe(DATA[:place])):
        with pytest.raises(CorruptData, match=r"truncated: a payload at byte \d+ has 5 bytes, only 2 are there"):
            list(scan(source))


def test_source_that_became_shorter() -> None:
    item = list(scan(io.BytesIO(DATA)))[3]
    with pytest.raises(CorruptData, match="truncated"):
        read_payload(io.BytesIO(DATA[: item.end_offset - 1]), item)


def test_damaged_payload_is_not_noticed() -> None:
    """What scan does not read it cannot check; everything else it does."""
    assert len(list(scan(io.BytesIO(DATA.replace(b"words", b"w0rds"))))) == 6
    with pytest.raises(CorruptData, match="end marker"):
        list(scan(io.BytesIO(DATA[:-1] + b"?")))
    with pytest.raises(UnsupportedData, match="unknown type"):
        list(scan(io.BytesIO(ArchiveHeader(1).encode() + seal(b"A\x01\x00"))))
