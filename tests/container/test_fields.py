"""Variable-length integers: every value has one form, every other form is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.container.record import MAX_VALUE, FieldReader, encode_varint
from zipllm.errors import CorruptData, UsageError


def decode(data: bytes) -> int:
    reader = FieldReader(data, "the test")
    value = reader.varint("value")
    reader.finish()
    return value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (16383, "ff7f"),
        (16384, "808001"),
        (1 << 24, "80808008"),
        (MAX_VALUE, "ffffffffffffffff7f"),
    ],
)
def test_known_forms(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded
    assert decode(bytes.fromhex(encoded)) == value


@given(st.integers(0, MAX_VALUE))
def test_round_trip(value: int) -> None:
    encoded = encode_varint(value)
    assert decode(encoded) == value
    assert len(encoded) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("value", [-1, MAX_VALUE + 1])
def test_out_of_range(value: int) -> None:
    with pytest.raises(UsageError, match="no variable-length form"):
        encode_varint(value)


@pytest.mark.parametrize("encoded", ["8000", "ff00", "80808000", "808080808080808000"])
def test_longer_than_needed(encoded: str) -> None:
    with pytest.raises(CorruptData, match="shortest form"):
        decode(bytes.fromhex(encoded))


@pytest.mark.parametrize("encoded", ["80808080808080808001", "ff" * 9, "ff" * 100])
def test_longer_than_nine_bytes(encoded: str) -> None:
    with pytest.raises(CorruptData, match="longer than 9 bytes"):
        decode(bytes.fromhex(encoded))


@pytest.mark.parametrize("encoded", ["", "80", "ffff"])
def test_cut_off(encoded: str) -> None:
    with pytest.raises(CorruptData, match="'value' is cut off"):
        decode(bytes.fromhex(encoded))


def test_left_over_bytes() -> None:
    with pytest.raises(CorruptData, match="1 bytes more"):
        decode(b"\x01\x01")


def test_fixed_fields_are_little_endian() -> None:
    reader = FieldReader(bytes.fromhex("01 78563412"), "the test")
    assert (reader.u8("first"), reader.u32("second")) == (1, 0x12345678)


@given(st.binary(max_size=12))
def test_any_bytes_decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except CorruptData:
        return
    assert encode_varint(value) == data
