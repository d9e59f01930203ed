"""A model's tensors as the compiled kernels take them: packed matrices, tables, sizes.

Signed activations ``y`` enter a product as unsigned bytes ``y + 128``, because that is what the processor
multiplies; the sum of each column then starts at ``-128 * sum(weights)`` to make up for it.
Named tuples, since compiled code cannot take classes.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.kernels.cpu.layout import GROUP, PANEL, CacheShape, round_up
from zipllm.model.ranges import residual_limit
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

OFFSET = 128
"""Added to signed activations."""

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


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
    """Sizes, as integers that compiled code can take."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    head_size: int
    feedforward: int
    window: int
    key_size: int
    value_size: int
    limit: int


class Attention(NamedTuple):
    """What attention needs besides matrices; the tensors of the model under their names.

    ``position_bias`` is int32 ``[layers, heads, window]`` in order of time: the last entry is distance 0.
    """

    query_norm: Int64
    key_norm: Int64
    score_multiplier: Int32
    score_shift: Int64
    position_bias: Int32
    exponential: Int32
    mixing_scale: Int64


class Network(NamedTuple):
    """Everything of a model."""

    shape: Shape
    embedding: Int8
    embedding_multiplier: Int32
    embedding_shift: Int64
    attention_norm: Int64
    feedforward_norm: Int64
    final_norm: Int64
    attention: Attention
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    up: Matrix
    down: Matrix
    head: Matrix
    exponential: Int32


def pack_network(model: TransformerParameters) -> Network:
    """Return a checked model in the kernels' layout."""
    arrays: dict[str, NDArray[Any]] = dict(model.values)
    arrays["head"] = model.head[None]
    arrays["head_multiplier"] = arrays["head_multiplier"][None]

    def matrix(name: str, offset: int = OFFSET) -> Matrix:
        return pack_matrix(arrays[name], arrays[f"{name}_multiplier"], arrays[f"{name}_shift"], offset)

    return Network(
        shape=_shape(model.config),
        embedding=_plain(arrays["embedding"]),
        embedding_multiplier=_plain(arrays["embedding_multiplier"]),
        embedding_shift=arrays["embedding_shift"].astype(np.int64),
        attention_norm=_plain(arrays["attention_norm"]),
        feedforward_norm=_plain(arrays["feedforward_norm"]),
        final_norm=_plain(arrays["final_norm"]),
        attention=_attention(arrays),
        query=matrix("query"),
        key=matrix("key"),
        value=matrix("value"),
        output=matrix("output"),
        up=matrix("up"),
        down=matrix("down", offset=0),  # squares are not negative
        head=matrix("head"),
        exponential=_plain(arrays["frequency_exponential"]),
    )


def pack_matrix(weight: Int8, multiplier: Int32, shift: NDArray[np.integer[Any]], offset: int) -> Matrix:
    """Pack int8 ``[layers, outputs, inputs]`` for activations that come with ``offset`` added."""
    layers, outputs, inputs = weight.shape
    padded = np.zeros((layers, round_up(outputs, PANEL), round_up(inputs, GROUP)), dtype=np.int8)
    padded[:, :outputs, :inputs] = weight
    split = padded.reshape(layers, padded.shape[1] // PANEL, PANEL, padded.shape[2] // GROUP, GROUP)
    multipliers = np.zeros(padded.shape[:2], dtype=np.int32)
    multipliers[:, :outputs] = multiplier
    return Matrix(
        panels=np.ascontiguousarray(split.transpose(0, 1, 3, 2, 4)),
        initial=(-offset * padded.sum(-1, dtype=np.int64)).astype(np.int32),  # at most 2**7 * 2**16 * 127 < 2**31
        multiplier=multipliers,
        shift=shift.astype(np.int64),
    )


def _attention(arrays: dict[str, NDArray[Any]]) -> Attention:
    return Attention(
        query_norm=_plain(arrays["query_norm"]),
        key_norm=_plain(arrays["key_norm"]),
        score_multiplier=_plain(arrays["score_multiplier"]),
        score_shift=arrays["score_shift"].astype(np.int64),
        position_bias=_plain(arrays["position_bias"][..., ::-1]),
        exponential=_plain(arrays["attention_exponential"]),
        mixing_scale=_plain(arrays["mixing_scale"]),
    )


def _shape(config: TransformerConfig) -> Shape:
    cache = CacheShape.of(config)
    return Shape(
        vocabulary=config.vocabulary_size,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        head_size=config.head_size,
        feedforward=config.feedforward,
        window=config.window,
        key_size=cache.key_size,
        value_size=cache.value_size,
        limit=residual_limit(config.width),
    )


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return a contiguous array that may be written to: kernels are compiled for one kind of array only."""
    return np.require(array, requirements=["C", "A", "W", "O"])
