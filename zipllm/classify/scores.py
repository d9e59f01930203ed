"""How good chances of labels are: expected values under a fair draw among the labels that tie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """What came out.

    Attributes:
        accuracy: expected share of right labels.
        if_ties_lost: accuracy if every draw went wrong.
        if_ties_won: accuracy if every draw went right, which is what looking at the true label gives.
        tied: share of texts with more than one label left.
        macro_f1: mean over labels of F1, from expected counts; labels neither there nor given are left out.
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
