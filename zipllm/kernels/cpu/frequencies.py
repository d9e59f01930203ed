"""Logits to cumulative frequencies; the formula is that of ``zipllm.model.frequencies``."""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import long_part, part
from zipllm.kernels.cpu.elementwise import look_up
from zipllm.model.ranges import RATIO_SHIFT, TOTAL

_PIECE = 1024


@long_part
def accumulate(logits: NDArray[np.int32], exponential: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Turn a row of logits into cumulative frequencies.

    Args:
        logits: int32 ``[vocabulary]``; overwritten.
        exponential: int32, the table of weights by distance from the largest logit.
        out: int32 ``[vocabulary + 1]``; receives 0, ..., ``2**PRECISION``.
    """
    largest, first = _first_largest(logits)
    look_up(logits, largest, exponential)
    total = np.int64(0)
    for index in range(logits.size):
        total += np.int64(logits[index])
    ratio = np.int64((np.int64(TOTAL - logits.size) << RATIO_SHIFT) // total)
    given = np.int64(0)
    for index in range(logits.size):
        logits[index] = 1 + np.int32((np.int64(logits[index]) * ratio) >> RATIO_SHIFT)
        given += np.int64(logits[index])
    logits[first] += np.int32(TOTAL - given)  # the remainder of rounding goes to the first of the largest
    _cumulate(logits, out)


@part
def _first_largest(logits: NDArray[np.int32]) -> tuple[np.int32, int]:
    """Return the largest number and its first index, which is searched only in the piece that has it."""
    largest, first = logits[0], 0
    for begin in range(0, logits.size, _PIECE):
        piece = logits[begin : begin + _PIECE]
        best = piece[0]
        for index in range(piece.size):
            best = max(best, piece[index])
        if best > largest:
            largest, first = best, begin
    while logits[first] != largest:
        first += 1
    return largest, first


@part
def _cumulate(counts: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Write cumulative sums from 0, int32 ``[counts + 1]``.

    Four quarters side by side: each addition depends on the one before, the quarters do not depend on each other.
    """
    quarter = counts.size // 4
    first, second, third, fourth = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for index in range(quarter):
        second = np.int32(second + counts[index])
        third = np.int32(third + counts[quarter + index])
        fourth = np.int32(fourth + counts[2 * quarter + index])
    third = np.int32(third + second)
    fourth = np.int32(fourth + third)
    for index in range(quarter):
        out[index] = first
        out[quarter + index] = second
        out[2 * quarter + index] = third
        out[3 * quarter + index] = fourth
        first = np.int32(first + counts[index])
        second = np.int32(second + counts[quarter + index])
        third = np.int32(third + counts[2 * quarter + index])
        fourth = np.int32(fourth + counts[3 * quarter + index])
    for index in range(4 * quarter, counts.size):
        out[index] = fourth
        fourth = np.int32(fourth + counts[index])
    out[counts.size] = fourth
