"""The compiled kernels give the reference's integers: any shape, any chunks, any lanes, any number of threads."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.threads.left_threads import few_threads
from tests.kernels.models import SHAPES, every, expected, random_model, random_tokens
from tests.model.conftest import extreme_model, shaped
from zipllm.jit.compiled import COMPILES
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


def computed(
    model: TransformerParameters, tokens: NDArray[np.int32], chunk: int, threads: int = 1
) -> NDArray[np.int32]:
    from zipllm.kernels.cpu.network import CpuNetwork

    network = CpuNetwork(model)
    state = network.start(len(tokens))
    pieces = [tokens[:, begin : begin + chunk] for begin in range(0, tokens.shape[1], chunk)]
    return np.concatenate(
        [network.predict(state, piece, every(piece), threads=threads).copy() for piece in pieces], axis=1
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_random_models(config: TransformerConfig, seed: int) -> None:
    model = random_model(config, seed)
    tokens = random_tokens(config, lanes=3, time=29, seed=seed)
    wanted = expected(model, tokens)
    for chunk in (1, 5, 29):
        assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_saturated_models(config: TransformerConfig) -> None:
    model = extreme_model(config)
    tokens = random_tokens(config, lanes=2, time=20, seed=9)
    wanted = expected(model, tokens)
    for chunk in (1, 20):
        assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 70])
def test_lane_counts_and_threads(lanes: int) -> None:
    model = random_model(shaped(), 1)
    tokens = random_tokens(shaped(), lanes, time=11, seed=lanes)
    wanted = expected(model, tokens)
    for chunk, threads in itertools.product((1, 4), (1, 2, 3)):
        assert np.array_equal(computed(model, tokens, chunk, threads), wanted), f"chunks of {chunk}, {threads} threads"


@pytest.mark.parametrize("started", [0, 1])
def test_threads_that_do_not_start(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = random_model(shaped(), 1), random_tokens(shaped(), 16, time=11, seed=0)
    few_threads(monkeypatch, started)
    assert np.array_equal(computed(model, tokens, 4, threads=3), expected(model, tokens))


@pytest.mark.parametrize("seed", range(20))
def test_any_subset_of_lanes_at_each_call(seed: int) -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    generator = np.random.default_rng(seed)
    model = random_model(shaped(window=5), 2)
    tokens = random_tokens(shaped(), lanes=6, time=40, seed=seed)
    wanted = expected(model, tokens)
    network = CpuNetwork(model)
    state, fed = network.start(6), np.zeros(6, dtype=int)
    for _ in range(12):
        lanes = np.flatnonzero(generator.random(6) < 0.6).astype(np.int32)
        time = int(generator.integers(1, 4))
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
        ([[61]], [0]),
        ([[-1]], [0]),
        ([[0]], [2]),
        ([[0]], [-1]),
        ([[0], [0]], [1, 0]),
        ([[0], [0]], [1, 1]),
        ([[0]], [0, 1]),
    ],
)
def test_what_would_reach_outside_of_memory_is_refused(tokens: list[list[int]], lanes: list[int]) -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    network = CpuNetwork(random_model(shaped(), 0))
    with pytest.raises(ValueError, match=r"token ids|lane numbers"):
        network.predict(network.start(2), np.array(tokens, dtype=np.int32), np.array(lanes, dtype=np.int32))
