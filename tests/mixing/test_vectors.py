"""The mixer's vector loops against their plain forms."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zipllm.jit.compiled import COMPILES, entry
from zipllm.mixing.mixer import RATE_START
from zipllm.mixing.tables import LIMIT
from zipllm.mixing.vectors import make_dot, make_move, plain_dot, plain_move

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
MOST = 1 << 22
MOST_ERROR = (1 << 16) * RATE_START >> 6
SIZES = (8, 40, 64)


def random_rows(size: int, seed: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Weights and inputs, extremes among them."""
    generator = np.random.default_rng(seed)
    row = generator.integers(-MOST, MOST + 1, size).astype(np.int32)
    inputs = generator.integers(-LIMIT, LIMIT + 1, size).astype(np.int32)
    row[:2], inputs[:2] = (MOST, -MOST), (LIMIT, -LIMIT)
    return row, inputs


@pytest.mark.parametrize("size", SIZES)
def test_products_are_those_of_the_plain_form(size: int) -> None:
    dot = make_dot(size)

    def kernel(row: NDArray[np.int32], inputs: NDArray[np.int32]) -> Any:
        return dot(row, inputs)

    compiled = entry(kernel)
    for seed in range(50):
        row, inputs = random_rows(size, seed)
        assert compiled(row, inputs) == plain_dot(row, inputs)


@pytest.mark.parametrize("size", SIZES)
def test_weights_move_as_in_the_plain_form(size: int) -> None:
    move = make_move(size)

    def kernel(row: NDArray[np.int32], inputs: NDArray[np.int32], error: int) -> None:
        move(row, inputs, error, np.int64(MOST))

    compiled = entry(kernel)
    for seed, error in enumerate([0, 1, -1, MOST_ERROR, -MOST_ERROR, *range(-20_000, 20_000, 997)]):
        row, inputs = random_rows(size, seed)
        wanted = row.copy()
        plain_move(wanted, inputs, np.int64(error), np.int64(MOST))
        compiled(row, inputs, error)
        assert row.tolist() == wanted.tolist()
        assert abs(row).max() <= MOST


def test_only_rows_in_one_piece_are_taken() -> None:
    numba = pytest.importorskip("numba")
    dot = make_dot(8)

    def kernel(row: NDArray[Any]) -> Any:
        return dot(row, row)

    for wrong in (np.zeros(16, dtype=np.int32)[::2], np.zeros(8, dtype=np.int64)):
        with pytest.raises(numba.TypingError):
            entry(kernel)(wrong)


@pytest.mark.parametrize("make", [make_dot, make_move])
def test_vectors_do_not_reach_beyond_a_row(make: Any) -> None:
    with pytest.raises(ValueError, match="rows of 36 numbers"):
        make(36)
