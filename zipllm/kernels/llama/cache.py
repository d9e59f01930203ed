"""The state of lanes between calls, in the kernels' layout, and the buffers for their computation."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from zipllm.kernels.cpu.cache import LaneState
from zipllm.kernels.cpu.layout import GROUP, PANEL, WIDE_ORDER, round_up
from zipllm.kernels.llama.layout import CacheShape
from zipllm.model.llama.config import LlamaConfig

if TYPE_CHECKING:
    from zipllm.model.llama.integer import State

BLOCK_ROWS = 64
"""Rows that go through the network together: enough to reuse each weight often, few enough for the caches."""
TILE_ROWS = 12
"""Queries that attend together, of neighboring tokens and of the heads that share keys; more where a token has more."""
HEAD_ROWS = 16
"""Rows whose logits are computed together."""


class Cache(NamedTuple):
    """Keys and values of all lanes; slots are added as lanes fill.

    Attributes:
        keys: int8 ``[layers, lanes, key_heads, slots / 16, key_size / 4, 16, 4]``: panels whose columns are slots.
        key_scales: int16 ``[layers, lanes, key_heads, slots]``.
        values: int8 ``[layers, lanes, key_heads * value_size / 16, slots / 4, 16, 4]``: slots are the inputs here, and
            a panel's lie behind each other, since a tile reads them all.
        value_scales: int16 ``[layers, lanes, key_heads, slots]``.
    """

    keys: NDArray[np.int8]
    key_scales: NDArray[np.int16]
    values: NDArray[np.int8]
    value_scales: NDArray[np.int16]


class Stream(NamedTuple):
    """Activations of a block of rows that threads hand each other when they share it by columns.

    Attributes:
        residual: int32 ``[BLOCK_ROWS, width]``, the residual stream.
        near: int16 ``[BLOCK_ROWS, heads, key_size]``, queries turned by their position.
        far: int16, the same turned for kept tokens.
        mixed: int32 ``[BLOCK_ROWS, query_width]``, results of attention.
        gated: int32 ``[BLOCK_ROWS, feedforward]``, activations of the feed-forward.
        logits: int32, for ``HEAD_ROWS`` rows.
    """

    residual: NDArray[np.int32]
    near: NDArray[np.int16]
    far: NDArray[np.int16]
    mixed: NDArray[np.int32]
    gated: NDArray[np.int32]
    logits: NDArray[np.int32]


class Scratch(NamedTuple):
    """Buffers of one thread for a block of rows.

    Attributes:
        row: int32, a row of activations before it is rounded.
        hidden: int16, rounded activations.
        scales: int32 ``[BLOCK_ROWS]``, their scales.
        sums: int32, results of products.
        gates: int32 ``[BLOCK_ROWS, feedforward]``, one of the two results that make a gate.
        turns: int32 ``[BLOCK_ROWS, 4, head_size / 2]``: cosines and sines of the positions, of those for kept tokens.
        head: int32 ``[head_size]``.
        queries: int16 ``[2, tile, key_size]``, those that attend together, of kept tokens first.
        scores: int32 ``[tile, front and visible slots]``.
        weights: int16, as ``scores``.
        totals: int64 ``[tile]``, sums of attention weights.
        weighted: int32 ``[2, tile, value_size]``, sums of values, of kept tokens first.
        cumulative: int32 ``[vocabulary + 1]``, a whole prediction of which some columns are kept.
        met: see ``meeting.Share``.
    """

    row: NDArray[np.int32]
    hidden: NDArray[np.int16]
    scales: NDArray[np.int32]
    sums: NDArray[np.int32]
    gates: NDArray[np.int32]
    turns: NDArray[np.int32]
    head: NDArray[np.int32]
    queries: NDArray[np.int16]
    scores: NDArray[np.int32]
    weights: NDArray[np.int16]
    totals: NDArray[np.int64]
    weighted: NDArray[np.int32]
    cumulative: NDArray[np.int32]
    met: NDArray[np.int64]


class Room(NamedTuple):
    """The buffers of one thread."""

    stream: Stream
    scratch: Scratch


@dataclass
class LlamaState(LaneState):
    """State of some lanes; make one with ``CpuNetwork.start``.

    ``filled`` counts from ``-kept``: kept tokens have slots before it.

    Attributes:
        positions: int64 ``[lanes]``, tokens that each lane has been fed.
    """

    units = (PANEL, 1, GROUP, 1)
    cache: Cache
    positions: NDArray[np.int64]

    def advance(self, lanes: NDArray[np.int64], tokens: int) -> None:
        super().advance(lanes, tokens)
        self.positions[lanes] += tokens

    def copied(self, lanes: int) -> Self:
        return replace(super().copied(lanes), positions=np.repeat(self.positions[:1], lanes))


def new_state(config: LlamaConfig, lanes: int, slots: int | None = None) -> LlamaState:
    """Return the state of lanes that have been fed nothing, with ``slots`` for their first tokens."""
    shape = CacheShape.of(config)
    slots = shape.front + PANEL if slots is None else slots
    heads = (config.layers, lanes, config.key_heads)
    cache = Cache(
        np.zeros((*heads, slots // PANEL, shape.key_size // GROUP, PANEL, GROUP), dtype=np.int8),
        np.zeros((*heads, slots), dtype=np.int16),
        np.zeros((*heads[:2], heads[2] * (shape.value_size // PANEL), slots // GROUP, PANEL, GROUP), dtype=np.int8),
        np.zeros((*heads, slots), dtype=np.int16),
    )
    filled = np.full(lanes, -config.kept, dtype=np.int64)
    return LlamaState(cache, filled, np.zeros(lanes, dtype=np.int64), front=shape.front)


def new_room(config: LlamaConfig) -> Room:
    """Return the buffers of one thread."""
    shape = CacheShape.of(config)
    tile = max(TILE_ROWS, config.heads // config.key_heads)
    span = shape.front + round_up(config.window + TILE_ROWS, PANEL) + 2 * PANEL
    widest = max(config.width, config.query_width, config.feedforward)
    queries = (BLOCK_ROWS, config.heads, shape.key_size)
    stream = Stream(
        residual=np.zeros((BLOCK_ROWS, config.width), dtype=np.int32),
        near=np.zeros(queries, dtype=np.int16),
        far=np.zeros(queries, dtype=np.int16),
        mixed=np.zeros((BLOCK_ROWS, config.query_width), dtype=np.int32),
        gated=np.zeros((BLOCK_ROWS, config.feedforward), dtype=np.int32),
        logits=np.zeros((HEAD_ROWS, round_up(config.vocabulary_size, PANEL)), dtype=np.int32),
    )
    scratch = Scratch(
        row=np.zeros(widest, dtype=np.int32),
        hidden=np.zeros((BLOCK_ROWS, round_up(widest, GROUP)), dtype=np.int16),
        scales=np.zeros(BLOCK_ROWS, dtype=np.int32),
        sums=np.zeros((BLOCK_ROWS, round_up(max(widest, config.key_width), PANEL)), dtype=np.int32),
        gates=np.zeros((BLOCK_ROWS, round_up(config.feedforward, PANEL)), dtype=np.int32),
        turns=np.zeros((BLOCK_ROWS, 4, config.head_size // 2), dtype=np.int32),
        head=np.zeros(config.head_size, dtype=np.int32),
        queries=np.zeros((2, tile, shape.key_size), dtype=np.int16),
        scores=np.zeros((tile, span), dtype=np.int32),
        weights=np.zeros((tile, span), dtype=np.int16),
        totals=np.zeros(tile, dtype=np.int64),
        weighted=np.zeros((2, tile, shape.value_size), dtype=np.int32),
        cumulative=np.zeros(config.vocabulary_size + 1, dtype=np.int32),
        met=np.zeros(1, dtype=np.int64),
    )
    return Room(stream, scratch)


def from_reference(config: LlamaConfig, state: "State") -> LlamaState:
    """Convert the reference's state: the same keys and values in another layout."""
    shape = CacheShape.of(config)
    result = new_state(config, len(state.positions), shape.slots)
    arrays = [ring.numpy() for ring in (state.keys, state.key_scales, state.values, state.value_scales)]
    ring = max(1, state.keys.shape[2] - config.kept)
    for lane, position in enumerate(state.positions.tolist()):
        behind = max(0, position - config.kept)
        count = min(behind, shape.reach)
        taken = (
            (np.arange(min(position, config.kept)), 0),
            (config.kept + np.arange(behind - count, behind) % ring, shape.front),
        )
        for slots, begin in taken:
            _put(result.cache, lane, begin, [array[:, lane, slots] for array in arrays])
        result.positions[lane] = position
        result.filled[lane] = position - config.kept if not behind else count
    return result


def _put(cache: Cache, lane: int, begin: int, parts: list[NDArray[np.int8]]) -> None:
    """Store the reference's keys, values and scales, ``[layers, tokens, key_heads, ...]``, from slot ``begin`` on."""
    keys, key_scales, values, value_scales = (part.swapaxes(1, 2) for part in parts)
    slots = begin + np.arange(keys.shape[2])
    inputs = np.arange(keys.shape[3])
    order = np.array(WIDE_ORDER)
    place = slots[:, None] // PANEL, inputs // GROUP, slots[:, None] % PANEL, order[inputs % GROUP]
    cache.keys[:, lane][:, :, *place] = keys
    groups = cache.values[:, lane].reshape(*keys.shape[:2], -1, *cache.values.shape[3:])  # a view: [layers, heads, ...]
    groups[:, :, inputs // PANEL, slots[:, None] // GROUP, inputs % PANEL, order[slots[:, None] % GROUP]] = values
    cache.key_scales[:, lane][:, :, slots] = key_scales
    cache.value_scales[:, lane][:, :, slots] = value_scales
