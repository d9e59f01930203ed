"""The archive header, field by field."""

import bz2
import gzip
import lzma
import struct
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.container.archives import records
from zipllm.container import MAGIC, ArchiveHeader
from zipllm.container.header import PREFIX_BYTES, header_bytes, parse_header
from zipllm.container.record import MAX_VALUE
from zipllm.errors import CorruptData, UnsupportedData, UsageError


def header(fields: bytes, size: int | None = None) -> bytes:
    """A header of these fields with a right CRC-32 and, unless told otherwise, a right size."""
    actual = PREFIX_BYTES + len(fields) + 4
    body = MAGIC + bytes([actual if size is None else size]) + fields
    return body + struct.pack("<I", zlib.crc32(body))


def test_layout() -> None:
    encoded = ArchiveHeader(1 << 20, 300).encode()
    assert encoded[:8] == b"\x89ZLM\r\n\x1a\n"
    assert encoded[8] == len(encoded)
    assert encoded[9:11] == b"\x00\x01"
    assert encoded[11] == 1
    assert encoded[12:15].hex() == "808040"
    assert encoded[15:17].hex() == "ac02"
    assert encoded[17:] == struct.pack("<I", zlib.crc32(encoded[:17]))


def test_unknown_size_is_a_flag_and_takes_no_bytes() -> None:
    encoded = ArchiveHeader(1 << 20).encode()
    assert encoded[11] == 0
    assert len(encoded) == len(ArchiveHeader(1 << 20, 0).encode()) - 1


@given(st.integers(1, MAX_VALUE), st.none() | st.integers(0, MAX_VALUE))
def test_round_trip(block_size: int, original_size: int | None) -> None:
    written = ArchiveHeader(block_size, original_size)
    encoded = written.encode()
    assert header_bytes(encoded[:PREFIX_BYTES]) == len(encoded)
    assert parse_header(encoded) == written


@pytest.mark.parametrize("values", [(0, None), (-1, None), (MAX_VALUE + 1, None), (1, -1), (1, MAX_VALUE + 1)])
def test_values_out_of_range(values: tuple[int, int | None]) -> None:
    with pytest.raises(UsageError, match="must be from"):
        ArchiveHeader(*values)


def test_block_size_zero() -> None:
    with pytest.raises(CorruptData, match="block size is 0"):
        records(header(b"\x00\x01\x00\x00"))


@pytest.mark.parametrize(("major", "minor"), [(1, 0), (1, 1), (0, 0), (0, 2), (255, 255)])
def test_other_version_is_unsupported(major: int, minor: int) -> None:
    with pytest.raises(UnsupportedData, match=rf"format version {major}\.{minor}"):
        records(header(bytes([major, minor, 0, 1])))


def test_fields_of_another_version_are_not_looked_at() -> None:
    with pytest.raises(UnsupportedData, match="format version 7"):
        records(header(b"\x07\x00" + b"\xff" * 100))


@pytest.mark.parametrize("bit", range(1, 8))
def test_reserved_flag_is_unsupported(bit: int) -> None:
    with pytest.raises(UnsupportedData, match="reserved flags"):
        records(header(bytes([0, 1, 1 << bit, 1])))


def test_damaged_version_is_damage() -> None:
    encoded = bytearray(ArchiveHeader(1).encode())
    encoded[9] ^= 1
    with pytest.raises(CorruptData, match="the header is damaged: its CRC-32"):
        records(bytes(encoded))


def test_field_missing() -> None:
    with pytest.raises(CorruptData, match="'original size' is cut off"):
        records(header(b"\x00\x01\x01\x01"))


def test_field_too_many() -> None:
    with pytest.raises(CorruptData, match="1 bytes more"):
        records(header(b"\x00\x01\x00\x01\x00"))


def test_block_size_not_in_shortest_form() -> None:
    with pytest.raises(CorruptData, match="'block size' is not in its shortest form"):
        records(header(b"\x00\x01\x00\x81\x00"))


@pytest.mark.parametrize("size", [0, 9, 16])
def test_size_too_small(size: int) -> None:
    with pytest.raises(CorruptData, match=f"header's size is {size}"):
        records(header(b"\x00\x01\x00\x01", size))


def test_size_too_large() -> None:
    with pytest.raises(CorruptData, match="truncated: the rest of the header"):
        records(header(b"\x00\x01\x00\x01", 255))


@pytest.mark.parametrize("data", [b"hello, world", b"\x00", b"\x89PNG\r\n\x1a\n" + bytes(40), bytes(100)])
def test_other_files(data: bytes) -> None:
    with pytest.raises(CorruptData, match="^not a zipllm archive, or its first bytes are damaged$"):
        records(data)


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("gz", gzip.compress(b"a", mtime=0)),
        ("bz2", bz2.compress(b"a")),
        ("xz", lzma.compress(b"a")),
        ("zst", zstandard.compress(b"a")),
    ],
)
def test_other_archives(suffix: str, data: bytes) -> None:
    with pytest.raises(CorruptData, match=f"^not a zipllm archive; it begins like an? .{suffix} file$"):
        records(data)


def test_empty_file() -> None:
    with pytest.raises(CorruptData, match="it is empty"):
        records(b"")


def test_eighth_bit_cleared() -> None:
    with pytest.raises(CorruptData, match="eighth bit"):
        records(bytes(byte & 0x7F for byte in ArchiveHeader(1).encode()))


@pytest.mark.parametrize(("before", "after"), [(b"\r\n", b"\n"), (b"\r\n", b"\r"), (b"\n", b"\r\n")])
def test_line_ends_changed(before: bytes, after: bytes) -> None:
    with pytest.raises(CorruptData, match="text mode"):
        records(ArchiveHeader(1).encode().replace(before, after))
