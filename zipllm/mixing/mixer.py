"""Many opinions on one decision become one probability: two layers of mixing on the logistic scale, then refining.

First layer: several weight sets, each chosen by a small context, predict side by side, each learning from its own
error. Second layer: weighted sums of theirs, averaged (Mattern, "Linear and geometric mixtures", 2013; PAQ8's two
layers). Refining: maps of probabilities by small contexts correct what is systematically wrong (Mahoney's APM).
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.jit.prefetch import prefetch
from zipllm.mixing.memory import (
    BINS,
    FINAL_SET,
    FULL,
    LEAN,
    MIXTURE,
    WEIGHT_BITS,
    Memory,
    final_count,
    is_full,
    mixer_count,
)
from zipllm.mixing.tables import LIMIT, MANTISSA_BITS, ONE_BITS
from zipllm.mixing.vectors import make_dot, make_move

RATE_START, RATE_END = 40, 18
"""Learning rate of the first layer at the beginning and later, in units of ``2**-12``."""
_FINAL_RATE = 8
_REFINE_SHIFT = 5
_ONE = 1 << ONE_BITS
_MOST_WEIGHT = 1 << (WEIGHT_BITS + 6)
_MOST_FINAL = 1 << (WEIGHT_BITS + 4)
_SPAN = 2 * LIMIT + 2
_LINE = 16
"""Points in 64 bytes, what the processor fetches at once."""
_dot_lean, _dot_full = make_dot(LEAN.inputs), make_dot(FULL.inputs)
_move_lean, _move_full = make_move(LEAN.inputs), make_move(FULL.inputs)
LEAST = 32
"""No probability is nearer to 0 or 1 than this, in units of ``2**-24``."""


@part
def stretch_fine(fine: NDArray[np.int32], probability: Integer) -> Integer:
    """Return a probability of 24 bits on the logistic scale, exact to a hundredth of a nat also near 0 and 1."""
    small = min(probability, _ONE - probability)
    exponent, rest = np.int64(0), np.int64(small)
    for shift in (16, 8, 4, 2, 1):
        if rest >= np.int64(1) << shift:
            rest >>= shift
            exponent += shift
    mantissa = ((small << MANTISSA_BITS) >> exponent) & ((1 << MANTISSA_BITS) - 1)
    number = np.int64(fine[(exponent << MANTISSA_BITS) + mantissa])
    return number if small == probability else -number


@part
def _dot(memory: Memory, chosen: Integer) -> Integer:
    if is_full(memory):
        return np.int64(_dot_full(memory.weights[chosen], memory.inputs))
    return np.int64(_dot_lean(memory.weights[chosen], memory.inputs))


@part
def _move(memory: Memory, chosen: Integer, error: Integer) -> None:
    if is_full(memory):
        _move_full(memory.weights[chosen], memory.inputs, error, np.int64(_MOST_WEIGHT))
    else:
        _move_lean(memory.weights[chosen], memory.inputs, error, np.int64(_MOST_WEIGHT))


@part
def mix(memory: Memory) -> Integer:
    """Return the mixture on the logistic scale and note it, and what each mixer of both layers says."""
    finals, now = final_count(memory), memory.now
    for number in range(mixer_count(memory)):
        output = _dot(memory, memory.sets[number]) >> WEIGHT_BITS
        memory.outputs[number] = min(max(output, np.int64(-LIMIT)), np.int64(LIMIT))
    mixture = np.int64(0)
    for final in range(finals):
        total, chosen = np.int64(0), now[FINAL_SET + final]
        for number in range(mixer_count(memory)):
            total += memory.outputs[number] * np.int64(memory.final_weights[final, chosen, number])
        said = min(max(total >> WEIGHT_BITS, np.int64(-LIMIT)), np.int64(LIMIT))
        now[FINAL_SET + finals + final] = said
        mixture += said
    mixture //= finals
    now[MIXTURE] = mixture
    return mixture


@part
def learn_mix(memory: Memory, squash: NDArray[np.int32], bit: Integer) -> None:
    """Move the weights of the last mixture along the gradient of the coding cost, those of each mixer by its own."""
    target, finals = np.int64(bit) << ONE_BITS, final_count(memory)
    rate = max(RATE_START - (memory.decided[0] >> 9), RATE_END)
    for final in range(finals):
        chosen, said = memory.now[FINAL_SET + final], memory.now[FINAL_SET + finals + final]
        error = (target - np.int64(squash[said + LIMIT])) >> 8
        for number in range(mixer_count(memory)):
            change = (memory.outputs[number] * error * _FINAL_RATE + (1 << 19)) >> 20
            weight = np.int64(memory.final_weights[final, chosen, number]) + change
            memory.final_weights[final, chosen, number] = min(
                max(weight, np.int64(-_MOST_FINAL)), np.int64(_MOST_FINAL)
            )
    for number in range(mixer_count(memory)):
        own = ((target - np.int64(squash[memory.outputs[number] + LIMIT])) >> 8) * rate >> 6
        _move(memory, memory.sets[number], own)
    memory.decided[0] += 1


@part
def fetch_refiner(refiners: NDArray[np.int32], row: Integer) -> None:
    """Ask for a row of the refining maps: they are larger than caches, and needed only when the mixture is known."""
    for line in range(0, BINS, _LINE):
        prefetch(refiners, row * BINS + line)


@part
def refined(refiners: NDArray[np.int32], mixture: Integer, row: Integer) -> Integer:
    """Return what a refining map makes of a mixture: between its two nearest points, in units of ``2**-24``."""
    scaled = (mixture + LIMIT + 1) * (BINS - 1)
    low = scaled // _SPAN
    share = scaled - low * _SPAN
    return (np.int64(refiners[row, low]) * (_SPAN - share) + np.int64(refiners[row, low + 1]) * share) // _SPAN


@inlined
def nearest_point(mixture: Integer) -> Integer:
    """Return the point of a refining map that learns from a mixture."""
    return ((mixture + LIMIT + 1) * (BINS - 1) + _SPAN // 2) // _SPAN


@part
def learn_refined(refiners: NDArray[np.int32], mixture: Integer, row: Integer, bit: Integer) -> None:
    """Move the nearer point towards what came."""
    nearest = nearest_point(mixture)
    old = np.int64(refiners[row, nearest])
    refiners[row, nearest] = old + (((np.int64(bit) << ONE_BITS) - old) >> _REFINE_SHIFT)
