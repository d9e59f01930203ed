"""Damage stays local: whole blocks come back at their places, everything else is named."""

import io
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.codec.engines import TEXT, byte_engine, compress, decode_options, decompress
from tests.vectors.make_vectors import vectors
from tests.vectors.parts import Vector
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.salvage import salvage_stream
from zipllm.container import BlockHeader, Coding, End, Limits, ModelHeader, Scanned, scan
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, LimitExceeded, ModelNotFound, ZipllmError
from zipllm.progress import Summary

SIZE = 100
CONTENT = random.Random(5).randbytes(150) + TEXT[:250] + bytes(150) + TEXT[:100]
ARCHIVE = compress(CONTENT, block_size=SIZE, fallback=True, lanes=2)
MODELED = compress(CONTENT, block_size=SIZE, lanes=2)


def salvage(
    archive: bytes, fallback: Callable[[], Engine] | None = None, progress: Any = None, **options: Any
) -> tuple[bytes, Summary]:
    sink = io.BytesIO()
    decoding = decode_options(**options)
    summary = salvage_stream(io.BytesIO(archive), sink, options=decoding, fallback=fallback, progress=progress)
    assert summary.raw_bytes == len(sink.getvalue())
    return sink.getvalue(), summary


def unknown(model_id: bytes) -> Engine:
    raise ModelNotFound(model_id.hex())


def blocks(archive: bytes = ARCHIVE) -> list[Scanned]:
    return [item for item in scan(io.BytesIO(archive)) if isinstance(item.record, BlockHeader)]


def coding_of(item: Scanned) -> Coding:
    assert isinstance(item.record, BlockHeader)
    return item.record.coding


def flip(archive: bytes, at: int) -> bytes:
    return archive[:at] + bytes([archive[at] ^ 0x10]) + archive[at + 1 :]


def without(number: int) -> bytes:
    """The content with zeros in the place of a block."""
    return CONTENT[: number * SIZE] + bytes(len(CONTENT[number * SIZE :][:SIZE])) + CONTENT[(number + 1) * SIZE :]


def test_whole_archive() -> None:
    content, summary = salvage(ARCHIVE)
    assert (content, summary.lost, summary.blocks) == (CONTENT, (), 7)
    assert salvage(ARCHIVE * 2)[0] == CONTENT * 2


def test_codings_of_the_sample_differ() -> None:
    """The tests below prove something only then."""
    assert len({coding_of(item) for item in blocks()}) >= 3


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("part", ["payload", "record header"])
def test_one_block_lost(number: int, part: str) -> None:
    item = blocks()[number]
    content, summary = salvage(flip(ARCHIVE, item.payload_offset if part == "payload" else item.offset + 2))
    assert content == without(number)
    (lost,) = summary.lost
    end = number * SIZE if content == CONTENT else min(len(CONTENT), (number + 1) * SIZE)  # zeros were right
    assert (lost.begin, lost.end, lost.uncertain) == (number * SIZE, end, False)


def test_two_lost_blocks_that_can_be_counted() -> None:
    damaged = flip(flip(ARCHIVE, blocks()[1].payload_offset), blocks()[4].payload_offset)
    content, summary = salvage(damaged)
    assert [(lost.begin, lost.end) for lost in summary.lost] == [(100, 200), (400, 500)]
    assert content == without(1)[:400] + bytes(100) + CONTENT[500:]


def test_blocks_between_two_lost_record_headers_are_uncertain() -> None:
    """They may stand at a wrong place, or belong to an archive inside of a lost block."""
    content, summary = salvage(flip(flip(ARCHIVE, blocks()[1].offset + 2), blocks()[5].offset + 2))
    assert content == CONTENT[:100] + CONTENT[200:500] + bytes(100 + 100) + CONTENT[600:]
    assert [(lost.begin, lost.end, lost.uncertain) for lost in summary.lost] == [(100, 400, True), (400, 600, False)]
    assert str(summary.lost[0]) == "bytes 100 to 400 are uncertain: they stand between damaged records"


def test_border_of_archives_in_the_damage() -> None:
    """Nobody knows what is lost; nothing behind it is called good."""
    joined = known_size(CONTENT) + known_size(CONTENT[::-1])
    begin, end = blocks(joined)[5].offset, blocks(joined)[10].offset
    for damaged in (joined[:begin] + bytes(end - begin) + joined[end:], joined[:begin] + joined[end:]):
        content, summary = salvage(damaged)
        assert content.startswith(CONTENT[:500])
        assert any(lost.uncertain and lost.end == len(content) for lost in summary.lost)
    halves = joined[: blocks(joined)[2].offset] + bytes(2000) + joined[blocks(joined)[9].offset :]
    content, summary = salvage(halves)
    assert (content[:200], len(content)) == (CONTENT[:200], 650), "as much as the header states"
    assert [(lost.begin, lost.end, lost.uncertain) for lost in summary.lost] == [(200, None, False), (200, 650, True)]


def test_end_of_another_archive() -> None:
    """An archive between the two was lost, so the third stands at a place that nobody knows."""
    archives = [known_size(bytes([letter]) * 250) for letter in b"abc"]
    content, summary = salvage(archives[0][:-41] + archives[1][-41:] + archives[2])
    assert content == b"a" * 250 + b"c" * 250
    assert (summary.lost[-1].end, summary.lost[-1].uncertain) == (500, True)


def test_losses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.codec.reading.salvage.MOST_LOST", 2)
    damaged = ARCHIVE
    for number in (0, 2, 5):
        damaged = flip(damaged, blocks()[number].payload_offset)
    _, summary = salvage(damaged)
    assert [(lost.begin, lost.end) for lost in summary.lost] == [(0, 100), (200, 300), (500, 650)]
    assert "more than 2 places" in str(summary.lost[-1])


def known_size(content: bytes) -> bytes:
    sink, options = io.BytesIO(), EncodeOptions(block_size=SIZE)
    compress_stream(io.BytesIO(content), sink, engine=None, options=options, original_size=len(content))
    return sink.getvalue()


def test_every_truncation() -> None:
    archive = known_size(CONTENT)
    ends = [item.end_offset for item in blocks(archive)]
    for size in range(ends[0], len(archive)):
        content, summary = salvage(archive[:size])
        whole = sum(end <= size for end in ends)
        assert content == (CONTENT[: whole * SIZE] + bytes(len(CONTENT)))[: len(CONTENT)]
        assert summary.lost


@pytest.mark.parametrize(("archive", "step"), [(ARCHIVE, 1), (MODELED, 7)], ids=["conventional", "model"])
def test_flip_of_every_byte(archive: bytes, step: int) -> None:
    """Blocks come back right and in order, or as zeros, or are left out; never as other bytes."""
    whole = [CONTENT[begin : begin + SIZE] for begin in range(0, len(CONTENT), SIZE)]
    right = {CONTENT, *map(without, range(7)), *(b"".join(whole[:n] + whole[n + 1 :]) for n in range(7))}
    for at in range(0, len(archive), step):
        content, summary = salvage(flip(archive, at), fallback=byte_engine)
        assert summary.lost or content == CONTENT, at  # a zstd payload has bits that mean nothing
        assert content in right, at


def test_missing_and_inserted_bytes() -> None:
    for at in range(40, len(ARCHIVE) - 40, 3):
        for damaged in (ARCHIVE[:at] + ARCHIVE[at + 3 :], ARCHIVE[:at] + b"BME" + ARCHIVE[at:]):
            content, summary = salvage(damaged, fallback=byte_engine)
            assert summary.lost
            assert sum(CONTENT[i : i + SIZE] in content for i in range(0, len(CONTENT), SIZE)) >= 4, at


def test_lost_header_and_lost_end() -> None:
    assert salvage(flip(ARCHIVE, 9))[0] == CONTENT
    (end,) = [item for item in scan(io.BytesIO(ARCHIVE)) if isinstance(item.record, End)]
    content, summary = salvage(flip(ARCHIVE, end.offset + 2))
    assert content == CONTENT
    assert summary.lost


def test_lost_header_of_an_archive_that_states_its_size_there() -> None:
    """The end does not repeat the size, but the SHA-256 proves that nothing is missing; or that something is."""
    archive = known_size(CONTENT)
    content, summary = salvage(flip(archive, 9))
    assert (content, summary.archives) == (CONTENT, 1)
    assert [(lost.begin, lost.end) for lost in summary.lost] == [(0, 0)]
    content, summary = salvage(flip(flip(archive, 9), blocks(archive)[1].offset + 2))
    assert content == CONTENT[:100] + CONTENT[200:]
    assert [(lost.begin, lost.end) for lost in summary.lost] == [(0, 100), (100, None), (100, 550)]


def test_lost_name_of_the_model() -> None:
    (model,) = [item for item in scan(io.BytesIO(MODELED)) if isinstance(item.record, ModelHeader)]
    damaged = flip(MODELED, model.offset + 5)
    with pytest.raises(CorruptData, match="nothing can be salvaged"):
        salvage(damaged)
    assert salvage(damaged, fallback=byte_engine)[0] == CONTENT


def test_archive_in_a_lost_block_is_not_taken_for_the_outer_one() -> None:
    inner = known_size(TEXT[:150])
    content = inner + random.Random(6).randbytes(40)
    for head in (b"", bytes(7)):
        outer = compress(head + content, engine=byte_engine(), block_size=1 << 16, fallback=True)
        (item,) = blocks(outer)
        assert coding_of(item) is Coding.STORED
        with pytest.raises(CorruptData, match="nothing can be salvaged"):
            salvage(flip(outer, item.offset + 2))


def test_concatenated_archives() -> None:
    second = known_size(TEXT)
    damaged = flip(ARCHIVE, blocks()[2].offset + 1) + second
    content, summary = salvage(damaged)
    assert content == without(2) + TEXT
    assert summary.archives == 2


def test_exchanged_blocks_are_noticed() -> None:
    archive = known_size(CONTENT)
    one, two = blocks(archive)[:2]
    swapped = (
        archive[: one.offset]
        + archive[two.offset : two.end_offset]
        + archive[one.offset : one.end_offset]
        + archive[two.end_offset :]
    )
    _, summary = salvage(swapped)
    expected = "bytes 0 to 650 are uncertain: the SHA-256 differs: blocks are missing, doubled or exchanged"
    assert list(map(str, summary.lost)) == [expected]


def test_bytes_behind_the_end() -> None:
    content, summary = salvage(known_size(TEXT) + b"garbage")
    assert content == TEXT
    assert summary.lost


@pytest.mark.parametrize("junk", [b"", b"x", b"not an archive at all" * 50, ARCHIVE[:10]])
def test_nothing_to_salvage(junk: bytes) -> None:
    with pytest.raises(CorruptData, match="nothing can be salvaged"):
        salvage(junk)


def test_limits_hold() -> None:
    assert salvage(ARCHIVE, limits=Limits(blocks=7))[0] == CONTENT
    with pytest.raises(LimitExceeded, match="number of blocks is 7"):
        salvage(ARCHIVE, limits=Limits(blocks=6))
    with pytest.raises(LimitExceeded):
        salvage(ARCHIVE, limits=Limits(output=300))
    archive = known_size(CONTENT)
    with pytest.raises(LimitExceeded):
        salvage(archive[: blocks(archive)[1].end_offset], limits=Limits(output=300))


def test_missing_model_is_no_damage() -> None:
    def nothing(model_id: bytes) -> None:
        raise ModelNotFound("no model")

    with pytest.raises(ModelNotFound):
        salvage(MODELED, engines=nothing)


@pytest.mark.parametrize("vector", [v for v in vectors() if not v.name.startswith("limit-")], ids=lambda v: v.name)
def test_vectors(vector: Vector) -> None:
    """What decodes is salvaged whole; what does not never passes without a word."""
    try:
        content, summary = salvage(vector.data, engines=unknown)  # those with a model carry it
    except ZipllmError:
        assert not vector.name.startswith("good-")
        return
    if vector.name.startswith("good-"):
        assert (content, summary.lost) == (vector.content, ())
    else:
        assert summary.lost
    assert decompress(ARCHIVE) == CONTENT
