"""Asking for memory changes nothing."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zipllm.jit.compiled import COMPILES, entry
from zipllm.jit.prefetch import _nothing, prefetch


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_any_place_may_be_asked_for() -> None:
    """Also one behind the array's end: the processor ignores what it cannot read."""

    def kernel(array: NDArray[Any], index: int) -> Any:
        prefetch(array, index)
        return array[0, 1]

    compiled = entry(kernel)
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert [compiled(array, index) for index in (0, 5, 6, -1, 1 << 40)] == [1] * 5
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_items_must_lie_next_to_each_other() -> None:
    numba = pytest.importorskip("numba")

    def kernel(array: NDArray[Any]) -> None:
        prefetch(array, np.int64(0))

    with pytest.raises(numba.TypingError):
        entry(kernel)(np.zeros((4, 4), dtype=np.int32)[:, ::2])


def test_without_numba_nothing_happens() -> None:
    assert _nothing(np.zeros(1), 5) is None  # type: ignore[func-returns-value]
