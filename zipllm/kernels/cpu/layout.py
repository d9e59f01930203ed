"""How weights, keys and values lie in memory for the tiles of ``tile.py``, and a model's tensors so packed.

A *panel* is 16 columns of a packed operand; its inputs (for values: the keys they belong to) are in groups of 4.
Keys and values of a lane lie in order of time in a buffer of *slots*. New tokens are appended; when the buffer is
full, the last window moves to its beginning. So no loop ever wraps around.

Signed activations ``y`` enter a product as unsigned bytes ``y + OFFSET``, because that is what the processor
multiplies; the sum of each column then starts at ``-OFFSET * sum(weights)`` to compensate. Models are named tuples,
since compiled code takes no classes. This file needs no numba.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.model.ranges import residual_limit
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

PANEL = 16
"""Columns per vector instruction."""
GROUP = 4
"""Inputs that one vector instruction multiplies and adds up for each column."""
WIDE_ORDER = (0, 2, 1, 3)
"""The order of the inputs in a group that a wide tile reads; also the place of each input."""
MIN_SPARE, MAX_SPARE = 64, 1024
"""Bounds on the slots for new tokens; within them there are as many as the window has."""


OFFSET = 128
"""Added to signed activations."""

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is at least ``value``."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class CacheShape:
    """Sizes of the cache of one lane and head.

    Attributes:
        slots: tokens that fit, a multiple of ``PANEL``.
        spare: tokens that always fit at once.
        key_size: head size in whole groups.
        value_size: head size in whole panels.
    """

    slots: int
    spare: int
    key_size: int
    value_size: int

    @classmethod
    def of(cls, config: TransformerConfig) -> "CacheShape":
        """Return the sizes for a model of this shape."""
        spare = round_up(min(max(config.window, MIN_SPARE), MAX_SPARE), PANEL)
        kept = round_up(config.window - 1 + PANEL - 1, PANEL)  # whole panels are moved
        return cls(kept + spare, spare, round_up(config.head_size, GROUP), round_up(config.head_size, PANEL))


def lane_bytes(config: TransformerConfig) -> int:
    """Return the memory that the keys and values of one lane take."""
    shape = CacheShape.of(config)
    correction = 4  # an int32 for each key
    return config.layers * config.heads * shape.slots * (shape.key_size + shape.value_size + correction)


class Matrix(NamedTuple):
    """A matrix of every layer, requantization included.

    Attributes:
        panels: int8 ``[layers, outputs / 16, inputs / 4, 16, 4]``, zeros where sizes are no multiples.
        initial: int32 ``[layers, outputs]``, what each sum starts with.
        multiplier: int32 ``[layers, outputs]``.
        shift: int64 ``[layers]``.
    """

    panels: Int8
    initial: Int32
    multiplier: Int32
    shift: Int64


class Shape(NamedTuple):
    """Sizes, as integers that compiled code can take.

    ``head_unit`` is the least number of heads whose columns fill whole panels.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    head_size: int
    head_unit: int
    feedforward: int
    window: int
    key_size: int
    value_size: int
    limit: int


class Attention(NamedTuple):
    """Constants of attention: tensors of the model under their names.

    ``position_bias`` is int32 ``[layers, heads, window]`` in order of time: the last entry is distance 0.
    """

    query_norm: Int64
    key_norm: Int64
    score_multiplier: Int32
    score_shift: Int64
    position_bias: Int32
    attention_exponential: Int32
    mixing_scale: Int64


class Network(NamedTuple):
    """A whole model; its tensors under their names."""

    shape: Shape
    attention: Attention
    embedding: Int8
    embedding_multiplier: Int32
    embedding_shift: Int64
    attention_norm: Int64
    feedforward_norm: Int64
    final_norm: Int64
    frequency_exponential: Int32
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    up: Matrix
    down: Matrix
    head: Matrix


MATRICES = ("query", "key", "value", "output", "up", "down", "head")


def pack_network(model: TransformerParameters) -> Network:
    """Return a checked model in the kernels' layout."""
    arrays: dict[str, NDArray[Any]] = dict(model.values)
    arrays["head"] = model.head[None]
    arrays["head_multiplier"] = arrays["head_multiplier"][None]
    arrays["position_bias"] = arrays["position_bias"][..., ::-1]
    parts: dict[str, Any] = {"shape": _shape(model.config)}
    parts["attention"] = Attention(*(_plain(arrays, name) for name in Attention._fields))
    for name in MATRICES:
        offset = 0 if name == "down" else OFFSET  # squares are not negative
        parts[name] = pack_matrix(arrays[name], arrays[f"{name}_multiplier"], _plain(arrays, f"{name}_shift"), offset)
    for name in Network._fields:
        if name not in parts:
            parts[name] = _plain(arrays, name)
    return Network(**parts)


def pack_matrix(weight: Int8, multiplier: Int32, shift: Int64, offset: int) -> Matrix:
    """Pack int8 ``[layers, outputs, inputs]`` for activations that come with ``offset`` added."""
    panels = pack_panels(weight)
    sums = panels.sum((2, 4), dtype=np.int64).reshape(len(panels), -1)
    return Matrix(
        panels=panels,
        initial=(-offset * sums).astype(np.int32),  # at most 2**7 * 2**16 * 127 < 2**31
        multiplier=pad_outputs(multiplier),
        shift=shift,
    )


def pack_panels(weight: Int8, order: tuple[int, ...] = tuple(range(GROUP))) -> Int8:
    """Pack int8 ``[layers, outputs, inputs]``, the inputs of each group in this order; see `Matrix`."""
    layers, outputs, inputs = weight.shape
    panels, steps = -(-outputs // PANEL), -(-inputs // GROUP)
    packed = np.zeros((layers, panels, steps, PANEL, GROUP), dtype=np.int8)
    for layer in range(layers):  # one at a time, since a padded copy of all may be large
        padded = np.zeros((panels * PANEL, steps * GROUP), dtype=np.int8)
        padded[:outputs, :inputs] = weight[layer]
        split = padded.reshape(panels, PANEL, steps, GROUP)[..., list(order)]
        packed[layer] = split.transpose(0, 2, 1, 3)
    return packed


def pad_outputs(values: Int32) -> Int32:
    """Return int32 ``[layers, outputs]`` with zeros up to whole panels."""
    padded = np.zeros((values.shape[0], round_up(values.shape[1], PANEL)), dtype=np.int32)
    padded[:, : values.shape[1]] = values
    return padded


def _shape(config: TransformerConfig) -> Shape:
    cache = CacheShape.of(config)
    return Shape(
        vocabulary=config.vocabulary_size,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        head_size=config.head_size,
        head_unit=PANEL // math.gcd(PANEL, config.head_size),
        feedforward=config.feedforward,
        window=config.window,
        key_size=cache.key_size,
        value_size=cache.value_size,
        limit=residual_limit(config.width),
    )


def _plain(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return a tensor as a contiguous, writeable array, shifts as int64: kernels are compiled for that alone."""
    dtype = np.int64 if name.endswith("_shift") else None
    return np.require(arrays[name], dtype, requirements=["C", "A", "W", "O"])
