"""A block is the same, coded and decoded by one thread or several, whatever its lanes."""

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest

from tests.codec.engines import TEXT
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.block.lane_groups import LEAST_LANES, cut
from zipllm.codec.block.predicted_block import decode_model_block, encode_model_block
from zipllm.codec.threads.work_queue import WorkQueue
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.block import FULL_MIXER
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.mixing.contexts import TEXT as TEXT_CONTEXTS
from zipllm.model_file.file import build_model
from zipllm.tokenizer import ByteTokenizer

pytestmark = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Compiled kernels: only those work for several threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZIPLLM_KERNELS", "cpu")
        return engine_from_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda count: monkeypatch.setenv("OMP_NUM_THREADS", str(count))


def parameters(lanes: int, mixer: int = FULL_MIXER) -> CodingParameters:
    return CodingParameters(
        lanes, PROBABILITY_BITS, mixer=mixer, history=12 if mixer else 0, family=TEXT_CONTEXTS, row=1
    )


def content(lanes: int) -> bytes:
    generator = random.Random(lanes)
    return bytes(generator.choices(TEXT, k=lanes * generator.randint(1, 40) + generator.randint(0, lanes - 1)))


@pytest.mark.parametrize("lanes", range(1, 71))
def test_threads_change_nothing(engine: Engine, threads: Callable[[int], None], lanes: int) -> None:
    raw, how = content(lanes), parameters(lanes)
    threads(1)
    payload = encode_model_block(engine, raw, how, None)
    for count in (2, 3):
        threads(count)
        assert encode_model_block(engine, raw, how, None) == payload
        assert decode_model_block(engine, payload, len(raw), how, None) == raw
    threads(1)
    assert decode_model_block(engine, payload, len(raw), how, None) == raw


def test_chunks_ahead(engine: Engine, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks: each group's come one after the other, and what is used is not overwritten."""
    raw, how = TEXT * 3, parameters(9)
    threads(1)
    whole = encode_model_block(engine, raw, how, None)
    threads(2)
    for steps in (1, 7):
        monkeypatch.setattr("zipllm.codec.block.lane_groups.MAX_CHUNK_STEPS", steps)
        assert encode_model_block(engine, raw, how, None) == whole


def test_without_history(engine: Engine, threads: Callable[[int], None]) -> None:
    raw, how = content(17), parameters(17, mixer=0)
    threads(2)
    payload = encode_model_block(engine, raw, how, None)
    assert decode_model_block(engine, payload, len(raw), how, None) == raw


@pytest.mark.parametrize("place", [0, 40, -30])
def test_damage_is_an_error_whichever_thread_finds_it(
    engine: Engine, threads: Callable[[int], None], place: int
) -> None:
    raw, how = TEXT * 2, parameters(16)
    threads(2)
    damaged = bytearray(encode_model_block(engine, raw, how, None))
    damaged[place] ^= 0x55
    with suppress(CorruptData):
        assert decode_model_block(engine, bytes(damaged), len(raw), how, None) != raw


def test_progress_goes_up_to_the_end(engine: Engine, threads: Callable[[int], None]) -> None:
    raw, how = TEXT * 5, parameters(8)
    threads(2)
    payload = encode_model_block(engine, raw, how, None)
    told: list[float] = []
    decode_model_block(engine, payload, len(raw), how, lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert told[0] > 0
    assert told[-1] <= 1


@pytest.mark.parametrize("lanes", [1, 3, 4, 7, 8, 61, 64, 70])
@pytest.mark.parametrize("groups", [1, 2, 4, 16])
def test_groups_are_whole_and_even(lanes: int, groups: int) -> None:
    edges = cut(lanes, groups)
    assert [edges[0][0], edges[-1][1]] == [0, lanes]
    assert all(end == begin for (_, end), (begin, _) in pairwise(edges))
    sizes = [end - begin for begin, end in edges]
    assert len(sizes) <= groups
    assert len(sizes) == 1 or min(sizes) >= LEAST_LANES
    assert max(sizes) - min(sizes) < 2 * LEAST_LANES


def test_waiting_raises_the_error_of_the_work() -> None:
    def fail() -> None:
        raise ValueError("work")

    done: list[int] = []
    with WorkQueue(3) as queue:
        first = queue.put(fail)
        tasks = [queue.put(partial(done.append, number)) for number in range(50)]
        with pytest.raises(ValueError, match="work"):
            queue.wait(first)
        for task in tasks:
            queue.wait(task)
    assert sorted(done) == list(range(50))


def test_work_follows_what_it_must() -> None:
    order: list[int] = []
    with WorkQueue(3) as queue:
        last = queue.put(partial(order.append, 0))
        for number in range(1, 60):
            last = queue.put(partial(order.append, number), after=last)
        queue.wait(last)
    assert order == list(range(60))
