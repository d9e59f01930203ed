"""Export: a float Llama to integers.

Weights become int8 with a scale per row; activations keep 15 bits with a scale per token. What is left to choose is how
columns share the work: what a column of weights gains in size its activations lose (activation-aware quantization, Lin
et al. 2023, arXiv:2306.00978). Fixed-point units follow from the largest values in calibration.
"""

import math

import torch
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.model.llama.bounds import (
    ENTRY,
    MAX_EPSILON,
    MAX_SUM,
    SCORE_MULTIPLIERS,
    SCORE_SHIFTS,
    SHIFTS,
    check_bounds,
    dot_shift,
)
from zipllm.model.llama.calibrate import Observations, observe
from zipllm.model.llama.config import BIASED
from zipllm.model.llama.float_form import Llama, Norm
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
    RESULT_MAX,
    ROTARY_SHIFT,
    SIGMOID_INDEX_SHIFT,
    SIGMOID_SHIFT,
    LlamaParameters,
)
from zipllm.model.ranges import INT8_MAX, TOTAL, WIDE_MAX
from zipllm.model.transformer.scales import TABLE_STEPS, exponential_table, fixed_point, quantize_rows

HEADROOM = 4.0
"""Room above the largest value in calibration, for the residual stream and gates."""
HEAD_HEADROOM = 2.0
"""The same for queries, keys and values."""
SHARES = ((0.0, 0.0), *((activations, weights) for activations in (0.1, 0.2, 0.3) for weights in (0.5, 0.75)))
"""Exponents tried for columns: of the activations' size, and of the weights'."""
TRIED_ROWS = 256
"""Rows of a matrix on which they are tried."""
SHRINKS = 9
"""Scales tried for each row."""
MAX_ATTENTION_WEIGHT = 16_383
NORM_UNIT = 1 << 16
"""Integer units of what a norm of heads gives for 1."""
SIGMOID_STEPS = 1_024
"""Entries of the logistic function's table for 1."""
SIGMOID_REACH = 12
COSINES = 1 << 14
LOGIT = TABLE_STEPS / math.log(2)
"""Steps of the tables for a natural logarithm of 1."""
_LEAST = 1e-6

Tensors = dict[str, Tensor]


def quantize(network: Llama, calibration_tokens: Tensor, *, weight_bits: int = 8) -> LlamaParameters:
    """Export a float model; see `zipllm.model.architecture.Architecture`."""
    config = network.config
    try:
        config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    if not 2 <= weight_bits <= 8:
        raise ValueError(f"weight_bits must be from 2 to 8, not {weight_bits}")
    if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
        raise ModelInvalid("a weight of the float model is not finite")
    seen = observe(network, calibration_tokens)
    if not all(bool(torch.isfinite(largest).all()) for largest in seen.largest.values()):
        raise ModelInvalid("an activation of the float model is not finite")
    exporter = _Exporter(network, seen, (1 << (weight_bits - 1)) - 1)
    blocks = [exporter.block(layer) for layer in range(config.layers)]
    tensors = {name: torch.stack([block[name] for block in blocks]) for name in blocks[0]}
    model = LlamaParameters.from_tensors(config, tensors | exporter.ends() | exporter.tables())
    check_bounds(model)
    return model


class _Exporter:
    """Turns parts of one float model into integer tensors.

    Args:
        network: the float model.
        seen: its activations.
        largest: largest integer weight.
    """

    def __init__(self, network: Llama, seen: Observations, largest: int) -> None:
        self.network = network
        self.config = network.config
        self.seen = seen
        self.largest = largest
        top = max(float(values.max()) for (name, _), values in seen.largest.items() if name == "residual")
        self.residual = RESULT_MAX / (HEADROOM * max(top, _LEAST))

    def block(self, layer: int) -> Tensors:
        """Tensors of one block, without the layer dimension."""
        block = self.network.layers[layer]
        attention, feedforward = block.attention, block.feedforward
        units = self.head_units(layer)
        tensors = self.scores(layer, units)
        levels = torch.full((4,), WIDE_MAX, dtype=torch.int32)
        names = ("query", "key", "value")
        rows = {name: self.per_row(units[f"{name}_raw"]) for name in names}
        weights = {name: _float(getattr(attention, name).weight) for name in names}
        tensors |= self.behind_norm(block.attention_norm, "attention", layer, weights, rows, levels)
        if self.config.biases:
            for name in BIASED:
                bias = (_float(getattr(attention, name).bias) * rows[name]).round().clamp(-RESULT_MAX, RESULT_MAX)
                tensors[f"{name}_bias"] = bias.to(torch.int32)
        tensors |= self.mixing(layer, units["value"], levels)
        gate = GATE_MAX / (HEADROOM * self.largest_of("gate", layer).max())
        share = self.shares("gated", layer, [_float(feedforward.down.weight)])
        up = GATE_MAX / (HEADROOM * (self.largest_of("up", layer) / share).max())
        rows = {"gate": gate.expand(self.config.feedforward), "up": up / share}
        weights = {name: _float(getattr(feedforward, name).weight) for name in ("gate", "up")}
        tensors |= self.behind_norm(block.feedforward_norm, "feedforward", layer, weights, rows, levels)
        folded = {"down": _float(feedforward.down.weight) * share}
        ratio = {"down": self.residual * 2.0**GATED_SHIFT / (gate * up)}
        tensors |= self.linear(folded, self.seen.power(("gated", layer)) / share.square(), ratio, levels)
        step = SIGMOID_STEPS / gate * 2.0**SIGMOID_INDEX_SHIFT
        tensors["sigmoid_multiplier"] = step.round().clamp(max=RESULT_MAX).to(torch.int32)
        return tensors | {"levels": levels}

    def ends(self) -> Tensors:
        """Tensors outside the blocks: embedding, final norm and head."""
        weight = _float(self.network.embedding.weight)
        power = self.seen.power(("final", 0))
        gain, largest = self.gain(self.network.norm, torch.ones(self.config.width, dtype=torch.float64))
        rows, scale = self.rows(weight, power if self.config.tied else torch.ones_like(power))
        levels = torch.full((1,), WIDE_MAX, dtype=torch.int32)
        tensors = {"embedding": rows, "final_gain": gain, "final_levels": levels}
        tensors |= fixed_point("embedding", scale * self.residual, one=True)
        if self.config.tied:
            matrix, scale = rows[: self.config.vocabulary_size], scale[: self.config.vocabulary_size]
        else:
            matrix, scale = self.rows(_float(self.network.output_weight()), power)
            tensors["head"] = matrix
        levels[0] = _levels(matrix)
        ratio = scale * largest * math.sqrt(self.config.width) * 2.0**-LENGTH_SHIFT / int(levels[0]) * LOGIT
        fixed = _fixed_point("head", matrix, ratio, int(levels[0]))
        tensors |= {name: value[None] if value.dim() == 0 else value for name, value in fixed.items()}
        epsilon = self.config.width * float(self.network.norm.epsilon) * self.residual**2
        tensors["epsilon"] = torch.tensor([min(round(epsilon), MAX_EPSILON)])
        return tensors

    def tables(self) -> Tensors:
        """Tables, and what depends on the shape alone."""
        steps = torch.arange(COSINES, dtype=torch.float64) * (2 * math.pi / COSINES)
        phases = self.network.frequencies.double().cpu() / (2 * math.pi) * 2.0**PHASE_BITS
        reach = torch.arange(-SIGMOID_REACH * SIGMOID_STEPS, SIGMOID_REACH * SIGMOID_STEPS + 1, dtype=torch.float64)
        seen = self.config.window + self.config.kept
        return {
            "cosine": (steps.cos() * 2.0**ROTARY_SHIFT).round().to(torch.int32),
            "rotary_step": phases.round().long() % (1 << PHASE_BITS),
            "dot_shift": torch.tensor([dot_shift(self.config.head_size)], dtype=torch.int32),
            "sigmoid": (torch.sigmoid(reach / SIGMOID_STEPS) * 2.0**SIGMOID_SHIFT).round().to(torch.int32),
            "attention_exponential": exponential_table(min(MAX_ATTENTION_WEIGHT, (MAX_SUM - 1) // (INT8_MAX * seen))),
            "frequency_exponential": exponential_table(TOTAL),
        }

    def head_units(self, layer: int) -> Tensors:
        """Integer units per float unit of each head: of queries, keys and values, and as their matrices give them."""
        config, units = self.config, {}
        tops = {"query": WIDE_MAX, "key": HEAD_MAX, "value": HEAD_MAX}
        for name, top in tops.items():
            heads = config.heads if name == "query" else config.key_heads
            largest = self.largest_of(name, layer).view(heads, -1).amax(-1)
            if config.head_norms and name != "value":  # one gain for all heads
                largest = largest.max().expand(heads)
            units[name] = units[f"{name}_raw"] = top / (HEAD_HEADROOM * largest)
            if config.head_norms and name != "value":
                raw = self.largest_of(f"{name}_raw", layer).view(heads, -1).amax(-1)
                units[f"{name}_raw"] = RAW_MAX / (HEADROOM * raw)
        return units

    def scores(self, layer: int, units: Tensors) -> Tensors:
        """Norms of heads, and how products of queries and keys become scores."""
        config, tensors = self.config, {}
        attention = self.network.layers[layer].attention
        if config.head_norms:
            for name in ("query", "key"):
                gain = _float(getattr(attention, f"{name}_norm").gain) * units[name][0] / NORM_UNIT * 2.0**GAIN_SHIFT
                bound = 1 << GAIN_SHIFT
                tensors[f"{name}_gain"] = gain.round().clamp(-bound, bound).to(torch.int32)
                tensors[f"{name}_norm"] = torch.tensor(round(math.sqrt(config.head_size) * NORM_UNIT * 2.0**40))
        key = units["key"].repeat_interleave(config.heads // config.key_heads)
        step = 2.0 ** (dot_shift(config.head_size) + HEAD_SCALE_BITS) * HEAD_UNIT / INT8_MAX
        ratio = step / (units["query"] * key) / math.sqrt(config.head_size) * LOGIT
        pairs = [_score_fixed_point(float(each)) for each in ratio]
        tensors["score_multiplier"] = torch.tensor([multiplier for multiplier, _ in pairs], dtype=torch.int32)
        tensors["score_shift"] = torch.tensor([shift for _, shift in pairs], dtype=torch.int32)
        return tensors

    def mixing(self, layer: int, value: Tensor, levels: Tensor) -> Tensors:
        """The output matrix and the gains in front of it, which make the units of all heads one."""
        weight = _float(self.network.layers[layer].attention.output.weight)
        share = self.shares("mixed", layer, [weight])
        unit = value.repeat_interleave(self.config.heads // self.config.key_heads)
        column = 1 / (self.per_row(unit) * share)
        top = column.max()
        mean = INT8_MAX / HEAD_UNIT * 2.0 ** (MIXED_BITS - HEAD_SCALE_BITS)
        tensors = {"mixed_gain": (column / top * 2.0**GAIN_SHIFT).round().to(torch.int32)}
        power = self.seen.power(("mixed", layer)) / share.square()
        return tensors | self.linear({"output": weight * share}, power, {"output": self.residual * top / mean}, levels)

    def behind_norm(
        self, norm: Norm, place: str, layer: int, weights: Tensors, rows: Tensors, levels: Tensor
    ) -> Tensors:
        """Matrices behind a norm, whose gain they share; ``rows`` are the units of their results."""
        share = self.shares(place, layer, list(weights.values()))
        gain, largest = self.gain(norm, share)
        power = self.seen.power((place, layer)) / share.square()
        factor = largest * math.sqrt(self.config.width) * 2.0**-LENGTH_SHIFT
        folded = {name: weight * share for name, weight in weights.items()}
        ratios = {name: factor * units for name, units in rows.items()}
        return {f"{place}_gain": gain} | self.linear(folded, power, ratios, levels)

    def linear(self, weights: Tensors, power: Tensor, ratios: Tensors, levels: Tensor) -> Tensors:
        """Quantize matrices with the same input; ``ratios`` are units of their results per unit of the input."""
        quantized = {name: self.rows(weight, power) for name, weight in weights.items()}
        most = min(_levels(rows) for rows, _ in quantized.values())
        levels[ENTRY[next(iter(weights))]] = most
        tensors = {name: rows for name, (rows, _) in quantized.items()}
        for name, (rows, scale) in quantized.items():
            tensors |= _fixed_point(name, rows, scale * ratios[name] / most, most)
        return tensors

    def shares(self, place: str, layer: int, weights: list[Tensor]) -> Tensor:
        """Return what the weights of each column are multiplied by: the candidate of least rounding error."""
        power = self.seen.power((place, layer)).clamp(min=_LEAST**2)
        tried = [weight[:: max(1, len(weight) // TRIED_ROWS)] for weight in weights]
        size = torch.stack([weight.square().mean(0) for weight in weights]).mean(0).clamp(min=_LEAST**2)
        best, least = torch.ones_like(power), math.inf
        for by_activations, by_weights in SHARES:
            share = power ** (by_activations / 2) * size ** (-by_weights / 2)
            share = share / share.log().mean().exp()
            error = sum(_rounding_error(weight, share, power, self.largest) for weight in tried)
            if error < least:
                best, least = share, error
        return best

    def gain(self, norm: Norm, share: Tensor) -> tuple[Tensor, float]:
        """Return a norm's gain over the columns' shares, integers that stand for at most 1, and what 1 stands for."""
        column = _float(norm.gain) / share
        largest = max(float(column.abs().max()), _LEAST)
        return (column / largest * 2.0**GAIN_SHIFT).round().to(torch.int32), largest

    def largest_of(self, name: str, layer: int) -> Tensor:
        return self.seen.largest[name, layer].clamp(min=1e-3)

    def per_row(self, per_head: Tensor) -> Tensor:
        """Repeat a value per head for each of its rows."""
        return per_head.repeat_interleave(self.config.head_size)

    def rows(self, weight: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
        """Quantize every row with the scale of least error on inputs of this mean square."""
        rows, scale = quantize_rows(weight.float(), power.float(), self.largest, SHRINKS)
        return rows, scale.double()


def _float(parameter: Tensor) -> Tensor:
    return parameter.detach().double().cpu()


def _levels(rows: Tensor) -> int:
    """Return the largest activation whose sums with these weights stay below ``2**31``."""
    return min(WIDE_MAX, (MAX_SUM - 1) // max(1, int(rows.long().abs().sum(-1).max())))


def _rounding_error(weight: Tensor, share: Tensor, power: Tensor, levels: int) -> float:
    """Return the summed squared error of what a matrix gives, its rows rounded after columns are multiplied."""
    shared = (weight * share).float()
    scale = shared.abs().amax(-1, keepdim=True).clamp(min=1e-12) / levels
    wrong = ((shared / scale).round() * scale - shared).square()
    return float((wrong @ (power / share.square()).float()).double().sum())


def _fixed_point(name: str, rows: Tensor, ratios: Tensor, levels: int) -> Tensors:
    """Write ratios as int32 multipliers over two powers of two: before and behind the product with a scale.

    The first keeps as many bits as fit 30.
    """
    top = float(ratios.max())
    if not math.isfinite(top) or top <= 0:
        raise ModelInvalid(f"the scale of {name} is not a number above 0")
    both = 30 - math.frexp(top)[1]
    multiplier = (ratios * 2.0**both).round().long()
    largest = int((rows.long().abs().sum(-1) * levels * multiplier).max())
    first = min(max(largest.bit_length() - 30 + 1, SHIFTS[0]), SHIFTS[1])
    behind = both - first
    if not SHIFTS[0] <= behind <= SHIFTS[1]:
        raise ModelInvalid(f"the scale of {name} is out of the range of the integer form")
    return {
        f"{name}_multiplier": multiplier.to(torch.int32),
        f"{name}_shift": torch.tensor(first, dtype=torch.int32),
        f"{name}_scale_shift": torch.tensor(behind, dtype=torch.int32),
    }


def _score_fixed_point(ratio: float) -> tuple[int, int]:
    """Write a ratio as multiplier and shift, as finely as their bounds allow."""
    for shift in range(SCORE_SHIFTS[1], SCORE_SHIFTS[0] - 1, -1):
        multiplier = round(ratio * 2.0**shift)
        if multiplier <= SCORE_MULTIPLIERS[1]:
            return multiplier, shift
    raise ModelInvalid("attention scores are too large for the integer form")
