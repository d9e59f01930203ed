"""The compiled kernels beside the reference: hundreds of small models of any shape, tokens, lanes, cuts, threads."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.kernels.llama.random_llamas import every, expected, random_model, wild_model
from zipllm.jit.compiled import COMPILES
from zipllm.model.llama.config import LlamaConfig
from zipllm.model.llama.parameters import LlamaParameters

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


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
    """

    kind: str
    config: LlamaConfig
    seed: int
    lanes: int
    pieces: tuple[int, ...]
    threads: int

    def model(self) -> LlamaParameters:
        if self.kind == "quantized":
            return random_model(self.config, self.seed)
        return wild_model(self.config, self.seed, extreme=self.kind == "extreme")

    def tokens(self) -> NDArray[np.int32]:
        shape = (self.lanes, sum(self.pieces))
        return np.random.default_rng(self.seed).integers(0, self.config.start_token + 1, shape).astype(np.int32)


@st.composite
def configs(draw: st.DrawFn) -> LlamaConfig:
    """Shapes of all kinds: heads of 2 to 40 numbers, windows around the sizes of a panel, any vocabulary."""
    key_heads = draw(st.integers(1, 4))
    return LlamaConfig(
        vocabulary_size=draw(st.one_of(st.integers(1, 80), st.sampled_from([127, 128, 129, 256, 511, 1025]))),
        width=draw(st.integers(1, 90)),
        layers=draw(st.integers(1, 3)),
        heads=key_heads * draw(st.integers(1, 5)),
        key_heads=key_heads,
        head_size=2 * draw(st.integers(1, 20)),
        feedforward=draw(st.integers(1, 120)),
        window=draw(st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65]))),
        kept=draw(st.one_of(st.integers(0, 20), st.just(64))),
        biases=draw(st.booleans()),
        head_norms=draw(st.booleans()),
        tied=draw(st.booleans()),
    )


CASES = st.builds(
    Case,
    kind=st.sampled_from(["quantized", "wild", "extreme"]),
    config=configs(),
    seed=st.integers(0, 2**16),
    lanes=st.integers(1, 20),
    pieces=st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple),
    threads=st.integers(1, 3),
)


@settings(max_examples=150)
@given(CASES)
def test_shapes(case: Case) -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    model, tokens = case.model(), case.tokens()
    wanted = expected(model, tokens)
    network = CpuNetwork(model)
    state, at = network.start(case.lanes), 0
    for piece in case.pieces:
        found = network.predict(state, tokens[:, at : at + piece], every(tokens), threads=case.threads)
        assert np.array_equal(found, wanted[:, at : at + piece])
        at += piece


@settings(max_examples=60)
@given(CASES)
def test_lanes_that_end_one_by_one(case: Case) -> None:
    """As a decoder feeds them: one token a call, into an array of the caller's, fewer lanes each time."""
    from zipllm.kernels.llama.network import CpuNetwork

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


@settings(max_examples=60)
@given(CASES)
def test_some_columns_only(case: Case) -> None:
    """As an encoder asks: of each prediction what the token after it needs; now and then for a whole one."""
    from zipllm.kernels.llama.network import CpuNetwork

    model, generator, tokens = case.model(), np.random.default_rng(case.seed), case.tokens()
    columns = generator.integers(0, case.config.vocabulary_size + 1, (7, 3)).astype(np.int32)
    wanted = generator.integers(0, 7, tokens.shape).astype(np.int32)
    whole = expected(model, tokens)
    right = np.take_along_axis(whole, columns[wanted].astype(np.int64), axis=2)
    network, lanes = CpuNetwork(model), every(tokens)
    state, at = network.start(case.lanes), 0
    for number, piece in enumerate(case.pieces):
        here = slice(at, at + piece)
        if number % 3 == 2:
            assert np.array_equal(network.predict(state, tokens[:, here], lanes), whole[:, here])
        else:
            selection = (columns, wanted[:, here])
            found = network.predict(state, tokens[:, here], lanes, threads=case.threads, selection=selection)
            assert np.array_equal(found, right[:, here])
        at += piece
