"""How a block is cut into lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.codec.block.setup import lane_count, lane_sizes, split

KIB = 1024


@pytest.mark.parametrize(
    ("raw_size", "lanes"),
    [(0, 1), (1, 1), (32 * KIB - 1, 1), (32 * KIB, 2), (200 * KIB, 12), (256 * KIB, 16), (16 << 20, 16)],
)
def test_default(raw_size: int, lanes: int) -> None:
    assert lane_count(raw_size) == lanes


def test_more_where_a_level_has_more() -> None:
    assert lane_count(512 * KIB, most=64) == 32
    assert lane_count(16 << 20, most=64) == 64


@pytest.mark.parametrize(("raw_size", "wanted", "lanes"), [(1000, 7, 7), (3, 7, 3), (1, 4096, 1), (0, 5, 1)])
def test_wanted(raw_size: int, wanted: int, lanes: int) -> None:
    assert lane_count(raw_size, wanted) == lanes


@given(st.binary(min_size=1, max_size=300), st.data())
def test_lanes_are_nearly_equal_and_whole(data: bytes, draw: st.DataObject) -> None:
    """No byte is lost, no lane is empty, none is longer than another by more than a byte."""
    lanes = draw.draw(st.integers(1, len(data)))
    pieces = split(data, lanes)
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces] == lane_sizes(len(data), lanes)
    assert len(pieces) == lanes
    assert 1 <= min(map(len, pieces)) <= max(map(len, pieces)) <= min(map(len, pieces)) + 1


def test_the_cut_is_part_of_the_format() -> None:
    """FORMAT.md: lane k of L covers the bytes from k * n // L to (k + 1) * n // L."""
    assert lane_sizes(10, 4) == [2, 3, 2, 3]
