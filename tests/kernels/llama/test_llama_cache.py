"""What a lane remembers: sizes as announced, old tokens dropped, some taken back, the reference's memory taken over."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kernels.llama.random_llamas import SHAPES, every, expected, random_model, random_tokens, shaped
from zipllm.jit.compiled import COMPILES
from zipllm.kernels.llama.layout import CacheShape, lane_bytes
from zipllm.model.config import MOST_REWOUND
from zipllm.model.llama.config import LlamaConfig
from zipllm.model.llama.integer import IntegerLlama

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


@pytest.mark.parametrize("config", [*SHAPES, shaped(window=1024, kept=4, head_size=64)], ids=str)
def test_a_lane_takes_as_much_memory_as_announced(config: LlamaConfig) -> None:
    from zipllm.kernels.llama.cache import new_state

    slots = CacheShape.of(config).slots
    one, three = (sum(array.nbytes for array in new_state(config, lanes, slots).cache) for lanes in (1, 3))
    assert three - one == 2 * lane_bytes(config)
    assert config.state_bytes <= lane_bytes(config)


def test_lanes_take_memory_as_they_fill() -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    config = shaped(window=200, layers=1)
    model = random_model(config, seed=3)
    tokens = random_tokens(config, lanes=3, time=700, seed=3)
    wanted, network = expected(model, tokens), CpuNetwork(model)
    state, fed, sizes = network.start(3), [0, 0, 0], set()
    for turn, length in enumerate([1, 15, 1, 40, 3, 8, 200, 300, 60, 1, 100, 500, 1, 5]):
        lane = turn % 3
        piece = slice(fed[lane], fed[lane] + length)
        prediction = network.predict(state, tokens[[lane], piece], np.array([lane], dtype=np.int32))
        assert np.array_equal(prediction[0], wanted[lane, piece])
        fed[lane] += length
        sizes.add(sum(array.nbytes for array in state.cache))
    assert len(sizes) == 3
    assert max(sizes) == 3 * lane_bytes(config)


@pytest.mark.parametrize("kept", [0, 1, 16, 17])
@pytest.mark.parametrize("window", [1, 2, 16, 17, 65])
def test_tokens_beyond_the_buffer(window: int, kept: int) -> None:
    """Long streams in uneven pieces: the buffer is full and emptied several times, at any place."""
    from zipllm.kernels.llama.network import CpuNetwork

    config = shaped(window=window, kept=kept, layers=1)
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


@pytest.mark.parametrize("config", [shaped(), shaped(kept=0), shaped(kept=17, window=16)], ids=str)
def test_tokens_are_taken_back_at_any_time(config: LlamaConfig) -> None:
    """Guesses of all lengths, from the kept tokens to several moves of the buffer; some calls have more tokens."""
    from zipllm.kernels.llama.network import CpuNetwork

    model, generator = random_model(config, seed=1), np.random.default_rng(1)
    slots = CacheShape.of(config).slots
    tokens = random_tokens(config, lanes=2, time=4 * slots + 400, seed=5)
    wanted, network = expected(model, tokens), CpuNetwork(model)
    state, at, turn = network.start(2), 0, 0
    while at < 4 * slots:
        right = int(generator.choice([1, 2, 7, 90]))
        wrong = (1 + turn) % (MOST_REWOUND + 1)
        piece = tokens[:, at : at + right + wrong].copy()
        piece[:, right:] = generator.integers(0, config.vocabulary_size, (2, wrong))
        result = network.predict(state, piece, every(piece), threads=1 + turn % 2)
        assert np.array_equal(result[:, :right], wanted[:, at : at + right])
        network.rewind(state, every(piece), wrong)
        at, turn = at + right, turn + 1
    assert turn > 9


@pytest.mark.parametrize("length", range(12))
def test_all_of_a_short_stream_is_taken_back(length: int) -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    config = shaped(kept=5)
    model, tokens = random_model(config, 0), random_tokens(config, lanes=3, time=30, seed=length)
    wanted, network = expected(model, tokens), CpuNetwork(model)
    state, some = network.start(3), np.array([0, 2], dtype=np.int32)
    network.predict(state, tokens[:, 9 : 9 + length], every(tokens))
    network.rewind(state, some, length)
    assert np.array_equal(network.predict(state, tokens[some], some), wanted[some])


@pytest.mark.parametrize("fed", [1, 2, 3, 4, 20, 150])
def test_a_copy_goes_on_by_itself(fed: int) -> None:
    from zipllm.kernels.llama.network import CpuNetwork

    config = shaped()
    model, tokens = random_model(config, 0), random_tokens(config, lanes=3, time=fed + 20, seed=fed)
    tokens[:, :fed] = tokens[0, :fed]
    wanted, network = expected(model, tokens), CpuNetwork(model)
    state = network.start(2)
    network.predict(state, tokens[:1, :fed], every(tokens)[:1])
    copied = network.copy(state, 3)
    network.predict(state, tokens[1:2, fed:], every(tokens)[:1])
    assert np.array_equal(network.predict(copied, tokens[:, fed:], every(tokens)), wanted[:, fed:])


@pytest.mark.parametrize("fed", [0, 1, 5, 8, 30, 200])
@pytest.mark.parametrize("config", SHAPES[:9], ids=str)
def test_the_reference_can_be_relieved_at_any_time(config: LlamaConfig, fed: int) -> None:
    """Also when it has taken back tokens, and when the kernels do so next."""
    from zipllm.kernels.llama.network import CpuNetwork

    model = random_model(config, seed=3)
    tokens = random_tokens(config, lanes=3, time=fed + 12, seed=fed)
    wanted = expected(model, tokens)
    reference, lanes = IntegerLlama(model), every(tokens)
    state = reference.start(3)
    for at in range(0, fed, 7):
        piece = tokens[:, at : min(at + 7, fed)]
        reference.predict(state, np.concatenate((piece, _wrong(tokens, 5)), axis=1), lanes)
        reference.rewind(state, lanes, 5)
    network = CpuNetwork(model)
    taken = network.take_over(state)
    assert np.array_equal(network.predict(taken, tokens[:, fed:], lanes), wanted[:, fed:])
    if fed:
        again = network.take_over(state)
        network.rewind(again, lanes, 1)
        assert np.array_equal(network.predict(again, tokens[:, fed - 1 :], lanes), wanted[:, fed - 1 :])


def _wrong(tokens: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    return np.ascontiguousarray(tokens[::-1, :count])
