"""From distances to chances to scores: ties share, and the true label stays unseen."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.classify.votes import least_chances, neighbor_chances, score


@pytest.mark.parametrize(
    ("distances", "k", "wanted"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, [1, 0, 0]),
        ([0.2, 0.1, 0.3, 0.4], 1, [0, 1, 0]),
        ([0.1, 0.2, 0.3, 0.4], 2, [0.5, 0.5, 0]),  # one vote each
        ([0.1, 0.2, 0.3, 0.4], 3, [1, 0, 0]),  # a second vote for the first label
        ([0.1, 0.1, 0.9, 0.9], 1, [0.5, 0.5, 0]),  # equally near
        ([0.1, 0.2, 0.2, 0.2], 2, [1, 0, 0]),  # one place for three: a third of a vote each
        ([0.5, 0.5, 0.5, 0.5], 1, [1, 0, 0]),  # half of those equally near have the first label
        ([0.1, 0.2, 0.3, 0.4], 99, [1, 0, 0]),
    ],
)
def test_neighbors(distances: list[float], k: int, wanted: list[float]) -> None:
    labels = np.array([0, 1, 0, 2])
    assert neighbor_chances(np.array([distances]), labels, k, 3).tolist() == [wanted]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_votes_are_means_over_all_ways_to_break_ties(texts: list[tuple[int, int]], k: int) -> None:
    """The winners have the most votes on average over all orders of equal distances."""
    distances, labels = np.array([[far for far, _ in texts]], dtype=float), np.array([label for _, label in texts])
    votes = [Fraction(0)] * 3
    orders = list(itertools.permutations(range(len(texts))))
    for order in orders:
        nearest = sorted(order, key=lambda number: texts[number][0])[:k]
        for number in nearest:
            votes[texts[number][1]] += Fraction(1, len(orders))
    winners = [float(vote == max(votes)) for vote in votes]
    wanted = [share / sum(winners) for share in winners]
    assert neighbor_chances(distances, labels, k, 3).tolist() == [wanted]


def test_least() -> None:
    costs = np.array([[3.0, 2.0, 4.0], [1.0, 1.0, 2.0], [np.inf, 5.0, 5.0]])
    assert least_chances(costs).tolist() == [[0, 1, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]]


def test_scores_without_ties() -> None:
    truth = np.array([0, 0, 1, 2])
    scores = score(truth, np.eye(4)[[0, 1, 1, 0]])
    assert (scores.accuracy, scores.if_ties_lost, scores.if_ties_won, scores.tied) == (0.5, 0.5, 0.5, 0)
    assert scores.confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert scores.macro_f1 == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)  # the fourth label is nowhere


def test_a_tie_is_worth_its_chance() -> None:
    """For k = 2 and two different labels, the published gzip-kNN code counts a hit; here it is half a hit."""
    scores = score(np.array([0, 1]), np.array([[0.5, 0.5], [0.0, 1.0]]))
    assert (scores.accuracy, scores.if_ties_lost, scores.if_ties_won, scores.tied) == (0.75, 0.5, 1.0, 0.5)
    assert scores.confusion.tolist() == [[0.5, 0.5], [0, 1]]
