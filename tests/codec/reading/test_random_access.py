"""A seek and a range decode the blocks that are read from, no others."""

import io
import random
import tracemalloc
from collections.abc import Callable

import pytest

import zipllm.codec.reading.random_access
from tests.codec.engines import TEXT, compress, decode_options
from tests.container.archives import archive_of
from zipllm.codec.block_decoding import decode_block
from zipllm.codec.reading.archive_file import ZipllmFile
from zipllm.codec.reading.extract import extract_range
from zipllm.codec.reading.random_access import RandomAccess
from zipllm.container import Block, BlockHeader, Limits, scan
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, UsageError
from zipllm.progress import Advance

CONTENT = TEXT * 2
SIZE = 100
ARCHIVE = compress(CONTENT, block_size=SIZE, lanes=2)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks that random access decodes."""
    sizes: list[int] = []

    def counting(block: Block, engine: Callable[[], Engine] | None, advance: Advance | None, limits: Limits) -> bytes:
        sizes.append(block.header.raw_size)
        return decode_block(block, engine, advance, limits)

    monkeypatch.setattr(zipllm.codec.reading.random_access, "decode_block", counting)
    return sizes


def opened(archive: bytes = ARCHIVE) -> ZipllmFile:
    return ZipllmFile(io.BytesIO(archive), decode=decode_options())


def test_seek_decodes_one_block(decoded: list[int]) -> None:
    with opened() as file:
        file.seek(5 * SIZE + 3)
        assert file.read1(4) == CONTENT[503:507]
        assert decoded == [SIZE]
        assert file.seek(0, io.SEEK_END) == len(CONTENT)
        assert file.read() == b""
        assert decoded == [SIZE]


def test_seek_anywhere() -> None:
    source = random.Random(7)
    with opened() as file:
        for _ in range(60):
            place, count = source.randrange(len(CONTENT) + 50), source.randrange(250)
            assert file.seek(place) == min(place, len(CONTENT))
            assert file.read(count) == CONTENT[place : place + count]
        file.seek(0)
        assert file.read() == CONTENT


def test_damaged_block_hurts_only_who_reads_it() -> None:
    items = [item for item in scan(io.BytesIO(ARCHIVE)) if isinstance(item.record, BlockHeader)]
    damaged = bytearray(ARCHIVE)
    damaged[items[2].payload_offset] ^= 0x40
    with opened(bytes(damaged)) as file:
        file.seek(4 * SIZE)
        assert file.read(50) == CONTENT[400:450]
        file.seek(2 * SIZE + 10)
        with pytest.raises(CorruptData, match=r"\(block 3, bytes 200 to 300 of the original\)"):
            file.read(1)
        file.seek(3 * SIZE)
        assert file.read(10) == CONTENT[300:310], "a seek gets over the error"


def test_whole_content_is_checked_when_read_from_the_beginning() -> None:
    with opened(ARCHIVE[:-12] + bytes([ARCHIVE[-12] ^ 1]) + ARCHIVE[-11:]) as file, pytest.raises(CorruptData):
        file.read()


def test_concatenated_archives_with_models_of_their_own() -> None:
    other = compress(TEXT, block_size=50)
    access = RandomAccess(io.BytesIO(ARCHIVE + other), options=decode_options())
    assert access.size == len(CONTENT) + len(TEXT)
    place = access.at(len(CONTENT))
    assert place is not None
    assert (place.number, len(access)) == (-(-len(CONTENT) // SIZE) + 1, -(-len(CONTENT) // SIZE) + -(-len(TEXT) // 50))
    assert b"".join(piece for _, piece in access.pieces(len(CONTENT) - 5, len(CONTENT) + 5)) == (
        CONTENT[-5:] + TEXT[:5]
    )
    assert access.at(access.size) is access.at(-1) is None


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 0), (99, 101), (250, 10_000), (len(CONTENT), None)])
def test_range(start: int, stop: int | None) -> None:
    sink = io.BytesIO()
    summary = extract_range(io.BytesIO(ARCHIVE), sink, start, stop, options=decode_options())
    assert sink.getvalue() == CONTENT[start:stop]
    assert summary.raw_bytes == len(sink.getvalue())


def test_range_behind_the_end() -> None:
    with pytest.raises(UsageError, match="the archive holds"):
        extract_range(io.BytesIO(ARCHIVE), io.BytesIO(), len(CONTENT) + 1, None, options=decode_options())


def test_index_takes_little_memory() -> None:
    """A block may have a single byte, so a large archive has millions of them."""
    source, count = io.BytesIO(archive_of(*[b"a"] * 20_000)), 20_000
    RandomAccess(io.BytesIO(archive_of(b"a")))
    tracemalloc.start()
    access = RandomAccess(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(access) == access.size == count
    assert peak < 50 * count
