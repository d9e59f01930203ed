"""The logistic distribution and the logarithm as tables of integers, made from integers alone.

A table that a mathematics library computes may differ between two machines in its last bit, and then their archives
would differ, too. The power series and the squarings below are exact to more bits than are kept.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, part
from zipllm.media.bits import bit_length
from zipllm.mixing.tables import Tables, tables

MASS_BITS = 40
"""Probabilities of the distribution are in units of ``2**-40``."""
_STEPS, _REACH = 32, 24
"""Points per unit of the distribution's argument, and how far from its mean the table reaches, in units."""
_POINTS = 2 * _REACH * _STEPS
_ARGUMENT_BITS = 16
_REST_BITS = _ARGUMENT_BITS - 5
_LOG_BITS, _LOG_INDEX_BITS = 14, 10
_FIXED = 128  # fraction bits while the tables are made


class Constants(NamedTuple):
    """What compiled code looks up.

    Attributes:
        mixing: tables of the logistic scale and of bit histories.
        mass: int64 ``[1538]``, probability below ``(index - 768) / 32`` of the standard logistic distribution, in
            units of ``2**-40``; the last two are all of it.
        logarithm: int64 ``[1025]``, ``log2(1 + index / 1024)`` in units of ``2**-14``.
    """

    mixing: Tables
    mass: NDArray[np.int64]
    logarithm: NDArray[np.int64]


@lru_cache(maxsize=1)
def constants() -> Constants:
    """Return the tables; some milliseconds the first time."""
    return Constants(tables(), _mass(), _logarithm())


def _mass() -> NDArray[np.int64]:
    """Return ``floor(2**40 / (1 + e**-((k - 768) / 32)))``; from 0 to ``2**40``, which stands there twice."""
    one = 1 << _FIXED
    step, term = one, one
    for index in range(1, 40):  # the series of e**(1/32)
        term //= _STEPS * index
        step += term
    powers = [one]
    for _ in range(_POINTS // 2):
        powers.append(powers[-1] * step >> _FIXED)
    upper = [(power << MASS_BITS) // (power + one) for power in powers]
    lower = [(one << MASS_BITS) // (power + one) for power in powers[:0:-1]]
    both = np.array([*lower, *upper, 0], dtype=np.int64)
    both[0], both[-2:] = 0, 1 << MASS_BITS
    return both


def _logarithm() -> NDArray[np.int64]:
    """Return ``round(2**14 * log2(1 + i / 1024))``, bit by bit: squaring a number doubles its logarithm."""
    values = []
    for index in range((1 << _LOG_INDEX_BITS) + 1):
        number, bits = ((1 << _LOG_INDEX_BITS) + index) << (_FIXED - _LOG_INDEX_BITS), 0
        whole, number = (1, number >> 1) if number >> (_FIXED + 1) else (0, number)
        for _ in range(_LOG_BITS + 1):
            number = number * number >> _FIXED
            carry = number >> (_FIXED + 1)
            number >>= carry
            bits = 2 * bits + carry
        values.append(((whole << (_LOG_BITS + 1)) + bits + 1) >> 1)
    return np.array(values, dtype=np.int64)


@part
def mass_below(mass: NDArray[np.int64], argument: Integer) -> Integer:
    """Return the probability below an argument of 16 fraction bits; linear between the table's points."""
    place = min(max(argument + (_REACH << _ARGUMENT_BITS), np.int64(0)), np.int64(2 * _REACH << _ARGUMENT_BITS))
    index, rest = place >> _REST_BITS, place & ((1 << _REST_BITS) - 1)
    low = mass[index]
    return np.int64(low + (((mass[index + 1] - low) * rest) >> _REST_BITS))


@part
def binary_logarithm(logarithm: NDArray[np.int64], value: Integer) -> Integer:
    """Return ``log2`` of a positive integer in units of ``2**-14``, from its 11 leading bits."""
    exponent = bit_length(value) - 1
    mantissa = value >> max(exponent - _LOG_INDEX_BITS, np.int64(0)) << max(_LOG_INDEX_BITS - exponent, np.int64(0))
    return np.int64((exponent << _LOG_BITS) + logarithm[mantissa - (1 << _LOG_INDEX_BITS)])


@part
def octaves(value: Integer, per_octave: Integer) -> Integer:
    """Return on which step of a coarse logarithmic scale a number from 0 on lies: ``per_octave`` steps an octave.

    Steps divide an octave linearly, by the four bits behind the leading one.
    """
    number = value + 1
    exponent = bit_length(number) - 1
    rest = (number << 4 >> exponent) & 15
    return np.int64(exponent * per_octave + (rest * per_octave >> 4))
