"""The compiled kernels give the reference's integers: any shape, any chunks, any lanes, any number of threads."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.threads.left_threads import few_threads
from tests.kernels.llama.random_llamas import SHAPES, every, expected, random_model, random_tokens, shaped, wild_model
from zipllm.jit.compiled import COMPILES
from zipllm.model.llama.config import LlamaConfig
from zipllm.model.llama.parameters import LlamaParameters

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


def computed(model: LlamaParameters, tokens: NDArray[np.int32], chunk: int, threads: int = 1) -> NDArray[np.int32]:
    from zipllm.kernels.llama.network import CpuNetwork

    network = CpuNetwork(model)
    state = network.start(len(tokens))
    pieces = [tokens[:, begin : begin + chunk] for begin in range(0, tokens.shape[1], chunk)]
    return np.concatenate(
        [network.predict(state, piece, every(piece), threads=threads).copy() for piece in pieces], axis=1
    )


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_random_models(config: LlamaConfig, seed: int) -> None:
    model = random_model(config, seed)
    tokens = random_tokens(config, lanes=3, time=43, seed=seed)
    wanted = expected(model, tokens)
    for chunk in (1, 7, 43):
        assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_numbers_at_their_bounds(config: LlamaConfig, extreme: bool) -> None:
    for seed in range(3):
        model = wild_model(config, seed, extreme=extreme)
        tokens = random_tokens(config, lanes=2, time=30, seed=seed)
        wanted = expected(model, tokens)
        for chunk in (1, 30):
            assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 8, 16, 17, 65])
def test_lane_counts_and_threads(lanes: int) -> None:
    model = random_model(shaped(), 1)
    tokens = random_tokens(shaped(), lanes, time=11, seed=lanes)
    wanted = expected(model, tokens)
    for chunk, threads in itertools.product((1, 4), (1, 2, 3)):
        assert np.array_equal(computed(model, tokens, chunk, threads), wanted), f"chunks of {chunk}, {threads} threads"


@pytest.fixture
def _every_call_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.kernels.cpu.network.LEAST_PRODUCTS", 1)


@pytest.mark.usefixtures("_every_call_is_shared")
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_columns_of_few_rows_in_several_threads(config: LlamaConfig) -> None:
    """Also more threads than heads, and so than processors."""
    model = random_model(config, 2)
    tokens = random_tokens(config, lanes=1, time=70, seed=2)
    wanted = expected(model, tokens)
    for chunk, threads in ((1, 2), (3, 3), (70, 2), (66, 5)):
        assert np.array_equal(computed(model, tokens, chunk, threads), wanted), f"chunks of {chunk}, {threads} threads"


@pytest.mark.parametrize("started", [0, 1])
def test_threads_that_do_not_start(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = random_model(shaped(), 1), random_tokens(shaped(), 16, time=11, seed=0)
    few_threads(monkeypatch, started)
    monkeypatch.setattr("zipllm.kernels.cpu.network.LEAST_PRODUCTS", 1)
    for lanes in (1, 16):
        assert np.array_equal(computed(model, tokens[:lanes], 4, threads=3), expected(model, tokens[:lanes]))


@pytest.mark.parametrize("seed", range(12))
def test_any_subset_of_lanes_at_each_call(seed: int) -> None:
    """Lanes of different length: some before the end of the kept tokens, some beyond the window."""
    from zipllm.kernels.llama.network import CpuNetwork

    generator = np.random.default_rng(seed)
    model = random_model(shaped(window=5), 2)
    tokens = random_tokens(shaped(), lanes=6, time=60, seed=seed)
    wanted = expected(model, tokens)
    network = CpuNetwork(model)
    state, fed = network.start(6), np.zeros(6, dtype=int)
    for _ in range(12):
        lanes = np.flatnonzero(generator.random(6) < 0.6).astype(np.int32)
        time = int(generator.integers(1, 6))
        if not lanes.size:
            continue
        piece = np.stack([tokens[lane, fed[lane] : fed[lane] + time] for lane in lanes])
        result = network.predict(state, piece, lanes, threads=2)
        for row, lane in enumerate(lanes):
            assert np.array_equal(result[row], wanted[lane, fed[lane] : fed[lane] + time])
        fed[lanes] += time


@pytest.mark.parametrize(
    ("tokens", "lanes"),
    [
        ([[98]], [0]),
        ([[-1]], [0]),
        ([[0]], [2]),
        ([[0]], [-1]),
        ([[0], [0]], [1, 0]),
        ([[0], [0]], [1, 1]),
        ([[0]], [0, 1]),
    ],
)
def test_what_would_reach_outside_of_memory_is_refused(tokens: list[list[int]], lanes: list[int]) -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    network = CpuNetwork(random_model(shaped(), 0))
    with pytest.raises(ValueError, match=r"token ids|lane numbers"):
        network.predict(network.start(2), np.array(tokens, dtype=np.int32), np.array(lanes, dtype=np.int32))


def test_an_array_that_does_not_fit_is_refused() -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    network, tokens = CpuNetwork(random_model(shaped(), 0)), np.zeros((2, 3), dtype=np.int32)
    with pytest.raises(ValueError, match="does not fit"):
        network.predict(network.start(2), tokens, every(tokens), out=np.zeros((2, 3, 97), dtype=np.int32))
