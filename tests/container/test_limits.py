"""Every limit: at its bound, one past it; checked before the payload is even there."""

import io

import pytest

from tests.container.archives import MODEL_ID, archive, archive_of, modeled, records, stored
from zipllm.container import ArchiveHeader, BlockHeader, Coding, Limits, ModelHeader, ModelRecord, scan
from zipllm.errors import LimitExceeded, UsageError


def test_block_size_in_the_header() -> None:
    assert records(archive_of(b"raw"), Limits(block_raw=1 << 20))
    with pytest.raises(LimitExceeded, match=r"block size in the header is 1048576, over the limit block_raw = 1048575"):
        records(archive_of(b"raw"), Limits(block_raw=(1 << 20) - 1))


def test_payload_size() -> None:
    data = archive([modeled(b"raw", b"word")], b"raw", ModelRecord(MODEL_ID))
    assert records(data, Limits(block_payload=4))
    with pytest.raises(LimitExceeded, match="block_payload = 3"):
        records(data, Limits(block_payload=3))


def test_number_of_blocks_in_all_archives() -> None:
    data = archive_of(b"1", b"2") + archive_of(b"3")
    assert records(data, Limits(blocks=3))
    with pytest.raises(LimitExceeded, match="blocks = 2"):
        records(data, Limits(blocks=2))


def test_lanes() -> None:
    data = archive([modeled(b"raw", b"words", lanes=3)], b"raw", ModelRecord(MODEL_ID))
    assert records(data, Limits(lanes=3))
    with pytest.raises(LimitExceeded, match="lanes = 2"):
        records(data, Limits(lanes=2))


def test_model_file() -> None:
    data = archive([stored(b"raw")], b"raw", ModelRecord(MODEL_ID, b"model file"))
    assert records(data, Limits(model_file=10))
    with pytest.raises(LimitExceeded, match="model_file = 9"):
        records(data, Limits(model_file=9))


@pytest.mark.parametrize("known", [True, False])
def test_output_of_all_archives(known: bool) -> None:
    data = archive_of(b"four", known=known) + archive_of(b"five!", b"!", known=known)
    assert records(data, Limits(output=10))
    with pytest.raises(LimitExceeded, match="at least 10 bytes, over the output limit of 9 bytes"):
        records(data, Limits(output=9))


def test_declared_output_is_refused_at_once() -> None:
    with pytest.raises(LimitExceeded, match="at least 101 bytes"):
        records(ArchiveHeader(1 << 20, 101).encode(), Limits(output=100))


def test_output_follows_the_compressed_bytes() -> None:
    """A bomb: blocks of a mebibyte that take a few bytes each."""
    size = 1 << 20
    header = BlockHeader(Coding.BZ2, size, 4, 0).encode()
    bomb = ArchiveHeader(size).encode() + 100 * (header + b"tiny")
    limits = Limits(output_floor=10 * size, output_ratio=1000)
    with pytest.raises(LimitExceeded, match=f"at least {11 * size} bytes, over the output limit of {10 * size}"):
        records(bomb, limits)
    with pytest.raises(LimitExceeded, match=r"over the output limit of \d+ bytes"):
        list(scan(io.BytesIO(bomb), limits))


def test_output_ratio_counts_the_block_itself() -> None:
    raw = bytes(1000)
    data = archive_of(raw)
    compressed = len(data) - 41
    assert records(data, Limits(output_floor=0, output_ratio=1))
    at_the_bound = Limits(output_floor=1000, output_ratio=0)
    assert records(data, at_the_bound)
    with pytest.raises(LimitExceeded, match="over the output limit of 999 bytes"):
        records(data, Limits(output_floor=999, output_ratio=0))
    assert compressed > 1000


@pytest.mark.parametrize(
    "record",
    [
        ArchiveHeader(1 << 24).encode() + BlockHeader(Coding.ZSTD, 1, (1 << 25) + 1, 0).encode(),
        ArchiveHeader(1 << 24).encode() + ModelHeader(MODEL_ID, (1 << 32) + 1, 0).encode(),
        ArchiveHeader((1 << 24) + 1).encode(),
    ],
)
def test_default_limits_come_before_the_payload(record: bytes) -> None:
    """Nothing follows the header: were the payload asked for first, it would be a truncation."""
    with pytest.raises(LimitExceeded):
        records(record)


def test_negative_limits() -> None:
    with pytest.raises(UsageError, match="limit lanes is -1"):
        Limits(lanes=-1)
    with pytest.raises(UsageError, match="limit output is -5"):
        Limits(output=-5)
