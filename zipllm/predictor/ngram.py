"""Order-0 to order-2 token counts: a predictor without a network that learns each lane as it goes.

It stands in for the Transformer wherever the model does not matter (tests, experiments on coder and codec) and is the
simplest example of the protocol. All arithmetic is on integers, so it is as exact as the Transformer.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from zipllm.predictor.base import PRECISION, Integers, PredictOptions, Traits, delivered

ORDERS = (0, 1, 2)
"""Lengths of the contexts, in tokens."""

_WEIGHT_BITS = (14, 17, 20)
"""Log2 of the score that a certain prediction of each order adds; a token never seen scores 1."""

Counts = dict[int, int]


class _Lane:
    """Counts of one lane. Attributes: ``single`` int64 ``[V]``; ``tables`` order -> context -> token -> count."""

    def __init__(self, size: int, orders: Sequence[int]) -> None:
        self.seen = 0
        self.alone = 0 in orders
        self.recent: tuple[int, ...] = ()
        self.single = np.zeros(size, dtype=np.int64)
        self.tables: dict[int, dict[tuple[int, ...], Counts]] = {order: {} for order in orders if order}

    def learn(self, token: int) -> None:
        """Count ``token`` after its contexts, then let it become context."""
        self.single[token] += 1
        self.seen += 1
        for order, table in self.tables.items():
            if order <= len(self.recent):
                counts = table.setdefault(self.recent[-order:], {})
                counts[token] = counts.get(token, 0) + 1
        self.recent = (*self.recent, token)[1 - len(ORDERS) :]

    def add_scores(self, scores: NDArray[np.int64]) -> None:
        """Add each order's share to ``scores`` ``[V]``: weight * count / (total + 1), rounded down."""
        if self.alone:
            scores += (self.single << _WEIGHT_BITS[0]) // (self.seen + 1)
        for order, table in self.tables.items():
            counts = table.get(self.recent[-order:]) if order <= len(self.recent) else None
            if counts:
                total = sum(counts.values()) + 1
                for token, count in counts.items():
                    scores[token] += (count << _WEIGHT_BITS[order]) // total


class NgramPredictor:
    """Blend of adaptive order-0, order-1 and order-2 counts.

    Args:
        vocabulary: byte strings of the tokens, sorted; at most 65536.
        precision: frequencies sum to ``2**precision``.
        orders: which of ``ORDERS`` are blended.

    Raises:
        ValueError: the vocabulary is empty or too large for the precision, or an order is not in ``ORDERS``.
    """

    traits = Traits(copies=True)

    def __init__(self, vocabulary: Sequence[bytes], precision: int = PRECISION, orders: Sequence[int] = ORDERS) -> None:
        if not 1 <= len(vocabulary) <= min(65_536, 1 << precision):
            raise ValueError(f"vocabulary of {len(vocabulary)} tokens does not fit precision {precision}")
        if not orders or set(orders) - set(ORDERS):
            raise ValueError(f"orders must be some of {ORDERS}, not {tuple(orders)}")
        self.orders = tuple(orders)
        self.vocabulary = tuple(vocabulary)
        self.precision = precision
        self.start_token = len(self.vocabulary)
        self.lane_bytes = 8 * len(self.vocabulary)  # of an empty lane; it grows with the block

    def start(self, lanes: int) -> list[_Lane]:
        return [_Lane(len(self.vocabulary), self.orders) for _ in range(lanes)]

    def predict(self, state: list[_Lane], tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        scores = np.ones((*tokens.shape, len(self.vocabulary)), dtype=np.int64)
        for row, index in enumerate(lanes.tolist()):
            lane = state[index]
            for column, token in enumerate(tokens[row].tolist()):
                if token != self.start_token:
                    lane.learn(token)
                lane.add_scores(scores[row, column])
        return delivered(cumulative_frequencies(scores, self.precision), how)

    def copy(self, state: list[_Lane], lanes: int) -> list[_Lane]:
        return [deepcopy(state[0]) for _ in range(lanes)]


def cumulative_frequencies(scores: NDArray[np.int64], precision: int) -> NDArray[np.int32]:
    """Scale non-negative scores to frequencies that are at least 1 and sum to ``2**precision``.

    Args:
        scores: int64 ``[..., V]``, each below ``2**32``; a row may not be all zero.
        precision: at most 30.

    Returns:
        int32 ``[..., V + 1]`` cumulative frequencies. The remainder of rounding goes to the first of the highest
        scores.
    """
    size = scores.shape[-1]
    spare = (1 << precision) - size
    frequencies = 1 + scores * spare // scores.sum(axis=-1, keepdims=True)
    rest = (1 << precision) - frequencies.sum(axis=-1)
    best = scores.argmax(axis=-1)[..., np.newaxis]
    np.put_along_axis(frequencies, best, np.take_along_axis(frequencies, best, -1) + rest[..., np.newaxis], -1)
    cumulative = np.zeros((*scores.shape[:-1], size + 1), dtype=np.int32)
    np.cumsum(frequencies, axis=-1, out=cumulative[..., 1:])
    assert bool((cumulative[..., -1] == 1 << precision).all())
    return cumulative
