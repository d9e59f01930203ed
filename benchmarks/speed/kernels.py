"""What the parts of the compiled network cost, one thread, microseconds a token.

The parts are those of ``zipllm/kernels/cpu/forward.py``, called alone on the arrays of a real model whose windows are
full. The rest of the whole is norms, heads, activations, the call itself, and waiting for memory: alone, a part finds
its arrays in the cache; together the parts evict each other's, and more so with more lanes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np

from benchmarks.speed.row import Row, Settings, timed
from zipllm.kernels.cpu.attention import attend
from zipllm.kernels.cpu.cache import BLOCK_ROWS, HEAD_ROWS, TILE_ROWS
from zipllm.kernels.cpu.frequencies import accumulate
from zipllm.kernels.cpu.network import CpuNetwork
from zipllm.kernels.cpu.product import linear
from zipllm.model_file.store import ModelStore

WAYS = ((1, 1), (4, 1), (8, 1), (32, 1), (16, 64))
"""Lanes, and tokens of each lane at a time: single steps as in a decoder, and a pass as in an encoder."""
TURNS = 7


@numba.njit(nogil=True)
def products(network: Any, stream: Any, scratch: Any, count: int) -> None:
    """Multiply some rows by all matrices of the layers."""
    width, feedforward = (0, network.shape.width), (0, network.shape.feedforward)
    for layer in range(network.shape.layers):
        linear(scratch.hidden, count, network.key, layer, width, scratch.sums)
        linear(scratch.hidden, count, network.value, layer, width, scratch.sums)
        linear(scratch.hidden, count, network.query, layer, width, scratch.sums)
        linear(stream.mixed, count, network.output, layer, width, scratch.sums)
        linear(scratch.hidden, count, network.up, layer, feedforward, scratch.sums)
        linear(stream.active, count, network.down, layer, width, scratch.sums)


@numba.njit(nogil=True)
def output(network: Any, stream: Any, scratch: Any, count: int) -> None:
    """Multiply some rows by the matrix that gives the logits."""
    for start in range(0, count, HEAD_ROWS):
        together, columns = min(HEAD_ROWS, count - start), (0, network.shape.vocabulary)
        linear(scratch.hidden[start:], together, network.head, np.int64(0), columns, stream.logits)


@numba.njit(nogil=True)
def frequencies(network: Any, stream: Any, out: Any) -> None:
    """Turn logits into cumulative frequencies."""
    for row in range(out.shape[0]):
        accumulate(stream.logits[row % HEAD_ROWS, : network.shape.vocabulary], network.frequency_exponential, out[row])


@numba.njit(nogil=True)
def attention(network: Any, cache: Any, stream: Any, scratch: Any, filled: Any, time_: int) -> None:
    """Attend to the windows of the last tokens of all lanes."""
    shape, heads = network.shape, (0, network.shape.heads)
    for layer in range(shape.layers):
        for lane in range(filled.size):
            for begin in range(0, time_, TILE_ROWS):
                count, slot = min(TILE_ROWS, time_ - begin), filled[lane] - time_ + begin
                queries, out = scratch.queries, stream.mixed
                attend(shape, heads, network.attention, cache, layer, lane, slot, count, queries, scratch, out)


def kernels(settings: Settings) -> Iterator[Row]:
    """Measure the default model's parts, without any text."""
    integer: Any = ModelStore.default().load("small").integer
    network = CpuNetwork(integer)
    for lanes, time_ in WAYS:
        whole, parts = measured(network, lanes, time_)
        parts["the rest"] = whole - sum(parts.values())
        name = f"{'step' if time_ == 1 else f'pass of {time_} tokens'}, {lanes} lanes"
        for part, micro in {"whole": whole, **parts}.items():
            row = {"what": f"{name}: {part}", "raw_bytes": 0, "seconds": round(micro / 1e6, 9)}
            yield row | {"microseconds": round(micro, 2), "note": f"{micro:6.1f} us a token"}


def measured(network: CpuNetwork, lanes: int, time_: int) -> tuple[float, dict[str, float]]:
    """Return microseconds a token, of the whole and of its parts."""
    config, rows = network.config, lanes * time_
    state, every, random = network.start(lanes), np.arange(lanes, dtype=np.int32), np.random.default_rng(0)
    tokens = random.integers(0, config.vocabulary_size, (lanes, time_), dtype=np.int32)
    for _ in range(-(-config.window // time_)):
        network.predict(state, tokens, every)
    packed, block = network._network, min(BLOCK_ROWS, rows)
    stream, scratch = state.rooms[0]
    out = np.zeros((block, config.vocabulary_size + 1), dtype=np.int32)
    parts = {
        "products of the layers": microseconds(lambda: products(packed, stream, scratch, block), block),
        "product of the output": microseconds(lambda: output(packed, stream, scratch, block), block),
        "frequencies": microseconds(lambda: frequencies(packed, stream, out), block),
        "attention": microseconds(lambda: attention(packed, state.cache, stream, scratch, state.filled, time_), rows),
    }
    return microseconds(lambda: network.predict(state, tokens, every), rows), parts


def microseconds(work: Callable[[], object], tokens: int) -> float:
    """Return microseconds a token, the best of some turns of ten calls."""
    work()
    best = min(timed(lambda: [work() for _ in range(10)])[1] for _ in range(TURNS))
    return best / 10 / tokens * 1e6
