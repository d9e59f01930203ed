"""Attention over the window: keys and values stored in the layout of products, then two products per head.

The second product multiplies values by attention weights of up to 15 bits, which are split into two bytes:
``sum(weight * value) = 256 * sum(high * value) + sum(low * value)``, exactly.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.kernels.cpu.cache import Cache, Scratch
from zipllm.kernels.cpu.elementwise import head_factor, look_up, unit8
from zipllm.kernels.cpu.layout import OFFSET, Attention, Shape
from zipllm.kernels.cpu.product import address, fetch, multiply
from zipllm.model.ranges import INT8_MAX

Heads: TypeAlias = tuple[Integer, Integer]
"""The first of some heads, and the end."""


@long_part
def unit_heads(
    shape: Shape,
    heads: Heads,
    norms: NDArray[np.int64],
    row: NDArray[np.int32],
    offset: Integer,
    out: NDArray[np.uint8],
) -> None:
    """Normalize some heads of a query or key, int32 ``[width]``: bytes plus ``offset``, ``key_size`` for each head."""
    for head in range(heads[0], heads[1]):
        part = row[head * shape.head_size : (head + 1) * shape.head_size]
        factor = head_factor(part, norms[head])
        target = out[head * shape.key_size : head * shape.key_size + shape.head_size]
        for index in range(part.size):
            target[index] = np.uint8(unit8(part[index], factor) + offset)


@long_part
def remember_key(
    shape: Shape, heads: Heads, cache: Cache, layer: int, lane: int, slot: int, key: NDArray[np.uint8]
) -> None:
    """Store a key, signed bytes ``[heads * key_size]`` with zeros behind each head, as the token in ``slot``."""
    for head in range(heads[0], heads[1]):
        part = key[head * shape.key_size : (head + 1) * shape.key_size]
        total = np.int32(0)
        for index in range(part.size):
            total = np.int32(total + np.int8(part[index]))
        cache.corrections[layer, lane, head, slot] = np.int32(-OFFSET * total)
        groups = part.view(np.int32)
        panel = cache.keys[layer, lane, head, slot >> 4]
        for index in range(groups.size):
            panel[index, slot & 15] = groups[index]


@long_part
def remember_value(
    shape: Shape, heads: Heads, cache: Cache, layer: int, lane: int, slot: int, row: NDArray[np.int32]
) -> None:
    """Store a value, int32 ``[width]``, saturated to int8, as the token in ``slot``."""
    for head in range(heads[0], heads[1]):
        part = row[head * shape.head_size : (head + 1) * shape.head_size]
        group = cache.values[layer, lane, head, slot >> 2]
        column = slot & 3
        for index in range(part.size):
            group[index, column] = np.int8(min(max(part[index], np.int32(-INT8_MAX)), np.int32(INT8_MAX)))


@part
def fetch_keys(shape: Shape, cache: Cache, layer: int, lane: Integer, head: Integer, slot: Integer) -> None:
    """Prefetch the keys that the token in ``slot`` sees."""
    begin, end = _visible(shape, slot, np.int64(1))
    fetch(cache.keys[layer, lane, head, begin >> 4], (end - begin) * shape.key_size)
    fetch(cache.corrections[layer, lane, head, begin:], 4 * (end - begin))


@part
def _visible(shape: Shape, slot: Integer, count: Integer) -> tuple[Integer, Integer]:
    """Return the slots that ``count`` tokens from ``slot`` on see, as a range of whole panels."""
    return max(0, slot - shape.window + 1) & ~15, (slot + count + 15) & ~15


@part
def _soften(
    scores: NDArray[np.int32],
    bias: NDArray[np.int32],
    multiplier: np.int32,
    shift: np.int64,
    table: NDArray[np.int32],
    low: NDArray[np.uint8],
    high: NDArray[np.uint8],
) -> np.int64:
    """Turn products of a query with the keys it sees into attention weights, split into bytes; return their sum."""
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


@part
def _weigh(shape: Shape, attention: Attention, layer: int, head: int, slot: int, count: int, scratch: Scratch) -> None:
    """Turn the scores of ``count`` tokens of one head into attention weights and their totals."""
    begin, end = _visible(shape, slot, count)
    for row in range(count):
        low, high = scratch.limbs[2 * row], scratch.limbs[2 * row + 1]
        left = max(0, slot + row - shape.window + 1) - begin
        right = slot + row + 1 - begin
        for index in range(left):
            low[index] = 0
            high[index] = 0
        for index in range(right, end - begin):
            low[index] = 0
            high[index] = 0
        scratch.totals[row] = _soften(
            scratch.scores[row, left:right],
            attention.position_bias[layer, head, shape.window - (right - left) :],
            attention.score_multiplier[layer, head],
            attention.score_shift[layer, head],
            attention.attention_exponential,
            low[left:right],
            high[left:right],
        )


@part
def _finish(factor: np.int64, low: NDArray[np.int32], high: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Join the halves of a sum of values and scale it to int8: unsigned bytes, ``OFFSET`` added."""
    for index in range(out.size):
        value = np.int32(low[index] + (high[index] << 8))
        out[index] = np.uint8(unit8(value, factor) + OFFSET)


@long_part
def attend(
    shape: Shape,
    heads: Heads,
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
    """Mix the values that ``count`` tokens of a lane see, at most ``TILE_ROWS``, in ``slot`` and those behind it.

    ``queries`` are uint8 ``[at least count, heads * key_size]``, ``out`` is uint8 ``[at least count, at least width]``.
    """
    begin, end = _visible(shape, slot, count)
    pitch = 4 * scratch.scores.shape[1]
    for head in range(heads[0], heads[1]):
        values = cache.values[layer, lane, head, begin >> 2 :]
        fetch(values, (end - begin) * shape.value_size)
        multiply(
            address(queries) + head * shape.key_size,
            queries.shape[1],
            count,
            address(cache.keys[layer, lane, head, begin >> 4]),
            16 * shape.key_size,
            np.int64(64),
            address(cache.corrections[layer, lane, head, begin:]),
            address(scratch.scores),
            pitch,
            shape.key_size >> 2,
            (end - begin) >> 4,
            False,
        )
        if head + 1 < heads[1]:
            fetch_keys(shape, cache, layer, lane, head + 1, slot)
        _weigh(shape, attention, layer, head, slot, count, scratch)
        multiply(
            address(scratch.limbs),
            scratch.limbs.shape[1],
            2 * count,
            address(values),
            np.int64(64),
            4 * shape.value_size,
            address(scratch.zeros),
            address(scratch.weighted),
            4 * shape.value_size,
            (end - begin) >> 2,
            shape.value_size >> 4,
            False,
        )
        for row in range(count):
            factor = np.int64(attention.mixing_scale[layer, head] // scratch.totals[row])
            target = out[row, head * shape.head_size : (head + 1) * shape.head_size]
            _finish(factor, scratch.weighted[2 * row], scratch.weighted[2 * row + 1], target)
