"""The primitives against Python's integers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zipllm.model import arithmetic
from zipllm.model.arithmetic import (
    integer_matmul,
    requantize,
    round_shift,
    scale_to_int8,
    vector_length,
)
from zipllm.model.ranges import residual_limit

INT32 = st.integers(-(2**31), 2**31 - 1)


@given(INT32, st.integers(0, 2**31 - 1), st.integers(1, 62))
def test_requantize_is_exact_over_all_of_int32(x: int, multiplier: int, shift: int) -> None:
    result = requantize(torch.tensor([x], dtype=torch.int32), torch.tensor([multiplier], dtype=torch.int32), shift)
    assert result.item() == (x * multiplier + (1 << (shift - 1))) >> shift


@given(st.integers(-(2**40), 2**40), st.integers(1, 40))
def test_round_shift_rounds_to_nearest_with_ties_up(x: int, shift: int) -> None:
    assert round_shift(torch.tensor(x), shift).item() == math.floor(x / 2**shift + 0.5)
    assert round_shift(torch.tensor(x), torch.tensor(shift)).item() == math.floor(x / 2**shift + 0.5)


@given(st.lists(st.integers(-(2**22) + 1, 2**22 - 1), min_size=1, max_size=256))
def test_vector_length_is_the_root_rounded_up(x: list[int]) -> None:
    squares = sum(v * v for v in x)
    expected = max(1, math.isqrt(squares - 1) + 1 if squares else 1)
    assert vector_length(torch.tensor(x)).item() == expected


@given(st.integers(1, 2**26), st.integers(-1, 1))
def test_vector_length_next_to_perfect_squares(root: int, offset: int) -> None:
    """Where a wrong rounding of the root would show: sums of squares just beside a square, up to ``2**52``."""
    squares = root * root + offset
    parts = four_squares(squares)
    expected = max(1, math.isqrt(squares - 1) + 1 if squares > 0 else 1)
    assert vector_length(torch.tensor(parts)).item() == expected


def four_squares(n: int) -> list[int]:
    """Numbers whose squares sum to n: greedy, a few more than four."""
    parts = []
    while n:
        parts.append(math.isqrt(n))
        n -= parts[-1] ** 2
    return parts or [0]


@given(
    st.lists(st.integers(-(2**22), 2**22), min_size=1, max_size=8),
    st.integers(0, 2**62 - 1),
)
def test_scale_to_int8_is_exact_up_to_its_largest_constant(x: list[int], constant: int) -> None:
    tensor = torch.tensor(x)
    divisor = vector_length(tensor)
    factor = constant // int(divisor)
    expected = [max(-127, min(127, (v * factor + (1 << 39)) >> 40)) for v in x]
    assert scale_to_int8(tensor, torch.tensor(constant), divisor).tolist() == expected


@pytest.mark.parametrize("inputs", [1, 2, 3, 8, 33, 64, 1040])
@pytest.mark.parametrize("rows", [1, 3, 17, 40])
def test_every_route_of_a_product_gives_the_same_integers(rows: int, inputs: int) -> None:
    generator = torch.Generator().manual_seed(inputs)
    left = torch.randint(-127, 128, (rows, inputs), generator=generator, dtype=torch.int8)
    right = torch.randint(-127, 128, (24, inputs), generator=generator, dtype=torch.int8)
    left[0], right[0], right[1] = 127, 127, -127
    expected = integer_matmul(left, right, "int64")
    assert expected[0, 0] == inputs * 127 * 127
    for route in ("float32", "float64", None):
        assert torch.equal(integer_matmul(left, right, route), expected)


def test_an_inexact_int8_product_is_noticed_and_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors whose pairs of products saturate in 16 bits."""

    def saturating(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left.long() @ right.long()).clamp(-32_768, 32_767).to(torch.int32)

    arithmetic.int8_matmul_is_exact.cache_clear()
    try:
        monkeypatch.setattr(torch, "_int_mm", saturating)
        left = torch.full((4, 256), 127, dtype=torch.int8)
        assert integer_matmul(left, left).tolist() == [[256 * 127 * 127] * 4] * 4
        assert not arithmetic.int8_matmul_is_exact()
    finally:
        arithmetic.int8_matmul_is_exact.cache_clear()


@pytest.mark.parametrize("width", [1, 64, 256, 512, 513, 4096, 65_536])
def test_the_residual_limit_keeps_sums_of_squares_exact(width: int) -> None:
    limit = residual_limit(width)
    assert width * limit**2 < 2**53
    assert limit == 2**22 - 1 or width * (limit + 1) ** 2 >= 2**53
