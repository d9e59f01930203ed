"""From distances or costs to a chance for every label. What is equal shares: nothing here knows a true label.

The published code for gzip and nearest neighbors (Jiang et al., "Low-Resource Text Classification", 2023)
took a tie of
votes for a hit when the true label was among the winners, so that its accuracy for k = 2 was that of the two best
answers. Here a tie is what a fair draw makes of it, in expectation.
"""

import numpy as np
from numpy.typing import NDArray


def neighbor_chances(
    distances: NDArray[np.float64], labels: NDArray[np.int64], k: int, count: int
) -> NDArray[np.float64]:
    """Return the chance of each label after a vote of the ``k`` nearest texts.

    Nearer ones than the k-th have a vote each. Those as far as the k-th share the places that are left, so each has a
    part of a vote. Labels with most votes have equal chances.

    Args:
        distances: float64 ``[texts, m]``, to ``m`` training texts.
        labels: int64 ``[m]``, from 0 to ``count - 1``.
        k: 1 or more; at most ``m`` count.
        count: of labels.

    Returns:
        float64 ``[texts, count]``, rows sum to 1.
    """
    k = min(k, distances.shape[1])
    border = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, equal = distances < border, distances == border
    one_hot = np.eye(count, dtype=np.int64)[labels]
    share, places = equal.sum(1, keepdims=True), k - nearer.sum(1, keepdims=True)
    votes = (nearer @ one_hot) * share + (
        equal @ one_hot
    ) * places  # in units of 1 / share: integers, so equal is equal
    return _shared(votes == votes.max(1, keepdims=True))


def least_chances(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance of each label by what a text costs there, float64 ``[texts, labels]``: the least wins."""
    return _shared(costs == costs.min(1, keepdims=True))


def _shared(winners: NDArray[np.bool_]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = winners / winners.sum(1, keepdims=True)
    return chances
