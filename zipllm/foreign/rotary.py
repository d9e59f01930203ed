"""Frequencies of rotary positions (Su et al. 2021, arXiv:2104.09864) and two of their scalings."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid


@dataclass(frozen=True)
class Llama3Scaling:
    """Slower turns for long wavelengths, smoothly (Llama 3.1; Dubey et al. 2024, arXiv:2407.21783).

    Attributes:
        factor: by which the slowest turns slow down.
        low: wavelengths past ``context / low`` are slowed by all of ``factor``.
        high: wavelengths below ``context / high`` stay.
        context: tokens of the model before scaling.
    """

    factor: float
    low: float
    high: float
    context: float


def rotary_frequencies(
    head_size: int, base: object, scaling: float | Llama3Scaling | NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Return radians per token of each pair, float64 ``[head_size / 2]``.

    Args:
        head_size: width of a head.
        base: of the geometric sequence, often called theta.
        scaling: divides all frequencies, each by its own, or as Llama 3.1 does.

    Raises:
        ModelInvalid: a number is out of range.
    """
    number = positive(base, "rotary base")
    plain = number ** (-np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    if isinstance(scaling, Llama3Scaling):
        scaled = _scale_as_llama3(plain, scaling)
    elif scaling is None:
        scaled = plain
    else:
        factors = np.asarray(scaling, dtype=np.float64)
        if factors.shape not in ((), plain.shape) or not (np.isfinite(factors) & (factors > 0)).all():
            raise ModelInvalid("its factors of rotary frequencies are not one positive number a pair")
        scaled = plain / factors
    if not (np.isfinite(scaled) & (scaled <= math.pi)).all():
        raise ModelInvalid("its rotary frequencies are out of range")
    return scaled


def positive(value: object, what: str) -> float:
    """Return a finite number above 0. Raises ``ModelInvalid``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise ModelInvalid(f"{what} is not a positive number: {str(value)[:40]}")
    return float(value)


def _scale_as_llama3(plain: NDArray[np.float64], scaling: Llama3Scaling) -> NDArray[np.float64]:
    if scaling.high <= scaling.low:
        raise ModelInvalid("rope scaling: high_freq_factor is not above low_freq_factor")
    turns = scaling.context * plain / (2 * math.pi)
    kept = np.clip((turns - scaling.low) / (scaling.high - scaling.low), 0, 1)
    return (1 - kept) * plain / scaling.factor + kept * plain
