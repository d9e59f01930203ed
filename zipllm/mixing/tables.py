"""Tables of the adaptive predictor: probabilities on the logistic scale, and small histories of bits.

Made from integers alone, so that archives do not depend on a mathematics library. The logistic scale is the
natural logarithm of ``p / (1 - p)`` in units of ``1/256``, between ``-LIMIT`` and ``LIMIT``; mixing is done there
(Mahoney, "Adaptive weighing of context models for lossless data compression", 2005).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNIT = 256
"""Logistic scale: this much is one nat."""
LIMIT = 3071
"""Largest number on the logistic scale: 12 nats, odds of 162,000 to 1."""
ONE_BITS = 24
"""Probabilities that are coded, and those of the model, are in units of ``2**-24``."""
MAP_BITS = 22
"""Probabilities that are learned are in units of ``2**-22``."""
COARSE_BITS = 12
"""Learned probabilities are looked up with this many bits."""
MANTISSA_BITS = 7
"""A probability of the model is looked up by its exponent and this many bits after the leading one."""
STATES = 2048
"""Room for bit histories; fewer are used."""
RECIPROCALS = 1024
"""Largest count of an adaptive probability, plus one."""

_FIXED = 96  # fraction bits of the exponential below
# How large the larger of two counts gets, by the smaller one: a long run of one bit is worth remembering.
_MOST = (60, 40, 26, 18, 14, 12, 10, 9, 8)


class Tables(NamedTuple):
    """Constants that compiled code looks things up in.

    Attributes:
        squash: int32 ``[2 * LIMIT + 1]``, probability in units of ``2**-24`` for each logistic number.
        stretch: int32 ``[2**COARSE_BITS]``, its inverse for coarse probabilities.
        fine: int32 ``[25 << MANTISSA_BITS]``, logistic numbers of small probabilities; see ``MANTISSA_BITS``.
        following: uint16 ``[STATES, 2]``, the history after one more bit.
        initial: uint32 ``[STATES]``, what a history says before anything is known: probability << 10.
        seen: uint8 ``[STATES]``, how many bits a history remembers.
        reciprocal: int64 ``[RECIPROCALS]``, ``2**16 / (count + 1.5)``.
    """

    squash: NDArray[np.int32]
    stretch: NDArray[np.int32]
    fine: NDArray[np.int32]
    following: NDArray[np.uint16]
    initial: NDArray[np.uint32]
    seen: NDArray[np.uint8]
    reciprocal: NDArray[np.int64]


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Return the tables; some milliseconds the first time."""
    squash = _squash()
    coarse = ((2 * np.arange(1 << COARSE_BITS, dtype=np.int64) + 1) << (ONE_BITS - COARSE_BITS)) >> 1
    following, initial, seen = _histories()
    reciprocal = (2 << 16) // (2 * np.arange(RECIPROCALS, dtype=np.int64) + 3)
    return Tables(squash, _stretch(squash, coarse), _fine(squash), following, initial, seen, reciprocal)


def _squash() -> NDArray[np.int32]:
    """Return ``2**24 / (1 + e**(-x / 256))``, kept within ``1 .. 2**24 - 1``, by integers of 96 fraction bits."""
    one = 1 << _FIXED
    step, term = one, one
    for index in range(1, 30):  # the series of e**(1/256)
        term //= UNIT * index
        step += term
    values, power = [], one
    for _ in range(LIMIT + 1):  # power is e**(x / 256)
        values.append((power << ONE_BITS) // (power + one))
        power = power * step >> _FIXED
    upper = np.array(values, dtype=np.int64)
    both = np.concatenate(((1 << ONE_BITS) - upper[:0:-1], upper))
    return np.clip(both, 1, (1 << ONE_BITS) - 1).astype(np.int32)


def _stretch(squash: NDArray[np.int32], probabilities: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the logistic number whose probability is the first not below each one given."""
    found = np.searchsorted(squash, probabilities).astype(np.int64) - LIMIT
    return np.clip(found, -LIMIT, LIMIT).astype(np.int32)


def _fine(squash: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the logistic numbers of probabilities ``(1 + m / 128) * 2**e``, the middle of each bin."""
    exponent, mantissa = np.divmod(np.arange((ONE_BITS + 1) << MANTISSA_BITS, dtype=np.int64), 1 << MANTISSA_BITS)
    middle = ((2 * (mantissa + (1 << MANTISSA_BITS)) + 1) << exponent) >> (MANTISSA_BITS + 1)
    return _stretch(squash, middle)


def _histories() -> tuple[NDArray[np.uint16], NDArray[np.uint32], NDArray[np.uint8]]:
    """Number the bit histories: how many zeros and ones, and the last two bits.

    A bit that comes halves what is remembered of the opposite beyond three, for files change.
    """
    start = (0, 0, 0)
    numbers, open_states = {start: 0}, [start]
    following = np.zeros((STATES, 2), dtype=np.uint16)
    initial = np.zeros(STATES, dtype=np.uint32)
    seen = np.zeros(STATES, dtype=np.uint8)
    for state in open_states:  # grows while it is walked through
        zeros, ones, _ = state
        number = numbers[state]
        initial[number] = ((10 * ones + 4) << MAP_BITS) // (10 * (zeros + ones) + 8) << 10
        seen[number] = zeros + ones
        for bit in range(2):
            after = _after(state, bit)
            if after not in numbers:
                numbers[after] = len(numbers)
                open_states.append(after)
            following[number, bit] = numbers[after]
    assert len(numbers) <= STATES, len(numbers)
    return following, initial, seen


def _after(state: tuple[int, int, int], bit: int) -> tuple[int, int, int]:
    counts, last = [state[0], state[1]], state[2]
    other = counts[1 - bit]
    counts[1 - bit] = other if other <= 3 else (other + 3) // 2
    small = min(counts[1 - bit], counts[bit] + 1, len(_MOST) - 1)
    if counts[bit] < _MOST[small]:
        counts[bit] += 1
    while counts[1 - bit] > _MOST[min(counts[bit], len(_MOST) - 1)]:
        counts[1 - bit] -= 1
    return counts[0], counts[1], (2 * last + bit) & 3
