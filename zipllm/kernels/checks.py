"""Checks of what kernels are given; kernels themselves index memory without looking."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Table = TypeVar("Table")


def check_indices(tokens: NDArray[np.int32], lanes: NDArray[np.int64], start_token: int, count: int) -> None:
    """Accept tokens int32 ``[n, time]`` for lanes int64 ``[n]`` of a state of ``count`` lanes.

    Raises:
        ValueError: a token is not from 0 to ``start_token``; lane numbers do not ascend, do not exist, or do not match
            the rows of tokens.
    """
    if not _within(tokens, start_token + 1):
        raise ValueError(f"token ids must be from 0 to {start_token}")
    if lanes.shape != tokens.shape[:1]:
        raise ValueError(f"tokens of {len(tokens)} lanes for {len(lanes)} lane numbers")
    if lanes.size and (lanes[0] < 0 or lanes[-1] >= count or not (lanes[1:] > lanes[:-1]).all()):
        raise ValueError(f"lane numbers must ascend, from 0 to {count - 1}")


class Columns(Generic[Table]):
    """Tables of columns to keep of predictions, checked and converted; the last one is kept, so it is checked once.

    Args:
        count: of columns in a whole prediction.
        convert: int32 ``[rows, d]`` to what the kernels take.
    """

    def __init__(self, count: int, convert: Callable[[NDArray[np.int32]], Table]) -> None:
        self._count = count
        self._convert = convert
        self._last: tuple[NDArray[np.int32], Table] | None = None

    def __call__(self, columns: NDArray[np.int32], wanted: NDArray[np.int32], shape: tuple[int, ...]) -> Table:
        """Return a table of which predictions of ``shape`` keep the rows ``wanted``.

        Raises:
            ValueError: a row or a column is out of range, or there is not one row for each prediction.
        """
        if wanted.shape != shape:
            raise ValueError(f"{wanted.shape} rows are wanted of {shape} predictions")
        if not _within(wanted, len(columns)):
            raise ValueError(f"rows must be from 0 to {len(columns) - 1}")
        last = self._last  # read once: threads share this table
        if last is None or last[0] is not columns:
            if not _within(columns, self._count):
                raise ValueError(f"columns must be from 0 to {self._count - 1}")
            last = self._last = columns, self._convert(columns)
        return last[1]


def _within(numbers: NDArray[np.int32], count: int) -> bool:
    return not numbers.size or 0 <= int(numbers.min()) <= int(numbers.max()) < count
