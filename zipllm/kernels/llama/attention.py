"""Attention over the kept tokens and the window: keys and values stored as wide tiles read them, then two products.

The queries of all heads that share a head of keys are rows of the same products. Kept tokens lie apart and have
queries of their own, which are turned less far once the window has moved on.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.kernels.cpu.elementwise import look_up
from zipllm.kernels.cpu.product import address, wide_multiply
from zipllm.kernels.llama.cache import Cache, Scratch, Stream
from zipllm.kernels.llama.elementwise import largest_size
from zipllm.kernels.llama.layout import Attention, Shape
from zipllm.model.llama.parameters import (
    FACTOR_SHIFT,
    GAIN_SHIFT,
    HEAD_MAX,
    HEAD_SCALE_BITS,
    HEAD_UNIT,
    MIXED_BITS,
    MIXED_SHIFT,
)
from zipllm.model.ranges import INT8_MAX

_FACTOR_HALF = np.int64(1 << (FACTOR_SHIFT - 1))
_GAIN_HALF = np.int64(1 << (GAIN_SHIFT - 1))
_SCALE_HALF = np.int32(1 << (HEAD_SCALE_BITS - 1))
_MEAN_SHIFT = MIXED_SHIFT - MIXED_BITS
_MEAN_HALF = np.int64(1 << (_MEAN_SHIFT - 1))
_LOWEST = np.int32(-(1 << 31))

Pair: TypeAlias = tuple[Integer, Integer]
"""The first of some heads or slots, and the end."""


@part
def storage(shape: Shape, slot: Integer) -> Integer:
    """Return the slot in the cache of one behind the front; those of kept tokens count from ``-kept``."""
    return shape.front + slot if slot >= 0 else shape.kept + slot


@part
def _place(index: Integer) -> Integer:
    """Return the place of an input in its group: ``layout.WIDE_ORDER``."""
    return (index & 1) << 1 | (index >> 1) & 1


@part
def _scale_and_factor(x: NDArray[np.int32]) -> tuple[np.int32, np.int64]:
    """Return the scale of a key or value, and the factor that rounds it."""
    scale = max((largest_size(x) + np.int32(HEAD_UNIT - 1)) // np.int32(HEAD_UNIT), np.int32(1))
    return np.int32(scale), np.int64((INT8_MAX << FACTOR_SHIFT) // (HEAD_UNIT * np.int64(scale)))


@part
def _round(value: np.int32, factor: np.int64) -> np.int8:
    return np.int8((np.int64(value) * factor + _FACTOR_HALF) >> FACTOR_SHIFT)


@long_part
def remember_key(cache: Cache, layer: int, lane: int, head: int, slot: Integer, key: NDArray[np.int32]) -> None:
    """Store a turned and saturated key, int32 ``[head_size]``, in a slot of the cache."""
    scale, factor = _scale_and_factor(key)
    cache.key_scales[layer, lane, head, slot] = np.int16(scale)
    panel = cache.keys[layer, lane, head, slot >> 4]
    for index in range(key.size):
        panel[index >> 2, slot & 15, _place(index)] = _round(key[index], factor)


@long_part
def remember_value(
    shape: Shape, cache: Cache, layer: int, lane: int, head: int, slot: Integer, value: NDArray[np.int32]
) -> None:
    """Store a value, int32 ``[head_size]``, which is saturated in place, in a slot of the cache."""
    for index in range(value.size):
        value[index] = min(max(value[index], np.int32(-HEAD_MAX)), np.int32(HEAD_MAX))
    scale, factor = _scale_and_factor(value)
    cache.value_scales[layer, lane, head, slot] = np.int16(scale)
    panels = cache.values[layer, lane, head * (shape.value_size >> 4) :]
    group, place = slot >> 2, _place(slot)
    for index in range(value.size):
        panels[index >> 4, group, index & 15, place] = _round(value[index], factor)


@part
def _gather(
    shape: Shape, heads: Pair, stream: Stream, row: int, count: int, position: int, queries: NDArray[np.int16]
) -> None:
    """Copy the queries that attend together; those for kept tokens are the same until the window has moved on."""
    each = heads[1] - heads[0]
    for token in range(count):
        near = stream.near[row + token, heads[0] : heads[1]]
        far = stream.far[row + token, heads[0] : heads[1]] if position + token > shape.far else near
        for head in range(each):
            for index in range(shape.head_size):
                queries[0, token * each + head, index] = far[head, index]
                queries[1, token * each + head, index] = near[head, index]


@part
def _score(
    scores: NDArray[np.int32],
    scales: NDArray[np.int16],
    dot_shift: np.int64,
    multiplier: np.int32,
    shift: np.int64,
) -> np.int32:
    """Turn products of a query with keys into scores, in place; return the largest."""
    half, largest = np.int32(1 << (dot_shift - 1)), _LOWEST
    for index in range(scores.size):
        dot = np.int32(np.int32(scores[index] + half) >> (dot_shift & 31))
        product = np.int32(np.int32(dot * np.int32(scales[index])) + _SCALE_HALF)
        product = np.int32(np.int32(product >> HEAD_SCALE_BITS) * multiplier)
        score = np.int32(np.int32((product >> ((shift - 1) & 31)) + 1) >> 1)  # a half of 2**29 may not fit beside it
        scores[index] = score
        largest = max(largest, score)
    return largest


@part
def _weigh(
    scores: NDArray[np.int32],
    scales: NDArray[np.int16],
    largest: np.int32,
    table: NDArray[np.int32],
    out: NDArray[np.int16],
) -> np.int64:
    """Turn scores into attention weights times the scales of values; return the sum of the weights."""
    look_up(scores, largest, table)
    total = np.int32(0)
    for index in range(scores.size):
        total = np.int32(total + scores[index])
        product = np.int32(np.int32(scores[index] * np.int32(scales[index])) + _SCALE_HALF)
        out[index] = np.int16(product >> HEAD_SCALE_BITS)
    return np.int64(total)


@long_part
def _soften(
    attention: Attention,
    layer: int,
    head: int,
    seen: Integer,
    window: Pair,
    key_scales: tuple[NDArray[np.int16], NDArray[np.int16]],
    value_scales: tuple[NDArray[np.int16], NDArray[np.int16]],
    scores: NDArray[np.int32],
    weights: NDArray[np.int16],
) -> np.int64:
    """Turn a row of products into attention weights; return their sum.

    Args:
        attention: constants.
        layer: of the network.
        head: of the query.
        seen: how many of the kept tokens the query sees; they come first in the row.
        window: what else of the row it sees.
        key_scales: of the kept tokens, and of those in ``window``.
        value_scales: as ``key_scales``.
        scores: int32; overwritten.
        weights: int16, receives the weights times the scales of values, and zeros where the query sees nothing.
    """
    left, right = window
    first, recent = scores[:seen], scores[left:right]
    dot_shift = attention.dot_shift[0]
    multiplier, shift = attention.score_multiplier[layer, head], attention.score_shift[layer, head]
    largest = max(
        _score(first, key_scales[0], dot_shift, multiplier, shift),
        _score(recent, key_scales[1], dot_shift, multiplier, shift),
    )
    table = attention.attention_exponential
    weights[seen:left] = 0
    weights[right:] = 0
    total = _weigh(first, value_scales[0], largest, table, weights[:seen])
    return total + _weigh(recent, value_scales[1], largest, table, weights[left:right])


@part
def _finish(
    kept: NDArray[np.int32],
    recent: NDArray[np.int32],
    total: np.int64,
    gain: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Divide sums of values by the sum of weights, and apply the gain of each column."""
    factor = (np.int64(1) << MIXED_SHIFT) // total
    for index in range(out.size):
        mean = (np.int64(kept[index] + recent[index]) * factor + _MEAN_HALF) >> _MEAN_SHIFT
        out[index] = np.int32((mean * np.int64(gain[index]) + _GAIN_HALF) >> GAIN_SHIFT)


@long_part
def attend(
    shape: Shape,
    heads: Pair,
    attention: Attention,
    gain: NDArray[np.int32],
    cache: Cache,
    layer: int,
    lane: int,
    row: int,
    count: int,
    position: int,
    slot: int,
    stream: Stream,
    scratch: Scratch,
) -> None:
    """Mix the values that ``count`` tokens of a lane see, from a position and a slot on, in rows from ``row`` on.

    They are one, or as many as let the queries that share a key be at most ``TILE_ROWS``.
    """
    begin, end = max(0, slot - shape.window + 1) & ~15, (max(0, slot + count) + 15) & ~15
    behind = shape.front + end - begin
    for key_head in range(heads[0] // shape.groups, (heads[1] + shape.groups - 1) // shape.groups):
        own = max(heads[0], key_head * shape.groups), min(heads[1], (key_head + 1) * shape.groups)
        each = own[1] - own[0]
        rows = count * each
        _gather(shape, own, stream, row, count, position, scratch.queries)
        _multiply_keys(shape, cache, layer, lane, key_head, (begin, end), rows, scratch)
        key_scales = cache.key_scales[layer, lane, key_head]
        value_scales = cache.value_scales[layer, lane, key_head]
        for query in range(rows):
            here = slot + query // each
            left, right = max(0, here - shape.window + 1), max(0, here + 1)
            scratch.totals[query] = _soften(
                attention,
                layer,
                own[0] + query % each,
                min(shape.kept, position + query // each + 1),
                (shape.front + left - begin, shape.front + right - begin),
                (key_scales, key_scales[shape.front + left :]),
                (value_scales, value_scales[shape.front + left :]),
                scratch.scores[query],
                scratch.weights[query, :behind],
            )
        _multiply_values(shape, cache, layer, lane, key_head, (begin, end), rows, scratch)
        for query in range(rows):
            columns = (own[0] + query % each) * shape.head_size
            _finish(
                scratch.weighted[0, query],
                scratch.weighted[1, query],
                scratch.totals[query],
                gain[columns : columns + shape.head_size],
                stream.mixed[row + query // each, columns : columns + shape.head_size],
            )


@part
def _multiply_keys(
    shape: Shape, cache: Cache, layer: int, lane: int, head: int, slots: Pair, rows: int, scratch: Scratch
) -> None:
    """Multiply the gathered queries by kept keys and by those in ``slots``, which are whole panels."""
    keys, out, pitch = cache.keys[layer, lane, head], address(scratch.scores), 4 * scratch.scores.shape[1]
    stride, vector, steps = 2 * shape.key_size, 16 * shape.key_size, shape.key_size >> 2
    for which in range(2):
        begin, end = (shape.front + slots[0], shape.front + slots[1]) if which else (np.int64(0), shape.front)
        wide_multiply(
            address(scratch.queries[which]),
            stride,
            rows,
            address(keys) + begin * shape.key_size,
            vector,
            np.int64(64),
            0,
            out + 4 * shape.front * which,
            pitch,
            steps,
            (end - begin) >> 4,
            False,
        )


@part
def _multiply_values(
    shape: Shape, cache: Cache, layer: int, lane: int, head: int, slots: Pair, rows: int, scratch: Scratch
) -> None:
    """Multiply the weights by kept values and by those in ``slots``, which are whole panels."""
    values, weights = cache.values[layer, lane, head * (shape.value_size >> 4)], scratch.weights
    for which in range(2):
        begin, end = (shape.front + slots[0], shape.front + slots[1]) if which else (np.int64(0), shape.front)
        if begin == end:
            scratch.weighted[which, :rows] = 0
        else:
            wide_multiply(
                address(weights) + 2 * shape.front * which,
                2 * weights.shape[1],
                rows,
                address(values) + 16 * begin,
                values.size,
                np.int64(64),
                0,
                address(scratch.weighted[which]),
                4 * shape.value_size,
                (end - begin) >> 2,
                shape.value_size >> 4,
                False,
            )
