"""What every predictor must do, as checks that take one.

The encoder predicts long runs for all lanes at once, the decoder single steps for those that still run: all
ways of asking must give the same integers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zipllm.model.config import MOST_REWOUND
from zipllm.predictor.base import Predictor, Rewinding, Selection

Lanes = NDArray[np.int32]


def random_tokens(predictor: Predictor, lanes: int, length: int, seed: int = 0) -> Lanes:
    """int32 ``[lanes, length]``: the start token, then any tokens."""
    tokens = np.random.default_rng(seed).integers(0, len(predictor.vocabulary), (lanes, length), dtype=np.int32)
    tokens[:, 0] = predictor.start_token
    return tokens


def every(tokens: Lanes) -> Lanes:
    """int32 ``[lanes]``: the lane of each row of tokens where all lanes are fed."""
    return np.arange(len(tokens), dtype=np.int32)


def by_steps(predictor: Predictor, tokens: Lanes) -> NDArray[np.int32]:
    """All lanes, one token at a time: int32 ``[lanes, length, V + 1]``."""
    state = predictor.start(len(tokens))
    steps = [predictor.predict(state, tokens[:, [at]], every(tokens)).copy() for at in range(tokens.shape[1])]
    return np.concatenate(steps, axis=1)


def check_frequencies(predictor: Predictor, cumulative: NDArray[np.int32]) -> None:
    """Every token has a frequency of at least 1 and all sum to ``2**precision``."""
    assert cumulative.dtype == np.int32
    assert cumulative.shape[-1] == len(predictor.vocabulary) + 1
    assert (cumulative[..., 0] == 0).all()
    assert (cumulative[..., -1] == 1 << predictor.precision).all()
    assert (np.diff(cumulative, axis=-1) >= 1).all()


def check_chunks(predictor: Predictor, tokens: Lanes, lengths: Sequence[int]) -> None:
    """Passes of these lengths give what single steps give."""
    expected = by_steps(predictor, tokens)
    state, begin = predictor.start(len(tokens)), 0
    for length in lengths:
        part = predictor.predict(state, tokens[:, begin : begin + length], every(tokens))
        assert np.array_equal(part, expected[:, begin : begin + length])
        begin += length
    assert begin == tokens.shape[1]


def check_subsets(predictor: Predictor, tokens: Lanes, seed: int = 0) -> None:
    """Lanes fed in any company, by steps and by passes, predict what each predicts alone."""
    draw = np.random.default_rng(seed)
    lanes, length = tokens.shape
    alone = np.concatenate([by_steps(predictor, tokens[lane : lane + 1]) for lane in range(lanes)])
    state, fed = predictor.start(lanes), np.zeros(lanes, dtype=np.int64)
    while (fed < length).any():
        unfinished = np.flatnonzero(fed < length)
        chosen = np.sort(draw.choice(unfinished, draw.integers(1, len(unfinished) + 1), replace=False)).astype(np.int32)
        run = int(draw.integers(1, 1 + min(3, length - int(fed[chosen].max()))))
        table = np.stack([tokens[lane, fed[lane] : fed[lane] + run] for lane in chosen])
        got = predictor.predict(state, table, chosen)
        for row, lane in enumerate(chosen):
            assert np.array_equal(got[row], alone[lane, fed[lane] : fed[lane] + run])
        fed[chosen] += run


def check_causality(predictor: Predictor, tokens: Lanes) -> None:
    """A later token changes no earlier prediction."""
    changed = tokens.copy()
    changed[:, -1] = (changed[:, -1] + 1) % len(predictor.vocabulary)
    before, after = by_steps(predictor, tokens), by_steps(predictor, changed)
    assert np.array_equal(before[:, :-1], after[:, :-1])


def check_states_are_apart(predictor: Predictor, tokens: Lanes) -> None:
    """Two states of one predictor, fed in turns, do not see each other."""
    expected = by_steps(predictor, tokens[:1])
    first, second = predictor.start(1), predictor.start(1)
    lane = np.zeros(1, dtype=np.int32)
    for at in range(tokens.shape[1]):
        predictor.predict(second, tokens[1:2, [at]], lane)
        assert np.array_equal(predictor.predict(first, tokens[:1, [at]], lane), expected[:, [at]])


def check_copies(predictor: Predictor, tokens: Lanes, fed: int) -> None:
    """Lanes that begin as copies predict what a lane predicts that saw all of it, and leave the first as it was."""
    begin = np.repeat(tokens[:1, :fed], len(tokens), axis=0)
    expected = by_steps(predictor, np.concatenate((begin, tokens[:, fed:]), axis=1))[:, fed:]
    state = predictor.start(2)  # the second lane must not be copied
    predictor.predict(state, np.concatenate((tokens[:1, :fed], tokens[-1:, :fed])), np.arange(2, dtype=np.int32))
    copied = predictor.copy(state, len(tokens))
    assert np.array_equal(predictor.predict(copied, tokens[:, fed:], every(tokens)), expected)
    again = predictor.copy(state, 1)
    assert np.array_equal(predictor.predict(again, tokens[:1, fed:], every(tokens[:1])), expected[:1])


def check_out_and_selection(predictor: Predictor, tokens: Lanes, seed: int = 0) -> None:
    """The result goes where the caller wants it, whole or the selected columns."""
    draw, size = np.random.default_rng(seed), len(predictor.vocabulary) + 1
    expected = by_steps(predictor, tokens)
    columns = draw.integers(0, size, (7, 3), dtype=np.int32)
    columns.setflags(write=False)
    selection = Selection(columns, draw.integers(0, 7, tokens.shape, dtype=np.int32))
    selected = np.take_along_axis(expected, columns[selection.wanted], axis=2)
    for given, right in ((None, expected), (selection, selected)):
        for out in (None, np.full(right.shape, -1, dtype=np.int32)):
            state = predictor.start(len(tokens))
            result = predictor.predict(state, tokens, every(tokens), out=out, threads=2, selection=given)
            assert out is None or result is out
            assert np.array_equal(result, right)


def check_rewinding(predictor: Predictor, tokens: Lanes, seed: int = 0) -> None:
    """Lanes that were fed wrong tokens, and took them back, predict as if nothing had happened."""
    assert isinstance(predictor, Rewinding)
    draw = np.random.default_rng(seed)
    expected, state, at = by_steps(predictor, tokens), predictor.start(len(tokens)), 0
    while at < tokens.shape[1]:
        right = int(draw.integers(1, min(4, tokens.shape[1] - at) + 1))
        wrong = int(draw.integers(0, min(MOST_REWOUND, 2 * len(predictor.vocabulary))))
        guesses = draw.integers(0, len(predictor.vocabulary), (len(tokens), wrong), dtype=np.int32)
        fed = np.concatenate([tokens[:, at : at + right], guesses], axis=1)[:, :MOST_REWOUND]
        got = predictor.predict(state, fed, every(tokens))
        assert np.array_equal(got[:, :right], expected[:, at : at + right])
        predictor.rewind(state, every(tokens), fed.shape[1] - right)
        at += right
