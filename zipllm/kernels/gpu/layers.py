"""The Transformer's small steps as Triton kernels: embedding, residual stream and norms, heads, activation.

One program works on one row (one token of one lane), so results do not depend on how rows are distributed. The
products between these steps are ``torch._int_mm``. Every integer fits its type by ``zipllm.model.transformer.bounds``;
each kernel names the function of ``zipllm.model.transformer.integer`` that it equals. The square root is IEEE double
precision, correctly rounded.
"""

import triton
import triton.language as tl

from zipllm.model import ranges

BYTE: tl.constexpr = tl.constexpr(ranges.INT8_MAX)
NORM_SHIFT: tl.constexpr = tl.constexpr(ranges.NORM_SHIFT)
FEEDFORWARD_MAX: tl.constexpr = tl.constexpr(ranges.FEEDFORWARD_MAX)
INT16_MAX: tl.constexpr = tl.constexpr(ranges.INT16_MAX)
SQUARE_SHIFT: tl.constexpr = tl.constexpr(ranges.SQUARE_SHIFT)


@triton.jit
def round_shift(x, shift):
    """``arithmetic.round_shift`` of int64."""
    return (x + (tl.full((), 1, tl.int64) << (shift - 1))) >> shift


@triton.jit
def clamp(x, low, high):
    """Integers between two bounds; ``tl.clamp`` is for floats."""
    return tl.minimum(tl.maximum(x, low), high)


@triton.jit
def requantized(sums, multipliers, shift, at, row, columns, inside):
    """``arithmetic.requantize`` of some columns of a row of product sums; int64."""
    total = tl.load(sums + row + columns, mask=inside, other=0).to(tl.int64)
    multiplier = tl.load(multipliers + columns, mask=inside, other=0).to(tl.int64)
    return round_shift(total * multiplier, tl.load(shift + at).to(tl.int64))


@triton.jit
def vector_length(x):
    """``arithmetic.vector_length`` of an int64 vector."""
    length = tl.ceil(tl.sqrt(tl.sum(x * x, axis=0).to(tl.float64))).to(tl.int64)
    return tl.maximum(length, 1)


@triton.jit
def scaled_to_int8(x, factor):
    """``arithmetic.scale_to_int8``, with the quotient of numerator and divisor."""
    half = tl.full((), 1, tl.int64) << (NORM_SHIFT - 1)
    return clamp((x * factor + half) >> NORM_SHIFT, -BYTE, BYTE).to(tl.int8)


@triton.jit
def embed(tokens, table, multipliers, shift, norms, stream, hidden, limit, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """``_embed``, and the first ``_norm``: a row of the residual stream and its int8 form."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < WIDTH
    token = tl.load(tokens + row).to(tl.int64)
    entry = tl.load(table + token * WIDTH + columns, mask=inside, other=0).to(tl.int64)
    product = entry * tl.load(multipliers + token).to(tl.int64)
    x = clamp(round_shift(product, tl.load(shift).to(tl.int64)), -limit, limit)
    tl.store(stream + row * WIDTH + columns, x.to(tl.int32), mask=inside)
    factor = tl.load(norms) // vector_length(x)
    tl.store(hidden + row * WIDTH + columns, scaled_to_int8(x, factor), mask=inside)


@triton.jit
def add_and_norm(
    sums, multipliers, shift, norms, stream, hidden, layer, next_norm, limit, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """``_linear``'s end, ``_add`` and the next ``_norm``: the residual stream changed in place and its int8 form."""
    row = tl.program_id(0).to(tl.int64) * WIDTH
    columns = tl.arange(0, BLOCK)
    inside = columns < WIDTH
    change = requantized(sums, multipliers + layer * WIDTH, shift, layer, row, columns, inside)
    x = tl.load(stream + row + columns, mask=inside, other=0).to(tl.int64)
    x = clamp(x + change, -limit, limit)
    tl.store(stream + row + columns, x.to(tl.int32), mask=inside)
    factor = tl.load(norms + next_norm) // vector_length(x)
    tl.store(hidden + row + columns, scaled_to_int8(x, factor), mask=inside)


@triton.jit
def activate(sums, multipliers, shift, active, layer, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    """``_feedforward``'s middle: requantized sums to the squares the second matrix takes."""
    row = tl.program_id(0).to(tl.int64) * COLUMNS
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < COLUMNS
    x = clamp(requantized(sums, multipliers + layer * COLUMNS, shift, layer, row, columns, inside), 0, FEEDFORWARD_MAX)
    half = tl.full((), 1, tl.int64) << (SQUARE_SHIFT - 1)
    squared = tl.minimum((x * x + half) >> SQUARE_SHIFT, BYTE)
    tl.store(active + row + columns, squared.to(tl.int8), mask=inside)


@triton.jit
def split_heads(
    sums, multipliers, shifts, norms, lanes, positions, queries, keys, values, layer, time, slots,
    HEADS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """``_unit_heads`` and ``_remember``: one head of a row's query, and of its key and value in the lane's ring.

    ``sums`` has query, key and value side by side; ``multipliers``, ``shifts`` and ``norms`` one after the other.
    """
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    lane = tl.load(lanes + row // time).to(tl.int64)
    slot = (tl.load(positions + lane) + row % time) % slots
    width: tl.constexpr = HEADS * SIZE
    inside = tl.arange(0, BLOCK) < SIZE
    columns = head * SIZE + tl.arange(0, BLOCK)
    kept = (lane * slots + slot) * width + columns
    for part in tl.static_range(3):
        scale = multipliers + (3 * layer + part) * width
        x = requantized(sums + part * width, scale, shifts, 3 * layer + part, row * 3 * width, columns, inside)
        if part == 2:
            tl.store(values + kept, clamp(x, -BYTE, BYTE).to(tl.int8), mask=inside)
        else:
            x = clamp(x, -INT16_MAX, INT16_MAX)
            factor = tl.load(norms + (2 * layer + part) * HEADS + head) // vector_length(x)
            if part == 0:
                tl.store(queries + row * width + columns, scaled_to_int8(x, factor), mask=inside)
            else:
                tl.store(keys + kept, scaled_to_int8(x, factor), mask=inside)
