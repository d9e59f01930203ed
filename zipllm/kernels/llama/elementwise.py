"""The steps between matrix products, row by row: norms, rounding, turning, the gate.

Formulas and bounds are those of ``zipllm.model.llama.integer``; the loops are plain so that they vectorize.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.model.llama.parameters import (
    FACTOR_SHIFT,
    GAIN_SHIFT,
    GATE_MAX,
    GATED_SHIFT,
    LENGTH_SHIFT,
    RAW_MAX,
    ROTARY_SHIFT,
    SIGMOID_INDEX_SHIFT,
    SIGMOID_SHIFT,
)

_FACTOR_HALF = np.int64(1 << (FACTOR_SHIFT - 1))
_GAIN_HALF = np.int64(1 << (GAIN_SHIFT - 1))
_ROTARY_HALF = np.int64(1 << (ROTARY_SHIFT - 1))
_INDEX_HALF = np.int64(1 << (SIGMOID_INDEX_SHIFT - 1))
_SIGMOID_HALF = np.int64(1 << (SIGMOID_SHIFT - 1))
_GATED_HALF = np.int64(1 << (GATED_SHIFT - 1))


@part
def largest_size(x: NDArray[np.int32]) -> np.int32:
    """Return the largest magnitude of numbers above ``-2**31``, at least 1."""
    largest = np.int32(1)
    for index in range(x.size):
        largest = max(largest, abs(x[index]))
    return largest


@part
def vector_length(x: NDArray[np.int32], epsilon: np.int64) -> np.int64:
    """See ``zipllm.model.llama.integer.vector_length``."""
    largest = largest_size(x)
    digits = 0
    while x.size >> digits:
        digits += 1
    bits = (52 - digits) // 2
    shift = 0
    while np.int64(largest) >> (shift + bits):
        shift += 1
    squares = np.int64(0)
    for index in range(x.size):
        size = np.int64(abs(x[index]) >> (shift & 31))
        squares += size * size
    squares += epsilon >> (2 * shift)
    root = np.int64(np.ceil(np.sqrt(np.float64(squares)))) << shift
    return max(root, np.int64(largest))


@long_part
def round_row(x: NDArray[np.int32], levels: np.int32, out: NDArray[np.int16]) -> np.int32:
    """Round so that the largest magnitude becomes ``levels``; return that magnitude, the scale."""
    largest = largest_size(x)
    factor = (np.int64(levels) << FACTOR_SHIFT) // np.int64(largest)
    for index in range(x.size):
        out[index] = np.int16((np.int64(x[index]) * factor + _FACTOR_HALF) >> FACTOR_SHIFT)
    return largest


@long_part
def normalize(
    x: NDArray[np.int32],
    gain: NDArray[np.int32],
    epsilon: np.int64,
    levels: np.int32,
    gained: NDArray[np.int32],
    out: NDArray[np.int16],
) -> np.int32:
    """Norm and rounding of a row; ``gained`` is a buffer. Return the scale."""
    length = vector_length(x, epsilon)
    for index in range(x.size):
        gained[index] = np.int32((np.int64(x[index]) * np.int64(gain[index]) + _GAIN_HALF) >> GAIN_SHIFT)
    largest = round_row(gained, levels, out)
    return np.int32((np.int64(largest) << LENGTH_SHIFT) // length)


@long_part
def normalize_head(x: NDArray[np.int32], norm: np.int64, gain: NDArray[np.int32]) -> None:
    """Norm of a head of queries or keys, in place."""
    for index in range(x.size):
        x[index] = min(max(x[index], np.int32(-RAW_MAX)), np.int32(RAW_MAX))
    factor = np.int64(norm // vector_length(x, np.int64(0)))
    for index in range(x.size):
        unit = (np.int64(x[index]) * factor + _FACTOR_HALF) >> FACTOR_SHIFT
        x[index] = np.int32((unit * np.int64(gain[index]) + _GAIN_HALF) >> GAIN_SHIFT)


@long_part
def turn_head(
    x: NDArray[np.int32], cosine: NDArray[np.int32], sine: NDArray[np.int32], limit: Integer, out: NDArray[Any]
) -> None:
    """Turn the pairs ``(i, i + size / 2)`` of a head and saturate them."""
    half = cosine.size
    left, right, out_left, out_right = x[:half], x[half : 2 * half], out[:half], out[half : 2 * half]
    bound = np.int64(limit)
    for index in range(half):
        a, b = np.int64(left[index]), np.int64(right[index])
        c, s = np.int64(cosine[index]), np.int64(sine[index])
        first = (a * c - b * s + _ROTARY_HALF) >> ROTARY_SHIFT
        second = (a * s + b * c + _ROTARY_HALF) >> ROTARY_SHIFT
        out_left[index] = min(max(first, -bound), bound)
        out_right[index] = min(max(second, -bound), bound)


@long_part
def gate(
    gates: NDArray[np.int32],
    ups: NDArray[np.int32],
    multiplier: np.int32,
    sigmoid: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Gated SiLU: the products of both results of a row, before they are rounded."""
    last, middle = np.int64(sigmoid.size - 1), np.int64(sigmoid.size // 2)
    bound = np.int32(GATE_MAX)
    for index in range(out.size):
        value = min(max(gates[index], np.int32(-bound)), bound)
        place = ((np.int64(value) * np.int64(multiplier) + _INDEX_HALF) >> SIGMOID_INDEX_SHIFT) + middle
        out[index] = np.int32(min(max(place, np.int64(0)), last))
    for index in range(out.size):
        value = min(max(gates[index], np.int32(-bound)), bound)
        other = min(max(ups[index], np.int32(-bound)), bound)
        chance = sigmoid[np.uint64(out[index])]
        passed = np.int32((np.int64(value) * np.int64(chance) + _SIGMOID_HALF) >> SIGMOID_SHIFT)
        out[index] = np.int32((np.int64(passed) * np.int64(other) + _GATED_HALF) >> GATED_SHIFT)
