"""Whole archives: written and read back, in order, one after another, from anything that can be read."""

import io
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.container.archives import MODEL_ID, Pipe, archive, archive_of, decode_stored, modeled, records, stored
from zipllm.container import (
    ArchiveHeader,
    ArchiveReader,
    ArchiveWriter,
    Block,
    BlockHeader,
    Coding,
    CodingParameters,
    End,
    ModelRecord,
)
from zipllm.container.samples import SOUND, Layout
from zipllm.errors import CorruptData, FileError, UsageError

RAW = st.binary(min_size=1, max_size=60)


@st.composite
def coded_blocks(draw: st.DrawFn) -> list[tuple[bytes, Block]]:
    """Blocks of all codings; payloads are arbitrary, the container does not decode them."""
    pairs = []
    for raw in draw(st.lists(RAW, max_size=6)):
        coding = draw(st.sampled_from(Coding))
        payload = draw(st.binary(max_size=60))
        if coding == Coding.STORED:
            pairs.append((raw, stored(raw)))
        elif coding == Coding.MODEL:
            pairs.append((raw, modeled(raw, payload, draw(st.integers(1, len(raw))))))
        elif coding == Coding.HISTORY:
            parameters = CodingParameters(1, 24, mixer=1, history=12)
            pairs.append((raw, Block(BlockHeader(coding, len(raw), len(payload), crc32(raw), parameters), payload)))
        else:
            layout = Layout(SOUND, 0, len(raw), 1, 1) if coding == Coding.SAMPLES else None
            pairs.append((raw, Block(BlockHeader(coding, len(raw), len(payload), crc32(raw), layout=layout), payload)))
    return pairs


@given(coded_blocks(), st.none() | st.binary(min_size=1), st.booleans(), st.integers(1, 100))
def test_round_trip(pairs: list[tuple[bytes, Block]], embedded: bytes | None, known: bool, most: int) -> None:
    blocks = [block for _, block in pairs]
    raw = b"".join(raw for raw, _ in pairs)
    data = archive(blocks, raw, ModelRecord(MODEL_ID, embedded), known)
    header, model, *read, end = ArchiveReader(Pipe(data, most))
    assert header == ArchiveHeader(1 << 20, len(raw) if known else None)
    assert model == ModelRecord(MODEL_ID, embedded)
    assert read == blocks
    assert isinstance(end, End)
    assert end.original_size == len(raw)


@given(st.lists(RAW, max_size=5), st.booleans())
def test_stored_content(raws: list[bytes], known: bool) -> None:
    assert decode_stored(archive_of(*raws, known=known)) == b"".join(raws)


@pytest.mark.parametrize("known", [True, False])
def test_empty_archive_is_small(known: bool) -> None:
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(1 << 24, 0 if known else None))
    writer.end(bytes(32))
    assert writer.size == len(sink.getvalue()) <= 64


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("bits", range(25))
def test_growth_of_one_stored_block(bits: int, known: bool) -> None:
    """The largest block of each length; what does not fit one more block has the slack of another."""
    size = min((2 << bits) - 1, 1 << 24)
    header = ArchiveHeader(1 << 24, size if known else None).encode()
    block = BlockHeader(Coding.STORED, size, size, 0).encode()
    end = End(size, bytes(32)).encode(header_has_size=known)
    assert len(header) + len(block) + len(end) <= 64 + 16


@given(st.lists(st.lists(RAW, max_size=3), min_size=1, max_size=4))
def test_concatenation(contents: list[list[bytes]]) -> None:
    data = b"".join(archive_of(*raws, known=bool(number % 2)) for number, raws in enumerate(contents))
    assert decode_stored(data) == b"".join(b"".join(raws) for raws in contents)
    assert sum(isinstance(record, End) for record in records(data)) == len(contents)


def test_two_archives_by_one_writer() -> None:
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    for raw in (b"one", b"two"):
        writer.begin(ArchiveHeader(8))
        writer.block(stored(raw).header, raw)
        writer.end(bytes(32))
    assert [record.payload for record in records(sink.getvalue()) if isinstance(record, Block)] == [b"one", b"two"]


@pytest.mark.parametrize("garbage", [b"\x00", b"\n", b"garbage", bytes(4096), b"\x89ZLX", b"\x89ZLM\r\n\x1a\r"])
def test_trailing_bytes(garbage: bytes) -> None:
    data = archive_of(b"raw")
    with pytest.raises(CorruptData, match=f"after the end of the archive, at byte {len(data)}"):
        records(data + garbage)


@pytest.mark.parametrize("first", [1, 7, 8])
def test_second_archive_truncated(first: int) -> None:
    with pytest.raises(CorruptData, match=f"truncated: only {first} bytes"):
        records(archive_of(b"raw") + archive_of(b"raw")[:first])


def test_second_model() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", ModelRecord(MODEL_ID))
    start = len(ArchiveHeader(1 << 20, 3).encode())
    model = data[start : start + len(ModelRecord(MODEL_ID).header().encode())]
    with pytest.raises(CorruptData, match="second model"):
        records(data[:start] + model + data[start:])
    with pytest.raises(CorruptData, match="before the record that names its model"):
        records(data[:start] + data[start + len(model) :])


def test_each_archive_names_its_own_model() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", ModelRecord(MODEL_ID))
    assert len(records(data + data)) == 8
    without_model = data.replace(ModelRecord(MODEL_ID).header().encode(), b"")
    with pytest.raises(CorruptData, match="before the record that names its model"):
        records(data + without_model)


def test_block_over_the_block_size() -> None:
    data = ArchiveHeader(2).encode() + stored(b"raw").header.encode() + b"raw"
    with pytest.raises(CorruptData, match="the header allows 2"):
        records(data)


def test_missing_block() -> None:
    first, second = stored(b"first"), stored(b"second")
    whole = archive([first, second], b"firstsecond")
    for block in (first, second):
        with pytest.raises(CorruptData, match="a block is missing"):
            records(whole.replace(block.header.encode() + block.payload, b""))


@pytest.mark.parametrize(("known", "message"), [(True, "the header states 11"), (False, "the archive states 11")])
def test_duplicated_block(known: bool, message: str) -> None:
    first, second = stored(b"first"), stored(b"second")
    block = first.header.encode() + first.payload
    whole = archive([first, second], b"firstsecond", known=known)
    with pytest.raises(CorruptData, match=message):
        records(whole.replace(block, block + block))


def test_swapped_blocks_have_another_content() -> None:
    first, second = stored(b"first"), stored(b"other")
    swapped = archive([second, first], b"firstother")
    with pytest.raises(CorruptData, match="content is damaged"):
        decode_stored(swapped)


def test_writer_refuses_records_before_the_header() -> None:
    writer = ArchiveWriter(io.BytesIO())
    with pytest.raises(UsageError, match="no archive has been begun"):
        writer.end(bytes(32))
    with pytest.raises(UsageError, match="no archive has been begun"):
        writer.model(ModelRecord(MODEL_ID))
    with pytest.raises(UsageError, match="no archive has been begun"):
        writer.block(stored(b"raw").header, b"raw")


def test_writer_refuses_wrong_order() -> None:
    writer = ArchiveWriter(io.BytesIO())
    writer.begin(ArchiveHeader(8))
    with pytest.raises(UsageError, match="before the one before has ended"):
        writer.begin(ArchiveHeader(8))
    coded = modeled(b"raw", b"words")
    with pytest.raises(UsageError, match="needs its model"):
        writer.block(coded.header, coded.payload)
    writer.model(ModelRecord(MODEL_ID))
    with pytest.raises(UsageError, match="one model only"):
        writer.model(ModelRecord(MODEL_ID))


def test_writer_refuses_wrong_sizes() -> None:
    writer = ArchiveWriter(io.BytesIO())
    writer.begin(ArchiveHeader(4))
    with pytest.raises(UsageError, match="payload of 2 bytes is declared as 3"):
        writer.block(stored(b"raw").header, b"ra")
    with pytest.raises(UsageError, match="the header allows 4"):
        writer.block(stored(b"longer").header, b"longer")


def test_input_that_changed_its_size() -> None:
    writer = ArchiveWriter(io.BytesIO())
    writer.begin(ArchiveHeader(8, 4))
    writer.block(stored(b"raw").header, b"raw")
    with pytest.raises(FileError, match="4 bytes long at first, then 3"):
        writer.end(bytes(32))


class Sink:
    """Takes at most ``most`` bytes a call and says how many, or takes all and says nothing."""

    def __init__(self, most: int | None) -> None:
        self.data = b""
        self._most = most

    def write(self, data: bytes, /) -> int | None:
        taken = data if self._most is None else data[: self._most]
        self.data += taken
        return None if self._most is None else len(taken)


@pytest.mark.parametrize("most", [1, 7, None])
def test_short_writes(most: int | None) -> None:
    sink = Sink(most)
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(1 << 20, 3))
    writer.block(stored(b"raw").header, b"raw")
    content = archive_of(b"raw")
    writer.end(content[-38:-6])
    assert sink.data == content
    assert writer.size == len(content)


def test_sink_that_takes_nothing() -> None:
    with pytest.raises(FileError, match="takes no more bytes"):
        ArchiveWriter(Sink(0)).begin(ArchiveHeader(1))


def test_large_payload_goes_in_and_out_in_chunks() -> None:
    raw = bytes(range(256)) * 10_000
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(1 << 24))
    writer.block(stored(raw).header, raw)
    writer.end(bytes(32))
    reader = ArchiveReader(Pipe(sink.getvalue(), 1 << 16))
    assert [record.payload for record in reader if isinstance(record, Block)] == [raw]


def test_source_is_not_read_past_what_is_needed() -> None:
    """A header can be shown before the rest of a slow pipe has arrived."""
    source = io.BytesIO(archive_of(b"raw"))
    reader = ArchiveReader(source)
    assert next(iter(reader)) == ArchiveHeader(1 << 20, 3)
    assert source.tell() == len(ArchiveHeader(1 << 20, 3).encode())
