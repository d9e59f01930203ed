"""The compiled kernels beside the reference: hundreds of small models of any shape, tokens, lanes, cuts, threads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.kernels.models import every, expected, random_model
from tests.model.conftest import extreme_model
from tests.model_file.conftest import random_integer_model
from zipllm.jit.compiled import COMPILES
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")

KINDS: dict[str, Callable[[TransformerConfig, int], TransformerParameters]] = {
    "random": random_integer_model,
    "quantized": random_model,
    "saturated": extreme_model,
}


@dataclass(frozen=True)
class Case:
    """A model, what is fed to it, and how.

    Attributes:
        kind: of the model's numbers.
        config: its shape.
        seed: of its numbers and of the tokens.
        lanes: fed side by side.
        pieces: time is cut into these, one call each.
        threads: of the kernels.
        extreme: tokens are the first, the last, or the start token only.
    """

    kind: str
    config: TransformerConfig
    seed: int
    lanes: int
    pieces: tuple[int, ...]
    threads: int
    extreme: bool

    def model(self) -> TransformerParameters:
        return KINDS[self.kind](self.config, self.seed)

    def tokens(self) -> NDArray[np.int32]:
        generator = np.random.default_rng(self.seed)
        shape = (self.lanes, sum(self.pieces))
        last = self.config.start_token
        if self.extreme:
            return generator.choice([0, last - 1, last], shape).astype(np.int32)
        return generator.integers(0, last + 1, shape).astype(np.int32)


@st.composite
def configs(draw: st.DrawFn, most: int) -> TransformerConfig:
    """Shapes of all kinds: heads of 1 to 40 numbers, windows around the sizes of a panel, any vocabulary."""
    heads = draw(st.integers(1, 8))
    return TransformerConfig(
        vocabulary_size=draw(st.one_of(st.integers(1, 80), st.sampled_from([127, 128, 129, 256, 511, 1025]))),
        width=heads * draw(st.integers(1, max(1, most // heads))),
        layers=draw(st.integers(1, 3)),
        heads=heads,
        feedforward=draw(st.integers(1, 2 * most)),
        window=draw(st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65]))),
        position=draw(st.sampled_from(["relative", "alibi"])),
        tied=draw(st.booleans()),
    )


def cases(most_width: int, most_lanes: int, most_time: int) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        kind=st.sampled_from(sorted(KINDS)),
        config=configs(most_width),
        seed=st.integers(0, 2**16),
        lanes=st.integers(1, most_lanes),
        pieces=st.lists(st.integers(1, most_time), min_size=1, max_size=4).map(tuple),
        threads=st.integers(1, 2),
        extreme=st.booleans(),
    )


def check(case: Case) -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    model, tokens = case.model(), case.tokens()
    wanted = expected(model, tokens)
    network = CpuNetwork(model)
    state, at = network.start(case.lanes), 0
    for piece in case.pieces:
        found = network.predict(state, tokens[:, at : at + piece], every(tokens), threads=case.threads)
        assert np.array_equal(found, wanted[:, at : at + piece])
        at += piece


@settings(max_examples=250)
@given(cases(most_width=40, most_lanes=6, most_time=10))
def test_shapes(case: Case) -> None:
    check(case)


@settings(max_examples=100)
@given(cases(most_width=24, most_lanes=70, most_time=4))
def test_lanes(case: Case) -> None:
    check(case)


@settings(max_examples=50)
@given(cases(most_width=160, most_lanes=3, most_time=10))
def test_widths(case: Case) -> None:
    check(case)


@settings(max_examples=100)
@given(cases(most_width=24, most_lanes=12, most_time=9))
def test_lanes_that_end_one_by_one(case: Case) -> None:
    """As a decoder feeds them: one token a call, into an array of the caller's, fewer lanes each time."""
    from zipllm.kernels.cpu.network import CpuNetwork

    model, generator = case.model(), np.random.default_rng(case.seed)
    tokens = generator.integers(0, case.config.start_token + 1, (case.lanes, 9)).astype(np.int32)
    wanted = expected(model, tokens)
    ends = generator.integers(1, 10, case.lanes)
    network = CpuNetwork(model)
    state = network.start(case.lanes)
    for step in range(int(ends.max())):
        lanes = np.flatnonzero(ends > step).astype(np.int32)
        out = np.full((lanes.size, 1, case.config.vocabulary_size + 1), -1, dtype=np.int32)
        network.predict(state, tokens[lanes, step, None], lanes, out=out, threads=case.threads)
        assert np.array_equal(out[:, 0], wanted[lanes, step])


@settings(max_examples=100)
@given(cases(most_width=24, most_lanes=12, most_time=9))
def test_some_columns_only(case: Case) -> None:
    """As an encoder asks: of each prediction what the token after it needs; now and then for a whole one."""
    from zipllm.kernels.cpu.network import CpuNetwork

    model, generator, tokens = case.model(), np.random.default_rng(case.seed), case.tokens()
    columns = generator.integers(0, case.config.vocabulary_size + 1, (7, 3)).astype(np.int32)
    columns.setflags(write=False)
    wanted = generator.integers(0, 7, tokens.shape).astype(np.int32)
    whole = expected(model, tokens)
    right = np.take_along_axis(whole, columns[wanted].astype(np.int64), axis=2)
    network, lanes = CpuNetwork(model), np.arange(case.lanes, dtype=np.int32)
    state, at = network.start(case.lanes), 0
    for number, piece in enumerate(case.pieces):
        here = slice(at, at + piece)
        if number % 3 == 2:
            assert np.array_equal(network.predict(state, tokens[:, here], lanes), whole[:, here])
        else:
            out = np.full((case.lanes, piece, 3), -1, dtype=np.int32)
            selection = (columns, wanted[:, here])
            network.predict(state, tokens[:, here], lanes, out=out, threads=case.threads, selection=selection)
            assert np.array_equal(out, right[:, here])
        at += piece


def test_columns_that_do_not_exist_are_refused() -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    config = TransformerConfig(
        vocabulary_size=9, width=8, layers=1, heads=1, feedforward=8, window=4, position="relative", tied=False
    )
    network, lanes = CpuNetwork(random_integer_model(config, 1)), np.zeros(1, dtype=np.int32)
    tokens, good = np.zeros((1, 2), dtype=np.int32), np.array([[0, 9]], dtype=np.int32)
    for columns, wanted, width, words in (
        (good + 1, tokens, 2, "columns"),
        (good - 1, tokens, 2, "columns"),
        (good, tokens + 1, 2, "rows"),
        (good, tokens[:, :1], 2, "rows"),
        (good, tokens, 10, "does not fit"),
    ):
        out = np.zeros((1, 2, width), dtype=np.int32)
        with pytest.raises(ValueError, match=words):
            network.predict(network.start(1), tokens, lanes, out=out, selection=(columns, wanted))
