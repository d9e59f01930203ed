"""A model's tensors packed for wide tiles, and the sizes of a lane's memory; see ``zipllm.kernels.cpu.layout``.

The slots of a lane have two parts. The first tokens of the stream, which every token sees, stay in a *front* of whole
panels. The others follow in a buffer like that of the first architecture: new tokens are appended; when it is full,
the last window moves to its beginning.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.kernels.cpu.layout import GROUP, PANEL, WIDE_ORDER, Int8, Int32, Int64, pack_panels, pad_outputs, round_up
from zipllm.model.config import MOST_REWOUND
from zipllm.model.llama.config import LINEAR_LAYERS, LlamaConfig
from zipllm.model.llama.parameters import LlamaParameters

MIN_SPARE, MAX_SPARE = MOST_REWOUND, 256
"""Bounds on the slots for new tokens; within them there are as many as the window has."""


@dataclass(frozen=True)
class CacheShape:
    """Sizes of the cache of one lane and head of keys.

    Attributes:
        front: slots for the kept tokens, a multiple of ``PANEL``.
        slots: tokens that fit with them, a multiple of ``PANEL``.
        spare: tokens that always fit at once.
        reach: tokens behind the front that stay when old ones are dropped.
        key_size: head size in whole groups.
        value_size: head size in whole panels.
    """

    front: int
    slots: int
    spare: int
    reach: int
    key_size: int
    value_size: int

    @classmethod
    def of(cls, config: LlamaConfig) -> "CacheShape":
        """Return the sizes for a model of this shape."""
        spare = round_up(min(max(config.window, MIN_SPARE), MAX_SPARE), PANEL)
        reach = config.window - 1 + MOST_REWOUND
        front = round_up(config.kept, PANEL)
        slots = front + round_up(reach + PANEL - 1, PANEL) + spare  # whole panels are moved
        return cls(front, slots, spare, reach, round_up(config.head_size, GROUP), round_up(config.head_size, PANEL))


def lane_bytes(config: LlamaConfig) -> int:
    """Return the memory that the keys and values of one lane take."""
    shape = CacheShape.of(config)
    scales = 2 * 2  # an int16 for each key and value
    return config.layers * config.key_heads * shape.slots * (shape.key_size + shape.value_size + scales)


class Matrix(NamedTuple):
    """A matrix of every layer, requantization included.

    Attributes:
        panels: int8 ``[layers, outputs / 16, inputs / 4, 16, 4]``, each group in ``WIDE_ORDER``; zeros where sizes are
            no multiples.
        multiplier: int32 ``[layers, outputs]``.
        bias: int32 ``[layers, outputs]``.
        shift: int64 ``[layers]``, before the product with a row's scale.
        scale_shift: int64 ``[layers]``, behind it.
    """

    panels: Int8
    multiplier: Int32
    bias: Int32
    shift: Int64
    scale_shift: Int64


class Shape(NamedTuple):
    """Sizes, as integers that compiled code can take.

    Attributes:
        groups: query heads for each key head.
        head_unit: least number of heads whose columns fill whole panels.
        head_norms: 1 if queries and keys are normalized.
        far: last position that queries of kept tokens are turned to.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_heads: int
    groups: int
    head_size: int
    head_unit: int
    head_norms: int
    feedforward: int
    window: int
    kept: int
    front: int
    far: int
    key_size: int
    value_size: int


class Attention(NamedTuple):
    """Constants of attention: tensors of the model under their names; those of norms are empty where it has none."""

    rotary_step: Int64
    cosine: Int32
    query_norm: Int64
    query_gain: Int32
    key_norm: Int64
    key_gain: Int32
    dot_shift: Int64
    score_multiplier: Int32
    score_shift: Int64
    attention_exponential: Int32


class Network(NamedTuple):
    """A whole model; its tensors under their names."""

    shape: Shape
    attention: Attention
    embedding: Int8
    embedding_multiplier: Int32
    embedding_shift: Int64
    attention_gain: Int32
    mixed_gain: Int32
    feedforward_gain: Int32
    final_gain: Int32
    epsilon: Int64
    levels: Int32
    final_levels: Int32
    sigmoid: Int32
    sigmoid_multiplier: Int32
    frequency_exponential: Int32
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    gate: Matrix
    up: Matrix
    down: Matrix
    head: Matrix


def pack_network(model: LlamaParameters) -> Network:
    """Return a checked model in the kernels' layout; the embedding is the model's own array."""
    parts: dict[str, Any] = {"shape": Shape(**_sizes(model.config))}
    parts["attention"] = Attention(*(_tensor(model, name) for name in Attention._fields))
    for name in LINEAR_LAYERS:
        parts[name] = _matrix(model, name, model[name])
    parts["head"] = _matrix(model, "head", model.head[None])
    for name in Network._fields:
        if name not in parts:
            parts[name] = _tensor(model, name)
    return Network(**parts)


def _matrix(model: LlamaParameters, name: str, weight: NDArray[Any]) -> Matrix:
    multiplier: NDArray[Any] = np.atleast_2d(model[f"{name}_multiplier"])
    bias = model.values.get(f"{name}_bias", np.zeros_like(multiplier))
    shifts = (_tensor(model, f"{name}_{which}") for which in ("shift", "scale_shift"))
    return Matrix(pack_panels(weight, WIDE_ORDER), pad_outputs(multiplier), pad_outputs(bias), *shifts)


def _sizes(config: LlamaConfig) -> dict[str, int]:
    cache = CacheShape.of(config)
    return {
        "vocabulary": config.vocabulary_size,
        "width": config.width,
        "layers": config.layers,
        "heads": config.heads,
        "key_heads": config.key_heads,
        "groups": config.heads // config.key_heads,
        "head_size": config.head_size,
        "head_unit": PANEL // math.gcd(PANEL, config.head_size),
        "head_norms": int(config.head_norms),
        "feedforward": config.feedforward,
        "window": config.window,
        "kept": config.kept,
        "front": cache.front,
        "far": config.window + config.kept - 1,
        "key_size": cache.key_size,
        "value_size": cache.value_size,
    }


_ABSENT = {
    "query_norm": (np.int64, 1),
    "key_norm": (np.int64, 1),
    "query_gain": (np.int32, 2),
    "key_gain": (np.int32, 2),
}
"""Type and dimensions of what only models with norms of heads have."""


def _tensor(model: LlamaParameters, name: str) -> NDArray[Any]:
    """Return a tensor as a contiguous, writable array, shifts as int64: kernels are compiled for that alone."""
    if name not in model.values:
        dtype, dimensions = _ABSENT[name]
        return np.zeros((0,) * dimensions, dtype=dtype)
    wanted = np.int64 if name.endswith("_shift") else None
    return np.require(model[name], wanted, requirements=["C", "A", "W"])
