"""Rows and numbers in binary data: at which distances bytes are alike. Only the encoder asks; the block states them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zipllm.container.block import FULL_MIXER, MAX_SAMPLE
from zipllm.mixing.contexts import CODE, ROWS, Style
from zipllm.mixing.machine_code import calls_repeat

MAX_ROW = 4096
_LOOKED_AT, _SUBTRACTED = 1 << 17, 24 * 1024
_CLEARER = 0.01
"""A longer row must agree this much more often than a shorter one, of which it may be a multiple."""
_CHEAPER = 985
"""A distance is better than another if its differences take this many thousandths of the bits, or fewer."""
_MULTIPLE = 900
"""The same for a multiple of a row."""
_MUCH_DEARER = 1150
_SHORTEST_ROW = 8
_WIDE, _FAR = 32, 8
"""Samples of a row that is wide, and how many lie between it and the distances it is compared with."""
_PARTS = 32
"""Units of a bit in which differences are counted."""


def binary_style(raw: bytes, mixer: int) -> Style:
    """Return the contexts for a block that is not text: programs, or rows of a length that suits the block."""
    if mixer != FULL_MIXER:
        return Style(ROWS, _agreeing_row(raw))
    if calls_repeat(raw):
        return Style(CODE)
    return _numbers(raw, _agreeing_row(raw))


def _middle(raw: bytes, size: int) -> NDArray[np.uint8]:
    begin = max(0, (len(raw) - size) // 2)
    return np.frombuffer(raw, dtype=np.uint8)[begin : begin + size]


def _agreeing_row(raw: bytes) -> int:
    """Return the distance at which most bytes are equal; 1 if all are alike in that."""
    values = _middle(raw, _LOOKED_AT)
    length, agreement = 1, 0.0
    for distance in range(1, min(MAX_ROW, values.size // 4)):
        share = np.count_nonzero(values[distance:] == values[:-distance]) / (values.size - distance)
        if share > agreement + _CLEARER:
            length, agreement = distance, share
    return length


def _numbers(raw: bytes, agreeing: int) -> Style:
    """Return the style of rows by differences: of samples, the cheapest of 1 to 4 bytes; of rows, a sharp minimum.

    Pixels above each other differ less than those some samples beside that; where no distance stands out, the row is
    ``agreeing``.
    """
    values = _middle(raw, _LOOKED_AT)
    most = min(MAX_ROW, values.size // 4)
    if most <= 2 * MAX_SAMPLE:
        return Style(ROWS, agreeing)
    pieces = _pieces(values, most)
    worst = 8 * _PARTS * values.size
    costs = [worst, *(_difference_bits(pieces, distance, most) for distance in range(1, most))]
    sample, row = 1, 0
    for distance in range(2, MAX_SAMPLE + 1):
        if _cheaper(costs[distance], costs[sample]):
            sample = distance
    for distance in range(max(4 * sample, _SHORTEST_ROW), most - _FAR * sample):
        most_cost = costs[row] * (_MULTIPLE if row and distance % row == 0 else _CHEAPER)
        if costs[distance] * 1000 < most_cost and _stands_out(costs, distance, sample):
            row = distance
    if row == 0 or costs[row] * 1000 > costs[sample] * _MUCH_DEARER:
        row = max(agreeing, sample)
    return Style(ROWS, row, 1 if row == sample else sample)


def _stands_out(costs: list[int], distance: int, sample: int) -> bool:
    """Return whether a distance is cheaper than those beside it; of a wide row, than those farther away.

    Smooth pictures differ little from one pixel to the next.
    """
    cost, steps = costs[distance], (sample, 2 * sample)
    nearest = min(costs[distance + step] for near in steps for step in (-near, near))
    if distance < _WIDE * sample:
        return _cheaper(cost, nearest)
    return cost <= nearest and _cheaper(cost, min(costs[distance - _FAR * sample], costs[distance + _FAR * sample]))


def _cheaper(cost: int, other: int) -> bool:
    return cost * 1000 < other * _CHEAPER


def _pieces(values: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """Return pieces from everywhere, each with ``most`` bytes more than are compared: uint8 ``[pieces, bytes]``."""
    count = max(1, (values.size - _SUBTRACTED) // most)
    size = values.size // count
    return values[: count * size].reshape(count, size)


def _difference_bits(pieces: NDArray[np.uint8], distance: int, begin: int) -> int:
    """Return about how many bits the differences at a distance take, from ``begin`` on, in ``_PARTS`` of a bit."""
    differences = pieces[:, begin:] - pieces[:, begin - distance : -distance]
    bits = differences.tobytes().translate(_bits_of_differences())
    return int(np.frombuffer(bits, dtype=np.uint8).sum(dtype=np.int64))


@lru_cache(maxsize=1)
def _bits_of_differences() -> bytes:
    """Return ``log2(1 + |d|)`` of a difference modulo 256, rounded down, in ``_PARTS`` of a bit."""
    return bytes(((1 + min(value, 256 - value)) ** _PARTS).bit_length() - 1 for value in range(256))
