"""Attention over the window: keys and values remembered in the layout of products, then two products per head.

The second product multiplies values by attention weights of up to 15 bits, which are cut into two bytes:
``sum(weight * value) = 256 * sum(high * value) + sum(low * value)``, exactly.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.compiled import compiled
from zipllm.kernels.cache import Cache, Scratch
from zipllm.kernels.elementwise import head_factor, look_up, unit8
from zipllm.kernels.pack import OFFSET, Attention, Shape
from zipllm.kernels.product import address, multiply
from zipllm.model.arithmetic import INT8_MAX


@compiled
def remember_key(
    shape: Shape, norms: NDArray[np.int64], cache: Cache, layer: int, lane: int, slot: int, row: NDArray[np.int32]
) -> None:
    """Normalise the heads of a key, int32 ``[width]``, and store them as the token in ``slot``."""
    for head in range(shape.heads):
        part = row[head * shape.head_size : (head + 1) * shape.head_size]
        factor = head_factor(part, norms[head])
        panel = cache.keys[layer, lane, head, slot >> 4]
        column = slot & 15
        total = np.int32(0)
        for index in range(part.size):
            value = unit8(part[index], factor)
            panel[index >> 2, column, index & 3] = np.int8(value)
            total += value
        cache.corrections[layer, lane, head, slot] = np.int32(-OFFSET * total)


@compiled
def remember_value(shape: Shape, cache: Cache, layer: int, lane: int, slot: int, row: NDArray[np.int32]) -> None:
    """Store a value, int32 ``[width]``, saturated to int8, as the token in ``slot``."""
    for head in range(shape.heads):
        part = row[head * shape.head_size : (head + 1) * shape.head_size]
        group = cache.values[layer, lane, head, slot >> 2]
        column = slot & 3
        for index in range(part.size):
            group[index, column] = np.int8(min(max(part[index], np.int32(-INT8_MAX)), np.int32(INT8_MAX)))


@compiled
def unit_queries(shape: Shape, norms: NDArray[np.int64], row: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Normalise the heads of a query, int32 ``[width]``: unsigned bytes, ``key_size`` for each head."""
    for head in range(shape.heads):
        part = row[head * shape.head_size : (head + 1) * shape.head_size]
        factor = head_factor(part, norms[head])
        target = out[head * shape.key_size : (head + 1) * shape.key_size]
        for index in range(part.size):
            target[index] = np.uint8(unit8(part[index], factor) + OFFSET)


@compiled
def _soften(
    scores: NDArray[np.int32],
    bias: NDArray[np.int32],
    multiplier: np.int32,
    shift: np.int64,
    table: NDArray[np.int32],
    low: NDArray[np.uint8],
    high: NDArray[np.uint8],
) -> np.int64:
    """Turn products of a query with the keys it sees into attention weights, in bytes; return their sum."""
    half = np.int32(1 << (shift - 1))
    largest = np.int32(-(1 << 31))
    for index in range(scores.size):
        product = np.int32(np.int32(scores[index] * multiplier) + half)
        score = np.int32(np.int32(product >> (shift & 31)) + bias[index])
        scores[index] = score
        largest = max(largest, score)
    look_up(scores, largest, table)
    total = np.int32(0)
    for index in range(scores.size):
        weight = scores[index]
        low[index] = np.uint8(weight & 255)
        high[index] = np.uint8(weight >> 8)
        total = np.int32(total + weight)
    return np.int64(total)


@compiled
def attend(
    shape: Shape,
    attention: Attention,
    cache: Cache,
    layer: int,
    lane: int,
    slot: int,
    count: int,
    queries: NDArray[np.uint8],
    scratch: Scratch,
    out: NDArray[np.uint8],
) -> None:
    """Mix the values that ``count`` tokens of a lane see; they lie in neighbouring slots from ``slot`` on.

    Args:
        shape: of the model.
        attention: its constants.
        cache: of all lanes.
        layer: which.
        lane: which.
        slot: of the first token.
        count: at most ``TILE_ROWS``.
        queries: uint8 ``[at least count, heads * key_size]``.
        scratch: this thread's.
        out: uint8 ``[at least count, at least width]``.
    """
    begin = max(0, slot - shape.window + 1) & ~15
    panels = (slot + count - begin + 15) >> 4
    span = scratch.scores.shape[1]
    for head in range(shape.heads):
        multiply(
            address(queries) + head * shape.key_size,
            queries.shape[1],
            count,
            address(cache.keys[layer, lane, head, begin >> 4]),
            16 * shape.key_size,
            64,
            address(cache.corrections[layer, lane, head, begin:]),
            address(scratch.scores),
            4 * span,
            shape.key_size >> 2,
            panels,
        )
        for row in range(count):
            low, high = scratch.limbs[2 * row, : 16 * panels], scratch.limbs[2 * row + 1, : 16 * panels]
            left = max(0, slot + row - shape.window + 1) - begin
            right = slot + row + 1 - begin
            low[:left] = 0
            high[:left] = 0
            low[right:] = 0
            high[right:] = 0
            scratch.totals[row] = _soften(
                scratch.scores[row, left:right],
                attention.position_bias[layer, head, shape.window - (right - left) :],
                attention.score_multiplier[layer, head],
                attention.score_shift[layer, head],
                attention.exponential,
                low[left:right],
                high[left:right],
            )
        multiply(
            address(scratch.limbs),
            span,
            2 * count,
            address(cache.values[layer, lane, head, begin >> 2]),
            64,
            4 * shape.value_size,
            address(scratch.zeros),
            address(scratch.weighted),
            4 * shape.value_size,
            4 * panels,
            shape.value_size >> 4,
        )
        for row in range(count):
            target = out[row, head * shape.head_size : (head + 1) * shape.head_size]
            factor = np.int64(attention.mixing_scale[layer, head] // scratch.totals[row])
            low_sums, high_sums = scratch.weighted[2 * row], scratch.weighted[2 * row + 1]
            for index in range(target.size):
                value = np.int32(low_sums[index] + (high_sums[index] << 8))
                target[index] = np.uint8(unit8(value, factor) + OFFSET)
