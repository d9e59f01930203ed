"""Decisions for the coder tests, made by integer arithmetic so that every machine and library has the same."""

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tests.coder.big_integers import BigIntegerDecoder
from zipllm.errors import CorruptData

ONE = 1 << 24


def congruential(seed: int) -> Iterator[int]:
    """Yield 32-bit numbers (Knuth's MMIX generator, high half)."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 32


def stream(seed: int, length: int, sharpness: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return bits drawn from their probabilities; each unit of sharpness halves the less likely side's share."""
    numbers = congruential(seed)
    bits, probabilities = [], []
    for _ in range(length):
        small = max(1, (next(numbers) >> 9) >> next(numbers) % (sharpness + 1))
        probability = small if next(numbers) & 1 else ONE - small
        probabilities.append(probability)
        bits.append(int(next(numbers) >> 8 < probability))
    return np.array(bits, dtype=np.uint8), np.array(probabilities, dtype=np.uint32)


def follow(words: list[int], probabilities: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the bits whose interval keeps around the number that ``words`` spell, as long as that goes."""
    decoder = BigIntegerDecoder(words)
    bits: list[int] = []
    with contextlib.suppress(CorruptData):
        bits.extend(decoder.decode(int(k)) for k in probabilities)
    return np.array(bits, dtype=np.uint8)


def entropy(bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> float:
    """Return the ideal cost of the decisions in bits."""
    ones = probabilities / ONE
    return float(-np.log2(np.where(bits == 1, ones, 1 - ones)).sum())
