"""The counting predictor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from zipllm.predictor.ngram import NgramPredictor, cumulative_frequencies

SMALL = NgramPredictor([b"a", b"ab", b"b", b"c", b"d"])


def test_it_learns_each_order() -> None:
    """After 'abab...', 'a' follows 'b'; another lane knows nothing."""
    state = SMALL.start(2)
    tokens = np.array([[5, 0, 2, 0, 2, 0, 2]], dtype=np.int32)
    learned = np.diff(SMALL.predict(state, tokens, np.array([0], dtype=np.int32))[0, -1])
    fresh = np.diff(SMALL.predict(state, tokens[:, :1], np.array([1], dtype=np.int32))[0, 0])
    assert learned[0] > 0.9 * 2**24
    assert learned[3] == learned[4] < learned[2]
    assert fresh.max() - fresh.min() <= len(fresh)


def test_exact_frequencies() -> None:
    """Counts of a: 2 of 3 tokens (order 0), 1 of 1 after b (order 1), 1 of 1 after ab (order 2)."""
    state = SMALL.start(1)
    last = SMALL.predict(state, np.array([[5, 0, 2, 0, 2]], dtype=np.int32), np.zeros(1, dtype=np.int32))[0, -1]
    scores = np.array([[1 + 2 * 2**14 // 5 + 2**17 // 2 + 2**20 // 2, 1, 1 + 2 * 2**14 // 5, 1, 1]])
    assert np.array_equal(last, cumulative_frequencies(scores, 24)[0])


@given(
    arrays.arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.integers(1, 2**32 - 1)),
    st.integers(8, 30),
)
def test_frequencies_of_any_scores(scores: NDArray[np.int64], precision: int) -> None:
    """Sum, order and least value hold for all scores and precisions."""
    cumulative = cumulative_frequencies(scores, precision)
    frequencies = np.diff(cumulative.astype(np.int64), axis=-1)
    assert (frequencies >= 1).all()
    assert (frequencies.sum(axis=-1) == 1 << precision).all()
    ranked = np.take_along_axis(frequencies, scores.argsort(axis=-1, kind="stable"), -1)
    assert (np.diff(ranked, axis=-1) >= 0).all() or len(np.unique(scores)) < scores.size


@pytest.mark.parametrize(("vocabulary", "precision"), [([], 24), ([b"%d" % i for i in range(300)], 8)])
def test_vocabularies_that_do_not_fit(vocabulary: list[bytes], precision: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        NgramPredictor(vocabulary, precision)
