"""Experts say an expected value and an expected error; the bits of the sample follow from a logistic distribution.

A bit asks whether the sample lies in the upper or the lower half of the values that are still possible. For each expert
the masses of both halves are known exactly, and the logarithm of their quotient is an input of the mixer: so its
weighted sum is the product of the experts' distributions, each raised to its weight.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, part
from zipllm.media.curves import MASS_BITS, Constants, binary_logarithm, mass_below, octaves
from zipllm.media.memory import (
    BITS,
    BOTTOM,
    ERROR,
    FLOOR,
    HIGH,
    INVERSE,
    LEVEL,
    LOW,
    MEAN,
    MIDDLE,
    SPAN,
    Memory,
    expert_count,
)

_MOST_INPUT = 2047
_NARROWEST = 6
_LOG_TO_INPUT, _LOG_SHIFT = 5678, 19  # ln(2) * 256 / 2**14


@part
def blend(means: NDArray[np.int64], trust: NDArray[np.int64], count: Integer) -> Integer:
    """Return the mean of the first ``count`` experts' values, weighted."""
    total, weight = np.int64(0), np.int64(0)
    for expert in range(count):
        total += trust[expert] * means[expert]
        weight += trust[expert]
    return total // weight


@part
def begin_sample(memory: Memory, narrowing: Integer) -> None:
    """Turn the experts' errors into scales of their distributions: ``error * narrowing / 256``; all values are open."""
    experts, now = memory.experts, memory.now
    for expert in range(expert_count(memory)):
        scale = max(experts[ERROR, expert] * narrowing >> 8, np.int64(_NARROWEST))
        experts[INVERSE, expert] = (np.int64(1) << 32) // scale
        experts[LOW, expert] = 0
        experts[HIGH, expert] = np.int64(1) << MASS_BITS
    now[BOTTOM] = 0
    now[SPAN] = np.int64(1) << now[BITS]
    now[LEVEL] = octaves((np.int64(1) << 32) // experts[INVERSE, expert_count(memory) - 1], np.int64(2))


@part
def edge_of_halves(now: NDArray[np.int64]) -> Integer:
    """Return what separates the lower from the upper half of the possible values, with 8 fraction bits."""
    return np.int64(((now[BOTTOM] + (now[SPAN] >> 1)) << 8) - 128)


@part
def expert_inputs(memory: Memory, constants: Constants) -> None:
    """Fill the mixer's inputs 1 to the number of experts; the masses of both halves have a floor of ``2**-12``."""
    experts, edge = memory.experts, edge_of_halves(memory.now)
    floor = memory.now[FLOOR] * (memory.now[SPAN] >> 1)
    for expert in range(expert_count(memory)):
        middle = mass_below(constants.mass, ((edge - experts[MEAN, expert]) * experts[INVERSE, expert]) >> 16)
        experts[MIDDLE, expert] = middle
        above = binary_logarithm(constants.logarithm, experts[HIGH, expert] - middle + floor)
        below = binary_logarithm(constants.logarithm, middle - experts[LOW, expert] + floor)
        odds = ((above - below) * _LOG_TO_INPUT) >> _LOG_SHIFT
        memory.inputs[1 + expert] = np.int32(min(max(odds, np.int64(-_MOST_INPUT)), np.int64(_MOST_INPUT)))


@part
def narrow(memory: Memory, bit: Integer) -> None:
    """Keep the half of the possible values that a bit names."""
    experts, now = memory.experts, memory.now
    now[SPAN] >>= 1
    kept = HIGH
    if bit:
        now[BOTTOM] += now[SPAN]
        kept = LOW
    for expert in range(expert_count(memory)):
        experts[kept, expert] = experts[MIDDLE, expert]
