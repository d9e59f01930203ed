"""Many opinions on one decision become one probability: two layers of mixing on the logistic scale, then refining.

First layer: several weight sets, each chosen by a small context, predict side by side, each learning from its own
error. Second layer: one more weighted sum of theirs (Mattern, "Linear and geometric mixtures", 2013; PAQ8's two
layers). Refining: maps of probabilities by small contexts correct what is systematically wrong (Mahoney's APM).
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.jit.prefetch import prefetch
from zipllm.mixing.memory import BINS, FINAL_SET, INPUTS, MIXTURE, SELECTORS, WEIGHT_BITS, Memory
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
_dot, _move = make_dot(INPUTS), make_move(INPUTS)
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
def mix(memory: Memory) -> Integer:
    """Return the mixture on the logistic scale and note it; ``memory.outputs`` receives what each weight set says."""
    total, final_set = np.int64(0), memory.now[FINAL_SET]
    for number in range(SELECTORS):
        output = _dot(memory.weights[memory.sets[number]], memory.inputs) >> WEIGHT_BITS
        output = min(max(output, np.int64(-LIMIT)), np.int64(LIMIT))
        memory.outputs[number] = output
        total += output * np.int64(memory.final_weights[final_set, number])
    mixture = min(max(total >> WEIGHT_BITS, np.int64(-LIMIT)), np.int64(LIMIT))
    memory.now[MIXTURE] = mixture
    return mixture


@part
def learn_mix(memory: Memory, squash: NDArray[np.int32], bit: Integer) -> None:
    """Move the weights of the last mixture along the gradient of the coding cost."""
    target, final_set = np.int64(bit) << ONE_BITS, memory.now[FINAL_SET]
    rate = max(RATE_START - (memory.decided[0] >> 9), RATE_END)
    error = (target - np.int64(squash[memory.now[MIXTURE] + LIMIT])) >> 8
    for number in range(SELECTORS):
        output = memory.outputs[number]
        weight = np.int64(memory.final_weights[final_set, number]) + ((output * error * _FINAL_RATE + (1 << 19)) >> 20)
        memory.final_weights[final_set, number] = min(max(weight, np.int64(-_MOST_FINAL)), np.int64(_MOST_FINAL))
        own = ((target - np.int64(squash[output + LIMIT])) >> 8) * rate >> 6
        _move(memory.weights[memory.sets[number]], memory.inputs, own, np.int64(_MOST_WEIGHT))
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
