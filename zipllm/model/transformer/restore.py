"""From the integer form back to a float model that predicts nearly the same, to fine-tune a model file.

Export drops what has no influence on the result: the length of an embedding row, the scale of queries and keys before
their norm, how a head shares its scale between values and output matrix, and the feed-forward between its two
matrices. These start as in a new model. Everything else is the integers times their scales.
"""

import math

import torch
from torch import Tensor

from zipllm.model.ranges import NORM_SHIFT, SQUARE_SHIFT
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Block, Transformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.scales import TABLE_STEPS

Tensors = dict[str, Tensor]

_STEPS_PER_NAT = TABLE_STEPS / math.log(2)


@torch.no_grad()
def restore(integer: TransformerParameters) -> Transformer:
    """Return a float model that predicts what ``integer`` predicts, up to the rounding of activations."""
    model = Transformer(integer.config)
    tensors = integer.tensors()
    residual = _restore_ends(model, tensors)
    for layer, block in enumerate(model.layers):
        _restore_scores(block, integer.config, tensors, layer)
        _restore_mixing(block, integer.config, tensors, layer, residual)
        _restore_feedforward(block, integer.config, tensors, layer, residual)
    return model


def _restore_ends(model: Transformer, tensors: Tensors) -> float:
    """Embedding and head; returns the integer units of the residual stream per float unit."""
    config = model.config
    rows = tensors["embedding"].double()
    length = rows.square().mean(-1).sqrt().clamp(min=1e-9)
    multiplier = _scale(tensors, "embedding", slice(None))
    final = _unit(tensors["final_norm"], config.width)
    head = _scale(tensors, "head", slice(None)) * final / _STEPS_PER_NAT
    if model.head is None:
        model.embedding.weight.copy_(rows * torch.cat((head, head.mean()[None]))[:, None])
    else:
        model.embedding.weight.copy_(rows / length[:, None])
        model.head.weight.copy_(tensors["head"].double() * head[:, None])
    return float((multiplier * length).median())


def _restore_scores(block: Block, config: TransformerConfig, tensors: Tensors, layer: int) -> None:
    """Queries and keys, whose own scale a norm removes, and how their products become scores."""
    attention = block.attention
    for name, matrix in (("query", attention.query), ("key", attention.key)):
        rows = tensors[name][layer].double() * _scale(tensors, name, layer)[:, None]
        matrix.weight.copy_(_as_new(rows.unflatten(0, (config.heads, -1)), (1, 2)).flatten(0, 1))
    units = [_unit(tensors[f"{name}_norm"][layer], config.head_size) for name in ("query", "key")]
    ratio = tensors["score_multiplier"][layer].double() * torch.exp2(-tensors["score_shift"][layer].double())
    attention.score_scale.copy_(ratio * units[0] * units[1] * config.head_size / _STEPS_PER_NAT)
    attention.position_bias.copy_(tensors["position_bias"][layer].double() / _STEPS_PER_NAT)


def _restore_mixing(block: Block, config: TransformerConfig, tensors: Tensors, layer: int, residual: float) -> None:
    """Values and output matrix; what one gains in scale the other loses."""
    attention = block.attention
    entry = _unit(tensors["attention_norm"][layer], config.width)
    rows = tensors["value"][layer].double() * _scale(tensors, "value", layer)[:, None] * entry
    heads = rows.unflatten(0, (config.heads, -1))
    unit = heads.square().mean((1, 2)).sqrt() * config.width**0.5
    attention.value.weight.copy_((heads / unit[:, None, None]).flatten(0, 1))
    mixed = tensors["mixing_scale"][layer].double() * 2.0**-NORM_SHIFT * unit
    folded = tensors["output"][layer].double() * _scale(tensors, "output", layer)[:, None] / residual
    attention.output.weight.copy_(folded * mixed.repeat_interleave(config.head_size))


def _restore_feedforward(
    block: Block, config: TransformerConfig, tensors: Tensors, layer: int, residual: float
) -> None:
    """The two matrices around the squared ReLU: a factor on the first is its square on what the second reads."""
    entry = _unit(tensors["feedforward_norm"][layer], config.width)
    up = tensors["up"][layer].double() * _scale(tensors, "up", layer)[:, None] * entry
    root = up.square().mean().sqrt() * config.width**0.5
    squared = root.square() * 2.0**-SQUARE_SHIFT
    down = tensors["down"][layer].double() * _scale(tensors, "down", layer)[:, None] / residual
    block.feedforward.up.weight.copy_(up / root)
    block.feedforward.down.weight.copy_(down * squared)


def _scale(tensors: Tensors, name: str, layer: int | slice) -> Tensor:
    """Multipliers as real numbers, float64 ``[rows]``; a slice stands for tensors without layers."""
    multiplier, shift = tensors[f"{name}_multiplier"], tensors[f"{name}_shift"]
    if isinstance(layer, int):
        multiplier, shift = multiplier[layer], shift[layer]
    scale: Tensor = multiplier.double() * torch.exp2(-shift.double())
    return scale


def _unit(norm: Tensor, size: int) -> Tensor:
    """Integer units per float unit of what a norm over ``size`` entries returns, float64."""
    unit: Tensor = norm.double() / (math.sqrt(size) * 2.0**NORM_SHIFT)
    return unit


def _as_new(weight: Tensor, dimensions: tuple[int, ...]) -> Tensor:
    """Scale to the spread a new model's matrices have: one over the root of the width."""
    spread = weight.square().mean(dimensions, keepdim=True).sqrt().clamp(min=1e-12)
    scaled: Tensor = weight / (spread * weight.shape[-1] ** 0.5)
    return scaled
