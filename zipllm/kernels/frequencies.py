"""Logits to cumulative frequencies; the formula is that of ``zipllm.model.frequencies``."""

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.compiled import compiled
from zipllm.kernels.elementwise import look_up
from zipllm.model.frequencies import RATIO_SHIFT, TOTAL


@compiled
def accumulate(logits: NDArray[np.int32], exponential: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Turn a row of logits into cumulative frequencies.

    Args:
        logits: int32 ``[vocabulary]``; overwritten.
        exponential: int32, the table of weights by distance from the largest logit.
        out: int32 ``[vocabulary + 1]``; receives 0, ..., ``2**PRECISION``.
    """
    largest = logits[0]
    for index in range(logits.size):
        largest = max(largest, logits[index])
    first = 0
    while logits[first] != largest:
        first += 1
    look_up(logits, largest, exponential)
    total = np.int64(0)
    for index in range(logits.size):
        total += np.int64(logits[index])
    ratio = np.int64((np.int64(TOTAL - logits.size) << RATIO_SHIFT) // total)
    for index in range(logits.size):
        logits[index] = 1 + np.int32((np.int64(logits[index]) * ratio) >> RATIO_SHIFT)
    below = np.int32(0)
    for index in range(logits.size):
        out[index] = below
        below = np.int32(below + logits[index])
    out[logits.size] = below
    rest = np.int32(TOTAL - below)  # what rounding left over goes to the first of the largest
    for index in range(first + 1, out.size):
        out[index] += rest
