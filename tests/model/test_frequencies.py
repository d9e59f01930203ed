"""Frequencies: exact sum, at least one each, the right ratios, ties to the first."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zipllm.model.frequencies import cumulate, frequencies
from zipllm.model.ranges import PRECISION, TOTAL
from zipllm.model.transformer.scales import TABLE_STEPS, exponential_table

TABLE = exponential_table(TOTAL)
LIMIT = 1 << 30


def of(*logits: int) -> list[int]:
    result: list[int] = frequencies(torch.tensor(logits, dtype=torch.int32), TABLE).tolist()
    return result


@given(st.lists(st.integers(-LIMIT, LIMIT - 1), min_size=1, max_size=300))
def test_any_logits_sum_exactly_and_leave_no_token_out(logits: list[int]) -> None:
    result = of(*logits)
    assert sum(result) == TOTAL
    assert min(result) >= 1


@given(st.lists(st.integers(-3000, 3000), min_size=2, max_size=100))
def test_larger_logits_never_get_less(logits: list[int]) -> None:
    result = of(*logits)
    by_logit = sorted(zip(logits, result, strict=True))
    assert all(low[1] <= high[1] for low, high in pairwise(by_logit))


def test_a_step_of_one_octave_halves() -> None:
    result = of(0, -TABLE_STEPS, -2 * TABLE_STEPS, -3 * TABLE_STEPS)
    ideal = [TOTAL * 2**-i / 1.875 for i in range(4)]
    assert result == pytest.approx(ideal, abs=4)


def test_the_largest_distance_in_int32_is_not_wrapped() -> None:
    result = of(-LIMIT, LIMIT - 1)
    assert result == [1, TOTAL - 1]


@pytest.mark.parametrize("size", [1, 2, 3, 257, 65_536])
def test_equal_logits_share_equally_and_the_first_takes_the_rest(size: int) -> None:
    result = of(*[7] * size)
    assert len(set(result[1:])) <= 1
    assert result[0] == TOTAL - sum(result[1:])
    assert result[0] - result[-1] < 2 * size + 256


def test_the_rest_goes_to_the_first_of_the_largest() -> None:
    result = of(-100, 50, 50, 50)
    assert result[1] > result[2] == result[3]


def test_all_probability_on_one_token_saturates() -> None:
    result = of(*[0] * 999, 100_000)
    assert result == [1] * 999 + [TOTAL - 999]


def test_rows_do_not_depend_on_each_other() -> None:
    logits = torch.randint(-4000, 4000, (4, 3, 50), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    together = frequencies(logits, TABLE)
    assert together[2, 1].tolist() == of(*logits[2, 1].tolist())


def test_cumulative_begins_at_zero_and_ends_at_the_total() -> None:
    counts = torch.tensor([[5, TOTAL - 12, 7], [1, 1, TOTAL - 2]])
    assert cumulate(counts).tolist() == [[0, 5, TOTAL - 7, TOTAL], [0, 1, 2, TOTAL]]
    assert cumulate(counts).dtype == torch.int32


def test_a_wrong_sum_is_an_internal_error() -> None:
    with pytest.raises(AssertionError):
        cumulate(torch.tensor([[5, 6]]))


def test_the_tables_fall_from_first_to_zero() -> None:
    for first in (1, 258, 16_383, TOTAL):
        table: Tensor = exponential_table(first)
        assert table[0] == first
        assert table[-1] == 0
        assert bool((table[1:] <= table[:-1]).all())
        assert int(table[-2]) == 1
    assert TABLE[TABLE_STEPS] * 2 == TOTAL
    assert PRECISION == 24
