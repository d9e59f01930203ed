"""Vocabularies and frequencies for the tests of decisions."""

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
BYTES = [bytes([value]) for value in range(256)]


def text_like(size: int, seed: int = 0) -> list[bytes]:
    """Return all bytes and random words that share many prefixes, sorted, ``size`` tokens in all."""
    rng = np.random.default_rng(seed)
    tokens = set(BYTES)
    known = list(BYTES[97:123])
    while len(tokens) < size:
        word = known[int(rng.integers(len(known)))] + bytes([97 + int(26 * rng.random() ** 3)])
        if word not in tokens and len(word) <= 16:
            tokens.add(word)
            known.append(word)
    return sorted(tokens)


def peaked(rng: np.random.Generator, rows: int, size: int, spread: float) -> NDArray[np.int32]:
    """Return random cumulative frequencies ``[rows, size + 1]``: every token at least 1, sum ``2**24``."""
    logits = rng.standard_normal((rows, size)) * spread
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    free = 2**PRECISION - size
    frequencies = 1 + np.floor(weights / weights.sum(axis=1, keepdims=True) * free).astype(np.int64)
    frequencies[np.arange(rows), frequencies.argmax(axis=1)] += 2**PRECISION - frequencies.sum(axis=1)
    cumulative = np.zeros((rows, size + 1), dtype=np.int32)
    cumulative[:, 1:] = frequencies.cumsum(axis=1)
    return cumulative


def draw(rng: np.random.Generator, cumulative: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a token for each row of ``[..., V+1]``, drawn from its frequencies."""
    rows = cumulative.reshape(-1, cumulative.shape[-1])
    points = rng.integers(0, 2**PRECISION, len(rows))
    tokens = [int(np.searchsorted(row, point, side="right")) - 1 for row, point in zip(rows, points, strict=True)]
    return np.array(tokens, dtype=np.int32).reshape(cumulative.shape[:-1])


def token_bits(cumulative: NDArray[np.int32], tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the ideal cost in bits of each token by its frequency."""
    last = tokens[..., None].astype(np.int64)
    frequency = np.take_along_axis(cumulative, last + 1, -1) - np.take_along_axis(cumulative, last, -1)
    cost: NDArray[np.float64] = PRECISION - np.log2(frequency[..., 0])
    return cost
