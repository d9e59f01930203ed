"""What a lane remembers: sizes as announced, old tokens dropped, the reference's memory taken over."""

import numpy as np
import pytest
import torch

from tests.kernels.models import SHAPES, every, expected, random_model, random_tokens
from tests.model.conftest import shaped
from zipllm.jit.compiled import COMPILES
from zipllm.kernels.cpu.layout import CacheShape, lane_bytes
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.integer import IntegerTransformer

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


@pytest.mark.parametrize("config", [*SHAPES, TransformerConfig(8192)], ids=str)
def test_a_lane_takes_as_much_memory_as_announced(config: TransformerConfig) -> None:
    from zipllm.kernels.cpu.cache import new_state

    slots = CacheShape.of(config).slots
    one, three = (sum(array.nbytes for array in new_state(config, lanes, slots).cache) for lanes in (1, 3))
    assert three - one == 2 * lane_bytes(config)


def test_lanes_take_memory_as_they_fill() -> None:
    """At most four times what their tokens take, and never more than announced; any lane may be the longest."""
    from zipllm.kernels.cpu.network import CpuNetwork

    config = shaped(window=300, layers=2)
    model, slots = random_model(config, seed=3), CacheShape.of(config).slots
    tokens = random_tokens(config, lanes=3, time=800, seed=3)
    wanted, network = expected(model, tokens), CpuNetwork(model)
    state, fed, sizes = network.start(3), [0, 0, 0], set()
    for turn, length in enumerate([1, 15, 1, 40, 3, 8, 200, 300, 60, 1, 100, 500, 1, 5]):
        lane = turn % 3
        piece = slice(fed[lane], fed[lane] + length)
        prediction = network.predict(state, tokens[[lane], piece], np.array([lane], dtype=np.int32))
        assert np.array_equal(prediction[0], wanted[lane, piece])
        fed[lane] += length
        held = sum(array.nbytes for array in state.cache)
        assert held <= 3 * lane_bytes(config) * min(1, 4 * (max(fed) + 16) / slots)
        sizes.add(held)
    assert len(sizes) == 4
    assert max(sizes) == 3 * lane_bytes(config)


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_the_reference_needs_no_more_memory_than_announced(config: TransformerConfig) -> None:
    assert 2 * config.layers * config.window * config.width <= lane_bytes(config)


@pytest.mark.parametrize("window", [1, 2, 16, 17, 63, 64, 65])
def test_tokens_beyond_the_buffer(window: int) -> None:
    """Long streams in uneven pieces: the buffer is full and emptied several times, at any place."""
    from zipllm.kernels.cpu.network import CpuNetwork

    config = shaped(window=window, layers=1)
    model = random_model(config, seed=window)
    slots = CacheShape.of(config).slots
    tokens = random_tokens(config, lanes=2, time=3 * slots, seed=window)
    wanted = expected(model, tokens)
    generator = np.random.default_rng(window)
    network = CpuNetwork(model)
    state, at = network.start(2), 0
    while at < tokens.shape[1]:
        length = int(generator.choice([1, 3, slots - 1, slots + 5]))
        piece = tokens[:, at : at + length]
        assert np.array_equal(network.predict(state, piece, every(piece)), wanted[:, at : at + length])
        at += length


@pytest.mark.parametrize("fed", [0, 1, 5, 8, 30])
@pytest.mark.parametrize("config", SHAPES[:8], ids=str)
def test_the_reference_can_be_relieved_at_any_time(config: TransformerConfig, fed: int) -> None:
    from zipllm.kernels.cpu.network import CpuNetwork

    model = random_model(config, seed=3)
    tokens = random_tokens(config, lanes=3, time=fed + 12, seed=fed)
    wanted = expected(model, tokens)
    reference = IntegerTransformer(model)
    state = reference.start(3)
    reference.forward(state, torch.from_numpy(tokens[:, :fed]))
    network = CpuNetwork(model)
    rest = network.predict(network.take_over(state), tokens[:, fed:], every(tokens))
    assert np.array_equal(rest, wanted[:, fed:])
