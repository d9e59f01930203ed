"""Scores of label chances: expected values under a fair draw among tied labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
