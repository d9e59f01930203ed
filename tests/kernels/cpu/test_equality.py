"""The compiled kernels give the reference's integers: any shape, any chunks, any lanes, any number of threads."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.model.conftest import extreme_model, markov_tokens, randomized, shaped
from zipllm.jit.compiled import COMPILES
from zipllm.model.config import ModelConfig
from zipllm.model.integer import IntegerTransformer
from zipllm.model.parameters import IntegerModel
from zipllm.model.quantize import quantize

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")

SHAPES = [
    shaped(),
    shaped(window=1),
    shaped(window=3, layers=3),
    shaped(window=7, heads=1),
    shaped(window=64),
    shaped(heads=4, width=20, feedforward=36),
    shaped(heads=8, width=8, feedforward=1),
    shaped(width=72, heads=3, feedforward=130),
    shaped(vocabulary_size=1, layers=1),
    shaped(vocabulary_size=67, tied=True),
    shaped(vocabulary_size=300, position="alibi"),
    shaped(width=130, heads=2, feedforward=257, vocabulary_size=513),
    shaped(layers=1, feedforward=1100, vocabulary_size=2100),  # longer than what is worked on at once
]


def random_model(config: ModelConfig, seed: int) -> IntegerModel:
    tokens = markov_tokens(4, 24, seed=seed, vocabulary=config.vocabulary_size)
    return quantize(randomized(config, seed, spread=1.5), tokens)


def random_tokens(config: ModelConfig, lanes: int, time: int, seed: int) -> NDArray[np.int32]:
    tokens = np.random.default_rng(seed).integers(0, config.vocabulary_size, (lanes, time)).astype(np.int32)
    tokens[:, 0] = config.start_token
    return tokens


def expected(model: IntegerModel, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    reference = IntegerTransformer(model)
    hidden = reference.forward(reference.start(len(tokens)), torch.from_numpy(tokens))
    result: NDArray[np.int32] = reference.cumulative(hidden).numpy()
    return result


def computed(model: IntegerModel, tokens: NDArray[np.int32], chunk: int, threads: int = 1) -> NDArray[np.int32]:
    from zipllm.kernels.cpu.network import CpuTransformer

    network = CpuTransformer(model, threads)
    state = network.start(len(tokens))
    pieces = [tokens[:, begin : begin + chunk] for begin in range(0, tokens.shape[1], chunk)]
    return np.concatenate([network.predict(state, piece).copy() for piece in pieces], axis=1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_random_models(config: ModelConfig, seed: int) -> None:
    model = random_model(config, seed)
    tokens = random_tokens(config, lanes=3, time=29, seed=seed)
    wanted = expected(model, tokens)
    for chunk in (1, 5, 29):
        assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_saturated_models(config: ModelConfig) -> None:
    model = extreme_model(config)
    tokens = random_tokens(config, lanes=2, time=20, seed=9)
    wanted = expected(model, tokens)
    for chunk in (1, 20):
        assert np.array_equal(computed(model, tokens, chunk), wanted)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 70])
def test_lane_counts_and_threads(lanes: int, threads: int) -> None:
    model = random_model(shaped(), 1)
    tokens = random_tokens(shaped(), lanes, time=11, seed=lanes)
    wanted = expected(model, tokens)
    for chunk in (1, 4):
        assert np.array_equal(computed(model, tokens, chunk, threads), wanted)


@pytest.mark.parametrize("seed", range(20))
def test_any_subset_of_lanes_at_each_call(seed: int) -> None:
    from zipllm.kernels.cpu.network import CpuTransformer

    generator = np.random.default_rng(seed)
    model = random_model(shaped(window=5), 2)
    tokens = random_tokens(shaped(), lanes=6, time=40, seed=seed)
    wanted = expected(model, tokens)
    network = CpuTransformer(model, threads=2)
    state, fed = network.start(6), np.zeros(6, dtype=int)
    for _ in range(12):
        lanes = np.flatnonzero(generator.random(6) < 0.6).astype(np.int32)
        time = int(generator.integers(1, 4))
        if not lanes.size:
            continue
        piece = np.stack([tokens[lane, fed[lane] : fed[lane] + time] for lane in lanes])
        result = network.predict(state, piece, lanes)
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
    from zipllm.kernels.cpu.network import CpuTransformer

    network = CpuTransformer(random_model(shaped(), 0))
    with pytest.raises(ValueError, match=r"token ids|lane numbers"):
        network.predict(network.start(2), np.array(tokens, dtype=np.int32), np.array(lanes, dtype=np.int32))
