"""Draws the next token from the model's integer frequencies, with the same result on every machine.

All arithmetic is on integers, so that neither a library's ``pow`` nor the order of a sum can change a draw:

- Randomness is SHA-256 of the seed and a counter. A number below ``n`` is ``floor(x * n / 2**64)`` of 64 such bits.
- A temperature ``T`` raises frequencies to the power ``1 / T``: base-2 logarithms by repeated squaring, times
  ``round(2**16 / T)``, and powers of two by a product of roots of 2, all in fixed point (about six decimal digits).
- ``repeat_penalty`` divides the frequencies of recent tokens, before all else, so that a text leaves its loops.
- ``top_k`` keeps the ``k`` most probable tokens (of equals, those with smaller ids), then ``top_p`` keeps the fewest
  whose share of the rest reaches ``p`` (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import UsageError

LEAST_TEMPERATURE, MOST_TEMPERATURE = Fraction(1, 100), 100
MOST_PENALTY = 1000
RECENT = 64
"""Tokens that ``repeat_penalty`` looks back at."""

_LOG_BITS = 24
_FIXED = 31
_INVERSE_BITS = 16
_WEIGHT_BITS = 32


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Args:
        seed: of the randomness, at least 0.
        temperature: 1 draws with the model's probabilities, less favors probable tokens, 0 always takes the most
            probable one.
        top_k: number of tokens to keep; 0 keeps all.
        top_p: share of the tokens to keep; 1 keeps all.
        repeat_penalty: divides the frequency of each token that is among the last ``RECENT``; 1 changes nothing.

    Raises:
        UsageError: a value is out of range.
    """

    seed: int = 0
    temperature: Fraction = Fraction(1)
    top_k: int = 0
    top_p: Fraction = Fraction(1)
    repeat_penalty: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"seed must be at least 0, not {self.seed}")
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature <= MOST_TEMPERATURE:
            raise UsageError(f"temperature must be 0, or 0.01 to 100, not {float(self.temperature):g}")
        if self.top_k < 0:
            raise UsageError(f"top_k must be at least 0, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be over 0 and at most 1, not {float(self.top_p):g}")
        if not 1 <= self.repeat_penalty <= MOST_PENALTY:
            raise UsageError(f"repeat_penalty must be 1 to {MOST_PENALTY}, not {float(self.repeat_penalty):g}")

    def weights(self, frequencies: NDArray[np.int64], recent: Sequence[int] = ()) -> NDArray[np.int64]:
        """Return the weight with which each token is drawn, int64 ``[V]``.

        Args:
            frequencies: int64 ``[V]``, each at least 1; not changed.
            recent: the last tokens, for ``repeat_penalty``.
        """
        if self.repeat_penalty != 1 and recent:
            again, penalty = np.unique(recent), self.repeat_penalty.limit_denominator(1000)
            frequencies = frequencies.copy()
            frequencies[again] = np.maximum(frequencies[again] * penalty.denominator // penalty.numerator, 1)
        if self.temperature == 0:
            weights = np.zeros_like(frequencies)
            weights[frequencies.argmax()] = 1  # the first of equals
            return weights
        weights = frequencies if self.temperature == 1 else _powers(frequencies, 1 / self.temperature)
        return self._kept(weights)

    def _kept(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.top_k and self.top_p == 1:
            return weights
        order = np.lexsort((np.arange(weights.size), -weights))
        order = order[: self.top_k] if self.top_k else order
        sums = np.cumsum(weights[order])
        wanted = -(-int(sums[-1]) * self.top_p.numerator // self.top_p.denominator)  # rounded up
        order = order[: int(np.searchsorted(sums, wanted)) + 1]
        kept = np.zeros_like(weights)
        kept[order] = weights[order]
        return kept


class Randomness:
    """An endless row of random words from a seed; the same everywhere."""

    def __init__(self, seed: int) -> None:
        self._seed = b"zipllm generate %d " % seed
        self._counter = 0

    def words(self, count: int) -> NDArray[np.uint32]:
        """Return the next ``count`` words of 32 bits."""
        blocks = -(-count // 8)
        digests = [
            hashlib.sha256(self._seed + b"%d" % number).digest()
            for number in range(self._counter, self._counter + blocks)
        ]
        self._counter += blocks
        return np.frombuffer(b"".join(digests), dtype="<u4").astype(np.uint32)[:count]

    def below(self, limit: int) -> int:
        """Return a number from 0 up to and without ``limit``."""
        low, high = self.words(2).tolist()
        number: int = (high << 32 | low) * limit >> 64
        return number


def draw(weights: NDArray[np.int64], randomness: Randomness) -> int:
    """Return a token, drawn in proportion to its weight."""
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, randomness.below(int(sums[-1])), side="right"))


def _powers(frequencies: NDArray[np.int64], exponent: Fraction) -> NDArray[np.int64]:
    """Return frequencies to a power, the largest as about ``2**_WEIGHT_BITS``; what is far below it becomes 0."""
    logs = _log2(frequencies)
    factor = round(exponent * (1 << _INVERSE_BITS))
    down = (int(logs.max()) - logs) * factor >> _INVERSE_BITS
    whole, part = down >> _LOG_BITS, down & ((1 << _LOG_BITS) - 1)
    result = np.full(frequencies.shape, 1 << _WEIGHT_BITS - 1, dtype=np.int64)
    for bit in range(_LOG_BITS):
        result = np.where(part >> bit & 1, result * _ROOTS[bit] >> 30, result)
    return np.where(whole < _WEIGHT_BITS, result >> np.minimum(whole, _WEIGHT_BITS), 0)


def _log2(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return base-2 logarithms of numbers from 1 to ``2**31``, with ``_LOG_BITS`` bits after the point.

    Squaring a number doubles its logarithm: whether the square of what lies between 1 and 2 reaches 2 is the next bit.
    """
    whole = np.zeros_like(numbers)
    for step in (16, 8, 4, 2, 1):
        whole += np.where(numbers >> whole >> step > 0, step, 0)
    value = numbers.astype(np.uint64) << (_FIXED - whole).astype(np.uint64)
    part = np.zeros_like(numbers)
    for _ in range(_LOG_BITS):
        value = value * value >> np.uint64(_FIXED)
        over = value >> np.uint64(_FIXED + 1)
        part = part << 1 | over.astype(np.int64)
        value >>= over
    return whole << _LOG_BITS | part


def _roots() -> list[int]:
    """Return ``2**-(2**(bit - _LOG_BITS))`` for each bit of a logarithm's fraction, in units of ``2**-30``."""
    root, found = 1 << 119, []  # 2**-1 in units of 2**-120
    for _ in range(_LOG_BITS):
        root = isqrt(root << 120)
        found.append(root)
    halves = [1 << 119, *found]
    return [halves[_LOG_BITS - bit] >> 90 for bit in range(_LOG_BITS)]


_ROOTS = _roots()
