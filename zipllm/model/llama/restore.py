"""From the integer form back to a float model that predicts nearly the same, to fine-tune an imported model.

Units that cancel in the end (of the residual stream, keys, values, and the two halves of the gate) are lost in the
integers, so they start at values that real models have.
"""

import math

import torch
from torch import Tensor

from zipllm.model.llama.bounds import ENTRY
from zipllm.model.llama.config import BIASED, LlamaConfig
from zipllm.model.llama.float_form import Attention, Block, Llama
from zipllm.model.llama.parameters import (
    GAIN_SHIFT,
    GATE_MAX,
    GATED_SHIFT,
    HEAD_MAX,
    HEAD_SCALE_BITS,
    HEAD_UNIT,
    LENGTH_SHIFT,
    MIXED_BITS,
    PHASE_BITS,
    RAW_MAX,
    SIGMOID_INDEX_SHIFT,
    LlamaParameters,
)
from zipllm.model.llama.quantize import LOGIT, NORM_UNIT, SIGMOID_STEPS
from zipllm.model.ranges import INT8_MAX

EPSILON = 1e-5
"""Of the norms; it fixes the unit of the residual stream."""
LARGEST = 32.0
"""Largest key, value, raw query or gate that the units are chosen for."""

Tensors = dict[str, Tensor]


@torch.no_grad()
def restore(integer: LlamaParameters) -> Llama:
    """Return a float model that predicts what ``integer`` predicts, up to the rounding of activations."""
    model = Llama(integer.config)
    tensors = integer.tensors()
    residual = max(math.sqrt(int(tensors["epsilon"]) / (EPSILON * integer.config.width)), 1.0)
    model.frequencies.copy_(tensors["rotary_step"].double() * (2 * math.pi * 2.0**-PHASE_BITS))
    _restore_ends(model, tensors, residual)
    for layer, block in enumerate(model.layers):
        _restore_attention(block, integer.config, tensors, layer, residual)
        _restore_feedforward(block, tensors, layer, residual)
    return model


def _restore_ends(model: Llama, tensors: Tensors, residual: float) -> None:
    """Embedding, final norm and head."""
    lookup = tensors["embedding_multiplier"].double() * torch.exp2(-tensors["embedding_shift"].double()) / residual
    model.embedding.weight.copy_(tensors["embedding"].double() * lookup[:, None])
    gain = tensors["final_gain"].double() * 2.0**-GAIN_SHIFT
    shift = tensors["head_shift"].double() + tensors["head_scale_shift"].double()
    head = tensors["head_multiplier"].double() * torch.exp2(-shift) * int(tensors["final_levels"]) / LOGIT
    head = head / _root(model.config)
    if model.head is None:
        gain = gain * (head / lookup[: len(head)]).median()
    else:
        model.head.weight.copy_(tensors["head"].double() * head[:, None])
    model.norm.gain.copy_(gain)


def _restore_attention(block: Block, config: LlamaConfig, tensors: Tensors, layer: int, residual: float) -> None:
    """Norm, queries, keys, values and output matrix."""
    attention = block.attention
    block.attention_norm.gain.copy_(tensors["attention_gain"][layer].double() * 2.0**-GAIN_SHIFT)
    key = HEAD_MAX / LARGEST
    step = 2.0 ** (int(tensors["dot_shift"]) + HEAD_SCALE_BITS) * HEAD_UNIT / INT8_MAX / math.sqrt(config.head_size)
    ratio = tensors["score_multiplier"][layer].double() * torch.exp2(-tensors["score_shift"][layer].double())
    units = {"query": step * LOGIT / ratio.clamp(min=1e-12) / key, "key": torch.tensor([key]).double()}
    if config.head_norms:
        units = _restore_head_norms(attention, tensors, layer, units)
    units["value"] = torch.tensor([HEAD_MAX / LARGEST]).double()
    for name in BIASED:
        matrix = getattr(attention, name)
        unit = units[name].repeat_interleave(config.head_size if len(units[name]) > 1 else 1)
        matrix.weight.copy_(_weight(tensors, name, layer) / _root(config) / unit[:, None])
        if config.biases:
            matrix.bias.copy_(tensors[f"{name}_bias"][layer].double() / unit)
    mean = INT8_MAX / HEAD_UNIT * 2.0 ** (MIXED_BITS - HEAD_SCALE_BITS) * units["value"]
    gain = tensors["mixed_gain"][layer].double() * 2.0**-GAIN_SHIFT
    attention.output.weight.copy_(_weight(tensors, "output", layer) * gain * mean / residual)


def _restore_head_norms(attention: Attention, tensors: Tensors, layer: int, units: Tensors) -> Tensors:
    """Gains of the norms of heads; returns the units of what enters them."""
    for name, unit in units.items():
        gain = tensors[f"{name}_gain"][layer].double() * (NORM_UNIT * 2.0**-GAIN_SHIFT) / unit[0]
        getattr(attention, f"{name}_norm").gain.copy_(gain)
    return {name: torch.tensor([RAW_MAX / LARGEST]).double() for name in units}


def _restore_feedforward(block: Block, tensors: Tensors, layer: int, residual: float) -> None:
    """Norm and the three matrices of the gate."""
    feedforward = block.feedforward
    block.feedforward_norm.gain.copy_(tensors["feedforward_gain"][layer].double() * 2.0**-GAIN_SHIFT)
    gate = SIGMOID_STEPS * 2.0**SIGMOID_INDEX_SHIFT / max(1, int(tensors["sigmoid_multiplier"][layer]))
    up = GATE_MAX / LARGEST
    root = _root(feedforward.config)
    feedforward.gate.weight.copy_(_weight(tensors, "gate", layer) / (root * gate))
    feedforward.up.weight.copy_(_weight(tensors, "up", layer) / (root * up))
    feedforward.down.weight.copy_(_weight(tensors, "down", layer) * (gate * up * 2.0**-GATED_SHIFT / residual))


def _weight(tensors: Tensors, name: str, layer: int) -> Tensor:
    """Return a matrix as what it makes of integers before they are rounded, and of a scale: float64."""
    shift = tensors[f"{name}_shift"][layer].double() + tensors[f"{name}_scale_shift"][layer].double()
    ratio = tensors[f"{name}_multiplier"][layer].double() * torch.exp2(-shift)
    weight: Tensor = tensors[name][layer].double() * (ratio * int(tensors["levels"][layer, ENTRY[name]]))[:, None]
    return weight


def _root(config: LlamaConfig) -> float:
    """Scale of what a norm gives: its length over the root mean square, and the fraction bits of the scale."""
    return math.sqrt(config.width) * 2.0**-LENGTH_SHIFT
