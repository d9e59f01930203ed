"""The steps between matrix products, row by row: norms, activation, residual stream.

Formulas and bounds are those of ``zipllm.model.transformer.integer``; the loops are plain so that they vectorize.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import long_part, part
from zipllm.kernels.cpu.layout import OFFSET
from zipllm.model.ranges import FEEDFORWARD_MAX, INT8_MAX, INT16_MAX, NORM_SHIFT, SQUARE_SHIFT

_NORM_HALF = np.int64(1 << (NORM_SHIFT - 1))
_SQUARE_HALF = 1 << (SQUARE_SHIFT - 1)


@long_part
def embed(row: NDArray[np.int8], multiplier: np.int32, shift: np.int64, limit: int, x: NDArray[np.int32]) -> None:
    """Begin the residual stream ``x`` int32 ``[width]`` with a token's embedding."""
    half = np.int64(1) << (shift - 1)
    for index in range(x.size):
        value = (np.int64(row[index]) * np.int64(multiplier) + half) >> shift
        x[index] = np.int32(min(max(value, np.int64(-limit)), np.int64(limit)))


@long_part
def add(x: NDArray[np.int32], change: NDArray[np.int32], limit: int) -> None:
    """Add to the residual stream, saturating."""
    bound = np.int32(limit)
    for index in range(x.size):
        x[index] = min(max(np.int32(x[index] + change[index]), np.int32(-bound)), bound)


@part
def unit8(value: np.int32, factor: np.int64) -> np.int32:
    """Scale one number to int8: ``round_shift(value * factor, NORM_SHIFT)``, saturated."""
    scaled = (np.int64(value) * factor + _NORM_HALF) >> NORM_SHIFT
    return np.int32(min(max(scaled, np.int64(-INT8_MAX)), np.int64(INT8_MAX)))


@part
def length_factor(squares: np.int64, constant: np.int64) -> np.int64:
    """Return ``constant // length`` of a vector from its sum of squares, below ``2**53``."""
    length = max(np.int64(np.ceil(np.sqrt(np.float64(squares)))), np.int64(1))
    return np.int64(constant // length)


@long_part
def normalize(x: NDArray[np.int32], constant: np.int64, out: NDArray[np.uint8]) -> None:
    """Norm and quantization of a row: unsigned bytes ``[width]``, ``OFFSET`` added."""
    squares = np.int64(0)
    for index in range(x.size):
        squares += np.int64(x[index]) * np.int64(x[index])
    factor = length_factor(squares, constant)
    for index in range(x.size):
        out[index] = np.uint8(unit8(x[index], factor) + OFFSET)


@part
def head_factor(x: NDArray[np.int32], constant: np.int64) -> np.int64:
    """Saturate a head of queries or keys in place, to 16 bits, and return the factor of its norm."""
    squares = np.int64(0)
    for index in range(x.size):
        value = min(max(x[index], np.int32(-INT16_MAX)), np.int32(INT16_MAX))
        x[index] = value
        squares += np.int64(value) * np.int64(value)
    return length_factor(squares, constant)


@long_part
def squared_relu(x: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Activation of the feed-forward: 0 to 127."""
    for index in range(out.size):
        value = min(max(x[index], np.int32(0)), np.int32(FEEDFORWARD_MAX))
        square = np.int32(np.int32(value * value + _SQUARE_HALF) >> SQUARE_SHIFT)
        out[index] = np.uint8(min(square, np.int32(INT8_MAX)))


@part
def look_up(row: NDArray[np.int32], largest: np.int32, table: NDArray[np.int32]) -> None:
    """Replace each number by the table's entry for its distance from the largest; the last entry beyond the table."""
    last = np.int32(table.size - 1)
    for index in range(row.size):
        row[index] = min(np.int32(largest - row[index]), last)
    for index in range(row.size):
        row[index] = table[np.uint64(row[index])]
