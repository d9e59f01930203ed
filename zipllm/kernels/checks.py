"""Checks of what kernels are given; kernels themselves index memory without looking."""

import numpy as np
from numpy.typing import NDArray


def check_indices(tokens: NDArray[np.int32], lanes: NDArray[np.int64], start_token: int, count: int) -> None:
    """Accept tokens int32 ``[n, time]`` for lanes int64 ``[n]`` of a state of ``count`` lanes.

    Raises:
        ValueError: a token is not from 0 to ``start_token``; lane numbers do not ascend, do not exist, or do not match
            the rows of tokens.
    """
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) <= start_token:
        raise ValueError(f"token ids must be from 0 to {start_token}")
    if lanes.shape != tokens.shape[:1]:
        raise ValueError(f"tokens of {len(tokens)} lanes for {len(lanes)} lane numbers")
    if lanes.size and (lanes[0] < 0 or lanes[-1] >= count or not (lanes[1:] > lanes[:-1]).all()):
        raise ValueError(f"lane numbers must ascend, from 0 to {count - 1}")


def check_wanted(columns: NDArray[np.int32], wanted: NDArray[np.int32], shape: tuple[int, ...]) -> None:
    """Accept row numbers ``wanted`` of a table ``[rows, d]`` for predictions of ``shape``.

    Raises:
        ValueError: a number is out of range, or their shape is not that of the predictions.
    """
    if wanted.shape != shape:
        raise ValueError(f"{wanted.shape} rows are wanted of {shape} predictions")
    if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < len(columns):
        raise ValueError(f"rows must be from 0 to {len(columns) - 1}")


def check_columns(columns: NDArray[np.int32], count: int) -> None:
    """Accept a table of column numbers from 0 to ``count - 1``.

    Raises:
        ValueError: a number is out of range.
    """
    if columns.size and not 0 <= int(columns.min()) <= int(columns.max()) < count:
        raise ValueError(f"columns must be from 0 to {count - 1}")
