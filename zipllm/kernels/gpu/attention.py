"""Attention over the window as Triton kernels: int8 products, exact sums, nothing stored between the two passes.

The scores of a tile of queries are computed twice: once for the largest of each row, once for the weights, which
are looked up in a table and mixed with the values at once. A weight has up to 15 bits; it is cut into 7-bit digits,
so that mixing, too, is a product of int8.
"""

import triton
import triton.language as tl

from zipllm.kernels.gpu.layers import scaled_to_int8

DIGIT: tl.constexpr = tl.constexpr(7)
DIGIT_MASK: tl.constexpr = tl.constexpr((1 << 7) - 1)
LOWEST: tl.constexpr = tl.constexpr(-(1 << 31))


@triton.jit
def scores_of(
    query, keys, biases, asked, places, last, slots, window, multiplier, shift,
    WIDTH: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """``_weights``'s scores int32 ``[queries, keys]``, and which keys are visible.

    ``query`` is int8 ``[queries, BLOCK]``; ``keys`` points to the ring of the lane's head, whose slots are ``WIDTH``
    apart; ``asked`` and ``places`` are the positions of queries and keys, ``last`` that of the newest key. ``BLOCK`` is
    ``SIZE``, of a head, rounded up to a power of two that ``tl.dot`` takes.
    """
    inputs = tl.arange(0, BLOCK)
    there = (inputs[:, None] < SIZE) & (places[None, :] <= last)
    at = (places % slots).to(tl.int64)
    key = tl.load(keys + at[None, :] * WIDTH + inputs[:, None], mask=there, other=0)
    dot = tl.dot(query, key, out_dtype=tl.int32)
    distance = asked[:, None] - places[None, :]
    visible = (distance >= 0) & (distance < window)
    bias = tl.load(biases + distance, mask=visible, other=0)
    return ((dot * multiplier + (1 << (shift - 1))) >> shift) + bias, visible


@triton.jit
def mixed_digit(digit, value):
    """Product of one digit of every weight with the values, int32."""
    return tl.dot(digit.to(tl.int8), value, out_dtype=tl.int32)


@triton.jit
def attend(
    queries, keys, values, lanes, positions, multipliers, shifts, biases, exponential, scales, mixed,
    layer, time, slots, window, entries,
    HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    DIGITS: tl.constexpr,
):  # fmt: skip
    """``_attention`` between the products: a tile of one lane's queries, one head; int8 ``[rows, width]``."""
    number, head, tile = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    width: tl.constexpr = HEADS * SIZE
    lane = tl.load(lanes + number).to(tl.int64)
    begin = tl.load(positions + lane)
    rows = tile * ROWS + tl.arange(0, ROWS)
    inputs = tl.arange(0, BLOCK)
    inside = (rows[:, None] < time) & (inputs[None, :] < SIZE)
    at = (number * time + rows[:, None]) * width + head * SIZE + inputs[None, :]
    query = tl.load(queries + at, mask=inside, other=0)
    asked = begin + rows
    ring = lane * slots * width + head * SIZE
    parameter = layer * HEADS + head
    multiplier, shift = tl.load(multipliers + parameter), tl.load(shifts + parameter)
    bias = biases + parameter.to(tl.int64) * window
    first = tl.maximum(begin + tile * ROWS - window + 1, 0)
    last = begin + tl.minimum(tile * ROWS + ROWS, time) - 1

    largest = tl.full((ROWS,), LOWEST, tl.int32)
    for start in range(first, last + 1, KEYS):
        places = start + tl.arange(0, KEYS)
        score, visible = scores_of(
            query, keys + ring, bias, asked, places, last, slots, window, multiplier, shift, width, SIZE, BLOCK
        )
        largest = tl.maximum(largest, tl.max(tl.where(visible, score, LOWEST), axis=1))

    total = tl.zeros((ROWS,), tl.int64)
    sums = tl.zeros((ROWS, BLOCK), tl.int32)
    for start in range(first, last + 1, KEYS):
        places = start + tl.arange(0, KEYS)
        score, visible = scores_of(
            query, keys + ring, bias, asked, places, last, slots, window, multiplier, shift, width, SIZE, BLOCK
        )
        distance = tl.minimum(largest[:, None] - score, entries - 1)
        weight = tl.load(exponential + distance, mask=visible, other=0)
        total += tl.sum(weight, axis=1).to(tl.int64)
        kept = (places % slots).to(tl.int64)
        there = (places[:, None] <= last) & (inputs[None, :] < SIZE)
        value = tl.load(values + ring + kept[:, None] * width + inputs[None, :], mask=there, other=0)
        for digit in tl.static_range(DIGITS):
            part = (weight >> (digit * DIGIT)) & DIGIT_MASK
            sums += mixed_digit(part, value) << (digit * DIGIT)

    # rows beyond the time see keys or nothing at all; they are not stored
    factor = tl.load(scales + parameter) // tl.maximum(total, 1)
    tl.store(mixed + at, scaled_to_int8(sums.to(tl.int64), factor[:, None]), mask=inside)


@triton.jit
def attend_step(
    queries, keys, values, lanes, positions, multipliers, shifts, biases, exponential, scales, mixed,
    layer, slots, window, entries,
    HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """``attend`` for one query of each lane: the whole window at once, every score computed once, plain products.

    ``KEYS`` and ``BLOCK`` are the window and ``SIZE`` rounded up to powers of two.
    """
    number, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    width: tl.constexpr = HEADS * SIZE
    lane = tl.load(lanes + number).to(tl.int64)
    asked = tl.load(positions + lane)
    inputs = tl.arange(0, BLOCK)
    real = inputs < SIZE
    at = number * width + head * SIZE + inputs
    query = tl.load(queries + at, mask=real, other=0).to(tl.int32)
    parameter = layer * HEADS + head

    distance = tl.arange(0, KEYS)
    visible = (distance < window) & (distance <= asked)
    kept = (tl.where(visible, asked - distance, 0) % slots).to(tl.int64)
    there = visible[:, None] & real[None, :]
    ring = lane * slots * width + head * SIZE + kept[:, None] * width + inputs[None, :]
    key = tl.load(keys + ring, mask=there, other=0).to(tl.int32)
    dot = tl.sum(key * query[None, :], axis=1)
    bias = tl.load(biases + parameter.to(tl.int64) * window + distance, mask=visible, other=0)
    multiplier, shift = tl.load(multipliers + parameter), tl.load(shifts + parameter)
    score = ((dot * multiplier + (1 << (shift - 1))) >> shift) + bias
    largest = tl.max(tl.where(visible, score, LOWEST), axis=0)

    weight = tl.load(exponential + tl.minimum(largest - score, entries - 1), mask=visible, other=0)
    total = tl.sum(weight.to(tl.int64), axis=0)
    value = tl.load(values + ring, mask=there, other=0).to(tl.int32)
    sums = tl.sum(weight[:, None] * value, axis=0)
    factor = tl.load(scales + parameter) // total
    tl.store(mixed + at, scaled_to_int8(sums.to(tl.int64), factor), mask=real)
