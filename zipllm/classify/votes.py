"""Distances or costs -> a chance for every label; chances and true labels -> scores. Ties share the chance.

The published code for gzip and nearest neighbors (Jiang et al., "Low-Resource Text Classification", 2023) counts a tie
as a hit if the true label is among the winners, so its accuracy for k = 2 is that of the two best answers. Here a tie
counts as a fair draw, in expectation, and only scoring knows a true label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def neighbor_chances(
    distances: NDArray[np.float64], labels: NDArray[np.int64], k: int, count: int
) -> NDArray[np.float64]:
    """Return the chance of each label after a vote of the ``k`` nearest texts.

    Texts nearer than the k-th have one vote each. Texts as far as the k-th share the remaining votes. The labels with
    the most votes have equal chances.

    Args:
        distances: float64 ``[texts, m]``, to ``m`` training texts.
        labels: int64 ``[m]``, from 0 to ``count - 1``.
        k: number of votes, 1 or more; ``m`` if it is larger.
        count: number of labels.

    Returns:
        float64 ``[texts, count]``, rows sum to 1.
    """
    k = min(k, distances.shape[1])
    border = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, equal = distances < border, distances == border
    one_hot = np.eye(count, dtype=np.int64)[labels]
    share, places = equal.sum(1, keepdims=True), k - nearer.sum(1, keepdims=True)
    votes = (nearer @ one_hot) * share + (equal @ one_hot) * places  # integers, in units of 1 / share: ties are exact
    return _shared(votes == votes.max(1, keepdims=True))


def least_chances(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance of each label, float64 ``[texts, labels]``: the class where a text costs least wins."""
    return _shared(costs == costs.min(1, keepdims=True))


def _shared(winners: NDArray[np.bool_]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = winners / winners.sum(1, keepdims=True)
    return chances


@dataclass(frozen=True)
class Scores:
    """Scores of one method.

    Attributes:
        accuracy: expected share of right labels.
        if_ties_lost: accuracy if every draw goes wrong.
        if_ties_won: accuracy if every draw goes right, as code reports that looks at the true label.
        tied: share of texts with several labels left.
        macro_f1: mean F1 of the labels, from expected counts; labels that are neither true nor given are left out.
        confusion: float64 ``[labels, labels]``, expected counts: true label by row, given label by column.
    """

    accuracy: float
    if_ties_lost: float
    if_ties_won: float
    tied: float
    macro_f1: float
    confusion: NDArray[np.float64]


def score(truth: NDArray[np.int64], chances: NDArray[np.float64]) -> Scores:
    """Compare chances with true labels.

    Args:
        truth: int64 ``[texts]``, at least one.
        chances: float64 ``[texts, labels]``, rows sum to 1.
    """
    count = chances.shape[1]
    confusion = np.zeros((count, count))
    np.add.at(confusion, truth, chances)
    right = chances[np.arange(len(truth)), truth]
    tied = (chances > 0).sum(1) > 1
    return Scores(
        accuracy=float(right.mean()),
        if_ties_lost=float((right == 1).mean()),
        if_ties_won=float((right > 0).mean()),
        tied=float(tied.mean()),
        macro_f1=_macro_f1(confusion),
        confusion=confusion,
    )


def _macro_f1(confusion: NDArray[np.float64]) -> float:
    both = confusion.sum(0) + confusion.sum(1)
    there = both > 0
    return float((2 * confusion.diagonal()[there] / both[there]).mean())
