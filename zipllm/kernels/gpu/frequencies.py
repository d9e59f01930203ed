"""Product sums of the output matrix to cumulative frequencies, a Triton kernel: ``zipllm.model.frequencies``.

One program works on one row, in four passes over the vocabulary: the largest logit and its first place, the sum of
the weights, the remainder of rounding down, and the cumulative sums.
"""

import triton
import triton.language as tl

from zipllm.kernels.gpu.layers import requantized
from zipllm.model import ranges

RATIO_SHIFT: tl.constexpr = tl.constexpr(ranges.RATIO_SHIFT)
TOTAL: tl.constexpr = tl.constexpr(ranges.TOTAL)
LOWEST: tl.constexpr = tl.constexpr(-(1 << 31))


@triton.jit
def logits_of(sums, multipliers, shift, row, columns, inside):
    """``logits`` of some tokens, int32; the lowest number outside of the vocabulary."""
    logit = requantized(sums, multipliers, shift, 0, row, columns, inside).to(tl.int32)
    return tl.where(inside, logit, LOWEST)


@triton.jit
def weights_of(logit, largest, exponential, entries, inside):
    """Weights of some tokens, int64, by the distance to the largest logit."""
    distance = tl.minimum(largest - tl.where(inside, logit, largest), entries - 1)
    return tl.load(exponential + distance, mask=inside, other=0).to(tl.int64)


@triton.jit
def cumulate(sums, multipliers, shift, exponential, cumulative, entries, VOCABULARY: tl.constexpr, BLOCK: tl.constexpr):
    """Frequencies of all tokens that sum to ``TOTAL``, each at least 1, added up; int32 ``[rows, VOCABULARY + 1]``."""
    row = tl.program_id(0).to(tl.int64) * VOCABULARY
    block = tl.arange(0, BLOCK)

    largest = tl.full((), LOWEST, tl.int32)
    best = tl.full((), 0, tl.int32)
    for begin in range(0, VOCABULARY, BLOCK):
        columns = begin + block
        logit = logits_of(sums, multipliers, shift, row, columns, columns < VOCABULARY)
        here = tl.max(logit, axis=0)
        first = tl.min(tl.where(logit == here, columns, VOCABULARY), axis=0)
        best = tl.where(here > largest, first, best)
        largest = tl.maximum(largest, here)

    total = tl.zeros((), tl.int64)
    for begin in range(0, VOCABULARY, BLOCK):
        columns = begin + block
        inside = columns < VOCABULARY
        logit = logits_of(sums, multipliers, shift, row, columns, inside)
        total += tl.sum(weights_of(logit, largest, exponential, entries, inside), axis=0)
    ratio = (tl.full((), TOTAL - VOCABULARY, tl.int64) << RATIO_SHIFT) // total

    rest = tl.full((), TOTAL, tl.int64)
    for begin in range(0, VOCABULARY, BLOCK):
        columns = begin + block
        inside = columns < VOCABULARY
        logit = logits_of(sums, multipliers, shift, row, columns, inside)
        weight = weights_of(logit, largest, exponential, entries, inside)
        rest -= tl.sum(tl.where(inside, 1 + ((weight * ratio) >> RATIO_SHIFT), 0), axis=0)

    out = cumulative + tl.program_id(0).to(tl.int64) * (VOCABULARY + 1)
    tl.store(out, tl.full((), 0, tl.int32))
    before = tl.zeros((), tl.int32)
    for begin in range(0, VOCABULARY, BLOCK):
        columns = begin + block
        inside = columns < VOCABULARY
        logit = logits_of(sums, multipliers, shift, row, columns, inside)
        weight = weights_of(logit, largest, exponential, entries, inside)
        frequency = tl.where(inside, 1 + ((weight * ratio) >> RATIO_SHIFT), 0)
        frequency = (frequency + tl.where(columns == best, rest, 0)).to(tl.int32)
        tl.store(out + 1 + columns, before + tl.cumsum(frequency, axis=0), mask=inside)
        before += tl.sum(frequency, axis=0)


@triton.jit
def cumulate_whole(
    sums, multipliers, shift, exponential, cumulative, entries, VOCABULARY: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """``cumulate`` with a whole row in registers: ``BLOCK`` is the vocabulary rounded up to a power of two."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < VOCABULARY
    logit = logits_of(sums, multipliers, shift, row * VOCABULARY, columns, inside)
    largest = tl.max(logit, axis=0)
    best = tl.min(tl.where(logit == largest, columns, VOCABULARY), axis=0)
    weight = weights_of(logit, largest, exponential, entries, inside)
    ratio = (tl.full((), TOTAL - VOCABULARY, tl.int64) << RATIO_SHIFT) // tl.sum(weight, axis=0)
    frequency = tl.where(inside, 1 + ((weight * ratio) >> RATIO_SHIFT), 0).to(tl.int32)
    rest = TOTAL - tl.sum(frequency, axis=0)
    out = cumulative + row * (VOCABULARY + 1)
    tl.store(out, tl.full((), 0, tl.int32))
    tl.store(out + 1 + columns, tl.cumsum(frequency + tl.where(columns == best, rest, 0), axis=0), mask=inside)
