"""The state of lanes between calls, in the kernels' layout, and the buffers for their computation."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from zipllm.kernels.cpu.layout import GROUP, OFFSET, PANEL, CacheShape, round_up
from zipllm.model.transformer.config import TransformerConfig

if TYPE_CHECKING:
    from zipllm.model.transformer.integer import State

BLOCK_ROWS = 64
"""Rows that go through the network together: enough to reuse each weight often, few enough for the L2 cache."""
TILE_ROWS = 8
"""Neighboring tokens of a lane that attend together."""
HEAD_ROWS = 16
"""Rows whose logits are computed together."""
_GROWTH = 4
"""A full cache gets this many times its slots, so that the old one is small beside the new one."""


class Cache(NamedTuple):
    """Keys and values of all lanes; slots are added as lanes fill.

    Attributes:
        keys: int32 ``[layers, lanes, heads, slots / 16, key_size / 4, 16]``: panels whose columns are slots, four
            signed bytes in each number.
        corrections: int32 ``[layers, lanes, heads, slots]``, ``-128 * sum(key)``: see ``layout.py``.
        values: int8 ``[layers, lanes, heads, slots / 4, value_size, 4]``: slots are the inputs here.
    """

    keys: NDArray[np.int32]
    corrections: NDArray[np.int32]
    values: NDArray[np.int8]


class Stream(NamedTuple):
    """Activations of a block of rows that threads hand each other when they share it by columns.

    Attributes:
        residual: int32 ``[BLOCK_ROWS, width]``, the residual stream.
        mixed: uint8, results of attention.
        active: uint8, activations of the feed-forward.
        logits: int32, for ``HEAD_ROWS`` rows.
    """

    residual: NDArray[np.int32]
    mixed: NDArray[np.uint8]
    active: NDArray[np.uint8]
    logits: NDArray[np.int32]


class Scratch(NamedTuple):
    """Buffers of one thread for a block of rows.

    Attributes:
        hidden: uint8, normalized activations.
        sums: int32, results of products.
        key: uint8 ``[heads * key_size]``, the heads of one key.
        queries: uint8 ``[BLOCK_ROWS, heads * key_size]``.
        scores: int32, for a tile of rows.
        limbs: uint8, attention weights, alternating rows of low and high bytes.
        totals: int64, sums of attention weights.
        weighted: int32, sums of values.
        zeros: int32, initial sums of values.
        cumulative: int32 ``[vocabulary + 1]``, a whole prediction of which some columns are kept.
        met: see ``meeting.Share``.
    """

    hidden: NDArray[np.uint8]
    sums: NDArray[np.int32]
    key: NDArray[np.uint8]
    queries: NDArray[np.uint8]
    scores: NDArray[np.int32]
    limbs: NDArray[np.uint8]
    totals: NDArray[np.int64]
    weighted: NDArray[np.int32]
    zeros: NDArray[np.int32]
    cumulative: NDArray[np.int32]
    met: NDArray[np.int64]


class Room(NamedTuple):
    """The buffers of one thread."""

    stream: Stream
    scratch: Scratch


@dataclass
class LaneState:
    """State of some lanes.

    Attributes:
        cache: named tuple of arrays ``[layers, lanes, heads, slots / unit, ...]``, see ``units``.
        filled: int64 ``[lanes]``, slots in use behind the front; fewer than positions once old tokens were dropped.
        front: slots that old tokens are never dropped from.
        rooms: of each thread that has worked so far.
        cumulative: int32 ``[rows, vocabulary + 1]``, holds the last result that had no ``out``.
    """

    units: ClassVar[tuple[int, ...]]
    """Slots that an entry of the fourth axis of each array holds."""
    cache: Any
    filled: NDArray[np.int64]
    front: int = field(default=0, kw_only=True)
    rooms: list[Any] = field(default_factory=list, kw_only=True)
    cumulative: NDArray[np.int32] | None = field(default=None, kw_only=True)

    def make_room(self, lanes: NDArray[np.int64], tokens: int, most: int, reach: int) -> None:
        """Make room for ``tokens`` more, at most ``spare``: add slots, ``most`` in all, then drop old tokens.

        The last ``reach`` tokens stay.
        """
        self._grow(self.front + int(self.filled[lanes].max(initial=0)) + tokens, most)
        room = self._slots - self.front
        for lane in lanes[self.filled[lanes] + tokens > room].tolist():
            filled = int(self.filled[lane])
            drop = (filled - reach) // PANEL * PANEL
            for array, unit in zip(self.cache, self.units, strict=True):
                first = self.front // unit
                kept = array[:, lane, :, first + drop // unit : first - (-filled // unit)].copy()
                array[:, lane, :, first : first + kept.shape[2]] = kept
            self.filled[lane] = filled - drop

    def advance(self, lanes: NDArray[np.int64], tokens: int) -> None:
        """Note that lanes have been fed ``tokens`` more, or fewer."""
        self.filled[lanes] += tokens

    def copied(self, lanes: int) -> Self:
        """Return the state of ``lanes`` lanes that have each been fed what lane 0 was."""
        arrays = (np.repeat(array[:, :1], lanes, axis=1) for array in self.cache)
        filled = np.repeat(self.filled[:1], lanes)
        return replace(self, cache=type(self.cache)(*arrays), filled=filled, rooms=[], cumulative=None)

    @property
    def _slots(self) -> int:
        slots: int = self.cache[0].shape[3] * self.units[0]
        return slots

    def _grow(self, needed: int, most: int) -> None:
        """Add slots if there are too few, so that lanes of few tokens, of which a block can have many, stay small."""
        slots = self._slots
        if slots < min(needed, most):
            wanted = max(needed, _GROWTH * slots)
            slots = most if 2 * wanted > most else round_up(wanted, PANEL)
            pairs = zip(self.cache, self.units, strict=True)
            self.cache = type(self.cache)(*(_with_slots(array, slots // unit) for array, unit in pairs))


@dataclass
class CpuState(LaneState):
    """State of some lanes; make one with ``CpuNetwork.start``."""

    units = (PANEL, 1, GROUP)
    cache: Cache


def _with_slots(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a copy whose fourth axis has this size, zeros behind what there was."""
    larger = np.zeros((*array.shape[:3], size, *array.shape[4:]), dtype=array.dtype)
    larger[:, :, :, : array.shape[3]] = array
    return larger


def new_state(config: TransformerConfig, lanes: int, slots: int = PANEL) -> CpuState:
    """Return the state of lanes that have been fed nothing, with ``slots`` for their first tokens."""
    shape = CacheShape.of(config)
    heads = (config.layers, lanes, config.heads)
    cache = Cache(
        np.zeros((*heads, slots // PANEL, shape.key_size // GROUP, PANEL), dtype=np.int32),
        np.zeros((*heads, slots), dtype=np.int32),
        np.zeros((*heads, slots // GROUP, shape.value_size, GROUP), dtype=np.int8),
    )
    return CpuState(cache, np.zeros(lanes, dtype=np.int64))


def new_room(config: TransformerConfig) -> Room:
    """Return the buffers of one thread."""
    shape = CacheShape.of(config)
    width, feedforward = (round_up(size, GROUP) for size in (config.width, config.feedforward))
    span = round_up(config.window + TILE_ROWS, PANEL) + 2 * PANEL
    stream = Stream(
        residual=np.zeros((BLOCK_ROWS, config.width), dtype=np.int32),
        mixed=np.zeros((BLOCK_ROWS, width), dtype=np.uint8),
        active=np.zeros((BLOCK_ROWS, feedforward), dtype=np.uint8),
        logits=np.zeros((HEAD_ROWS, round_up(config.vocabulary_size, PANEL)), dtype=np.int32),
    )
    scratch = Scratch(
        hidden=np.zeros((BLOCK_ROWS, width), dtype=np.uint8),
        sums=np.zeros((BLOCK_ROWS, round_up(max(config.width, config.feedforward), PANEL)), dtype=np.int32),
        key=np.zeros(config.heads * shape.key_size, dtype=np.uint8),
        queries=np.zeros((BLOCK_ROWS, config.heads * shape.key_size), dtype=np.uint8),
        scores=np.zeros((TILE_ROWS, span), dtype=np.int32),
        limbs=np.zeros((2 * TILE_ROWS, span), dtype=np.uint8),
        totals=np.zeros(TILE_ROWS, dtype=np.int64),
        weighted=np.zeros((2 * TILE_ROWS, shape.value_size), dtype=np.int32),
        zeros=np.zeros(shape.value_size, dtype=np.int32),
        cumulative=np.zeros(config.vocabulary_size + 1, dtype=np.int32),
        met=np.zeros(1, dtype=np.int64),
    )
    return Room(stream, scratch)


def from_reference(config: TransformerConfig, state: "State") -> CpuState:
    """Convert the reference's state: the same keys and values in another layout."""
    shape = CacheShape.of(config)
    result = new_state(config, len(state.positions), shape.slots)
    for lane, position in enumerate(state.positions.tolist()):
        count = min(position, config.window)
        slots = np.arange(position - count, position) % state.keys.shape[2]
        parts = (config.layers, count, config.heads, config.head_size)
        keys, values = (ring[:, lane].numpy()[:, slots].reshape(parts) for ring in (state.keys, state.values))
        padded = np.zeros((config.layers, config.heads, shape.slots, shape.key_size), dtype=np.int8)
        padded[:, :, :count, : config.head_size] = keys.transpose(0, 2, 1, 3)
        groups = padded.view(np.int32).reshape(*padded.shape[:2], -1, PANEL, shape.key_size // GROUP)
        result.cache.keys[:, lane] = groups.swapaxes(3, 4)
        result.cache.corrections[:, lane] = -OFFSET * padded.sum(-1, dtype=np.int32)
        padded = np.zeros((config.layers, config.heads, shape.slots, shape.value_size), dtype=np.int8)
        padded[:, :, :count, : config.head_size] = values.transpose(0, 2, 1, 3)
        result.cache.values[:, lane] = padded.reshape(*padded.shape[:2], -1, GROUP, shape.value_size).swapaxes(3, 4)
        result.filled[lane] = count
    return result
