"""Damage anywhere: always an error that is a ZipllmError, never other bytes, never memory for lies."""

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.container.archives import LOCAL, MODEL_ID, archive, archive_of, decode_stored, modeled, records, stored
from zipllm.container import ArchiveHeader, BlockHeader, Coding, ModelHeader, ModelRecord, scan
from zipllm.errors import CorruptData, ZipllmError

SAMPLES = {
    "empty": archive_of(),
    "known size": archive_of(b"first", b"second"),
    "unknown size": archive_of(b"first", b"second", known=False),
    "model": archive([stored(b"raw")], b"raw", ModelRecord(MODEL_ID)),
    "embedded model": archive([stored(b"raw")], b"raw", ModelRecord(MODEL_ID, b"model file")),
    "not portable": archive([stored(b"raw")], b"raw", LOCAL),
}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_truncation(name: str) -> None:
    data = SAMPLES[name]
    assert decode_stored(data) is not None
    for length in range(len(data)):
        with pytest.raises(CorruptData, match=r"truncated|it is empty"):
            records(data[:length])
        with pytest.raises(CorruptData, match=r"truncated|it is empty"):
            list(scan(io.BytesIO(data[:length])))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_flipped_bit(name: str) -> None:
    data = SAMPLES[name]
    for bit in range(8 * len(data)):
        with pytest.raises(CorruptData):
            decode_stored(flipped(data, bit))


def test_every_flipped_bit_of_headers_is_found_without_decoding() -> None:
    """The payload of this model-coded block means nothing to the container; all around it is checked."""
    block = modeled(b"raw", b"words")
    data = archive([block], b"raw", ModelRecord(MODEL_ID), known=False)
    payload = data.index(b"words")
    for bit in range(8 * len(data)):
        if not payload <= bit // 8 < payload + len(b"words"):
            with pytest.raises(CorruptData):
                records(flipped(data, bit))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_inserted_and_removed_byte(name: str) -> None:
    data = SAMPLES[name]
    for place in range(len(data)):
        with pytest.raises(CorruptData):
            decode_stored(data[:place] + data[place + 1 :])
        with pytest.raises(CorruptData):
            decode_stored(data[:place] + bytes([data[place] ^ 0x55]) + data[place:])


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(CorruptData):
        decode_stored(data)


@given(st.binary(max_size=80), st.sampled_from(sorted(SAMPLES)), st.integers(0, 200))
def test_any_bytes_after_a_good_beginning(data: bytes, name: str, length: int) -> None:
    beginning = SAMPLES[name][:length]
    try:
        content = decode_stored(beginning + data)
    except ZipllmError:
        return
    assert content == decode_stored(SAMPLES[name])


@pytest.mark.parametrize(
    "lie",
    [
        ArchiveHeader(1 << 24).encode() + BlockHeader(Coding.ZSTD, 1 << 24, 1 << 25, 0).encode(),
        ArchiveHeader(1 << 24).encode() + ModelHeader(MODEL_ID, 1 << 32, 1).encode(),
    ],
)
def test_declared_sizes_take_no_memory(lie: bytes) -> None:
    """Sizes within the limits, but nothing behind them."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptData, match="truncated"):
            records(lie + bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
