"""Export: a trained float Transformer to integers.

Weights become int8 with one scale per row; activations int8 with one static scale per tensor or head, chosen for the
smallest squared error on real sequences. All scales end up in integer multipliers, shifts and tables.
"""

import math

import torch
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.model.ranges import INT8_MAX, INT16_MAX, NORM_SHIFT, SQUARE_SHIFT, TOTAL, residual_limit
from zipllm.model.transformer.bounds import MAX_ACCUMULATOR, MAX_BIAS, check_bounds
from zipllm.model.transformer.calibrate import Observations, observe
from zipllm.model.transformer.float_form import NORM_EPSILON, Transformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.scales import (
    TABLE_STEPS,
    Scaled,
    best_clip,
    exponential_table,
    fixed_point,
    quantize_rows,
    score_fixed_point,
)

MAX_ATTENTION_WEIGHT = 16_383
"""Largest entry of the attention table: 14 bits, so it is two 7-bit limbs or one int16."""
RESIDUAL_HEADROOM = 4.0
"""Room above the largest residual value in calibration."""
RAW_HEADROOM = 2.0
"""Room above the largest query or key before normalization."""
MIN_CLIP = 1e-3
"""Smallest clipping point: a layer that never fires in calibration must not get a huge scale."""
MIN_RAW = 0.1
"""Queries and keys far below this become 0; the epsilon of the float norm makes them nearly 0."""
MIN_UNIT_CLIP = 0.25
"""Smallest clipping point after a norm."""
LOG2_E = 1 / math.log(2)


def quantize(transformer: Transformer, calibration_tokens: Tensor, *, weight_bits: int = 8) -> TransformerParameters:
    """Export a float model; see `zipllm.model.architecture.Architecture`."""
    config = transformer.config
    try:
        config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    if not 2 <= weight_bits <= 8:
        raise ValueError(f"weight_bits must be from 2 to 8, not {weight_bits}")
    if not all(bool(torch.isfinite(p).all()) for p in transformer.parameters()):
        raise ModelInvalid("a weight of the float model is not finite")
    seen = observe(transformer, calibration_tokens)
    if not all(bool(torch.isfinite(largest).all()) for largest in seen.largest.values()):
        raise ModelInvalid("an activation of the float model is not finite")
    residual = residual_limit(config.width) / (RESIDUAL_HEADROOM * _largest(seen, "residual"))
    exporter = _Exporter(transformer, seen, residual, (1 << (weight_bits - 1)) - 1)
    blocks = [exporter.block(layer) for layer in range(config.layers)]
    tensors = {name: torch.stack([block[name] for block in blocks]) for name in blocks[0]}
    tensors |= exporter.ends()
    top = min(MAX_ATTENTION_WEIGHT, (MAX_ACCUMULATOR - 1) // (INT8_MAX * config.window))
    tensors["attention_exponential"] = exponential_table(top)
    tensors["frequency_exponential"] = exponential_table(TOTAL)
    model = TransformerParameters.from_tensors(config, tensors)
    check_bounds(model)
    return model


class _Exporter:
    """Turns parts of one float model into integer tensors.

    Args:
        transformer: the float model.
        seen: its activations.
        residual: integer units of the residual stream per float unit.
        levels: largest integer weight.
    """

    def __init__(self, transformer: Transformer, seen: Observations, residual: float, levels: int) -> None:
        self.transformer = transformer
        self.config = transformer.config
        self.seen = seen
        self.residual = residual
        self.levels = levels

    def ends(self) -> dict[str, Tensor]:
        """Tensors outside the blocks: embedding, final norm and head."""
        weight = self.transformer.embedding.weight.detach().double().cpu()
        length = (weight.square().mean(-1) + NORM_EPSILON).sqrt()
        power = self.seen.power["final", 0]
        final = self.unit_activation("final", 0)
        rows, scale = self.rows(weight, power if self.config.tied else torch.ones_like(power))
        tensors = {"embedding": rows, "final_norm": self.norm(final, self.config.width)}
        tensors |= fixed_point("embedding", scale / length * self.residual, one=True)
        if not self.config.tied:
            rows, scale = self.rows(self.transformer.output_weight(), power)
            tensors["head"] = rows
        scale = scale[: self.config.vocabulary_size]
        return tensors | fixed_point("head", scale / final * LOG2_E * TABLE_STEPS, one=True)

    def block(self, layer: int) -> dict[str, Tensor]:
        """Tensors of one block, without the layer dimension."""
        return self.attention(layer) | self.mixing(layer) | self.feedforward(layer)

    def attention(self, layer: int) -> dict[str, Tensor]:
        """Input norm, queries, keys and scores."""
        attention = self.transformer.layers[layer].attention
        power = self.seen.power["attention_input", layer]
        entry = self.unit_activation("attention_input", layer)
        sign = torch.where(attention.score_scale < 0, -1.0, 1.0).double().cpu()  # multipliers are not negative
        tensors = {"attention_norm": self.norm(entry, self.config.width)[0]}
        units: dict[str, Tensor] = {}
        for name, weight in (("query", attention.query.weight), ("key", attention.key.weight)):
            turned = weight.detach().double().cpu()
            if name == "query":
                turned = turned * self.per_row(sign)[:, None]
            tensors[name], scale = self.rows(turned, power)
            raw = INT16_MAX / (RAW_HEADROOM * self.seen.largest[f"{name}_raw", layer]).clamp(min=MIN_RAW)
            tensors |= fixed_point(name, scale / entry * self.per_row(raw))
            units[name] = self.unit_activation(name, layer)
            tensors[f"{name}_norm"] = self.norm(units[name], self.config.head_size)
        ratio = attention.score_scale.detach().double().cpu().abs() / self.config.head_size
        ratio = ratio * LOG2_E * TABLE_STEPS / (units["query"] * units["key"])
        pairs = [
            score_fixed_point(float(r), int(q), int(k), self.config.head_size)
            for r, q, k in zip(ratio, tensors["query_norm"], tensors["key_norm"], strict=True)
        ]
        tensors["score_multiplier"] = torch.tensor([m for m, _ in pairs], dtype=torch.int32)
        tensors["score_shift"] = torch.tensor([s for _, s in pairs], dtype=torch.int32)
        bias = attention.position_bias.detach().double().cpu() * LOG2_E * TABLE_STEPS
        tensors["position_bias"] = bias.round().clamp(-MAX_BIAS, MAX_BIAS).to(torch.int32)
        return tensors

    def mixing(self, layer: int) -> dict[str, Tensor]:
        """Values, their weighted mean and the output matrix; every head has scales of its own."""
        attention = self.transformer.layers[layer].attention
        entry = self.unit_activation("attention_input", layer)
        value, mixed = self.activation("value", layer), self.activation("mixed", layer)
        rows, scale = self.rows(attention.value.weight, self.seen.power["attention_input", layer])
        tensors = {"value": rows} | fixed_point("value", scale / entry * self.per_row(value))
        tensors["mixing_scale"] = (mixed / value * 2.0**NORM_SHIFT).round().long()
        columns = self.per_row(mixed)
        folded = attention.output.weight.detach().double().cpu() / columns
        tensors["output"], scale = self.rows(folded, self.seen.power["mixed", layer] * columns.square())
        return tensors | fixed_point("output", scale * self.residual)

    def feedforward(self, layer: int) -> dict[str, Tensor]:
        """The two matrices around the squared ReLU."""
        feedforward = self.transformer.layers[layer].feedforward
        entry = self.unit_activation("feedforward_input", layer)
        squared = self.activation("squared", layer)
        up, up_scale = self.rows(feedforward.up.weight, self.seen.power["feedforward_input", layer])
        down, down_scale = self.rows(feedforward.down.weight, self.seen.power["squared", layer])
        tensors = {"feedforward_norm": self.norm(entry, self.config.width)[0], "up": up, "down": down}
        tensors |= fixed_point("up", up_scale / entry * (squared * 2.0**SQUARE_SHIFT).sqrt())
        return tensors | fixed_point("down", down_scale / squared * self.residual)

    def activation(self, name: str, layer: int) -> Tensor:
        """Integer units per float unit of an activation, float64 ``[groups]``."""
        return INT8_MAX / best_clip(self.seen.samples[name, layer], INT8_MAX).clamp(min=MIN_CLIP)

    def unit_activation(self, name: str, layer: int) -> Tensor:
        """The same for the result of a norm, whose entries are near 1 unless there was nothing to normalize."""
        return self.activation(name, layer).clamp(max=INT8_MAX / MIN_UNIT_CLIP)

    def norm(self, unit: Tensor, size: int) -> Tensor:
        """Constant of a norm over ``size`` entries whose result has ``unit`` integer units per float unit."""
        return (unit * math.sqrt(size) * 2.0**NORM_SHIFT).round().long()

    def per_row(self, per_head: Tensor) -> Tensor:
        """Repeat a value per head for each of its rows: ``[width]``."""
        return per_head.repeat_interleave(self.config.head_size)

    def rows(self, weight: Tensor, power: Tensor) -> Scaled:
        """Quantize every row with the scale of least error on inputs of this mean square."""
        return quantize_rows(weight.detach().double().cpu(), power, self.levels)


def _largest(seen: Observations, name: str) -> float:
    return max(float(values.max()) for (site, _), values in seen.largest.items() if site == name)
