"""The compiled kernels give the reference's integers: any shape, any chunks, any lanes, any number of threads."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


@pytest.fixture
def _every_call_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.kernels.cpu.network.LEAST_PRODUCTS", 1)


@pytest.mark.usefixtures("_every_call_is_shared")
@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_columns_of_few_rows_in_several_threads(config: TransformerConfig) -> None:
    """Also more threads than heads, and so than processors."""
    model = random_model(config, 2)
    tokens = random_tokens(config, lanes=1, time=70, seed=2)
    wanted = expected(model, tokens)
    for chunk, threads in ((1, 2), (3, 3), (70, 2), (66, 5)):
        assert np.array_equal(computed(model, tokens, chunk, threads), wanted), f"chunks of {chunk}, {threads} threads"


@pytest.mark.usefixtures("_every_call_is_shared")
def test_two_callers_that_both_want_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    model = random_model(shaped(), 1)
    tokens = random_tokens(shaped(), lanes=1, time=40, seed=1)
    wanted, network = expected(model, tokens), CpuNetwork(model)

    def steps(_: int) -> bool:
        state = network.start(1)
        found = [network.predict(state, tokens[:, [at]], every(tokens), threads=3).copy() for at in range(40)]
        return np.array_equal(np.concatenate(found, axis=1), wanted)

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(steps, range(6)))


@pytest.mark.usefixtures("_every_call_is_shared")
def test_a_signal_leaves_no_thread_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from zipllm.kernels.cpu import forward
    from zipllm.kernels.cpu.network import CpuNetwork

    model, tokens = random_model(shaped(), 1), random_tokens(shaped(), 1, time=5, seed=0)
    network, kernel = CpuNetwork(model), forward.forward

    signals = [KeyboardInterrupt()]

    def interrupted(work: Any, number: int, *rest: Any) -> None:
        if number == 0 and signals:
            raise signals.pop()
        kernel(work, number, *rest)

    monkeypatch.setattr("zipllm.kernels.cpu.network.forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        network.predict(network.start(1), tokens, every(tokens), threads=3)
    again = network.predict(network.start(1), tokens, every(tokens), threads=3)
    assert np.array_equal(again, expected(model, tokens))


@pytest.mark.parametrize("started", [0, 1])
def test_threads_that_do_not_start(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = random_model(shaped(), 1), random_tokens(shaped(), 16, time=11, seed=0)
    few_threads(monkeypatch, started)
    monkeypatch.setattr("zipllm.kernels.cpu.network.LEAST_PRODUCTS", 1)
    for lanes in (1, 16):
        assert np.array_equal(computed(model, tokens[:lanes], 4, threads=3), expected(model, tokens[:lanes]))


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
