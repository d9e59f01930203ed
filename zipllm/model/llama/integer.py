"""The integer Llama: the exact reference that every faster form must equal bit for bit.

Activations are rounded token by token: to 15 bits, with a scale of their own from their exact maximum. Everything is
done in integers whose bounds `bounds.check_bounds` proves, so a pass over many tokens, single steps, any chunking, any
subset of lanes and any device give the same bits (see `zipllm.model.arithmetic`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from zipllm.model import frequencies as frequency
from zipllm.model.arithmetic import exact_matmul, requantize, round_shift, saturate, wide_matmul
from zipllm.model.config import MOST_REWOUND
from zipllm.model.llama.config import LlamaConfig
from zipllm.model.llama.parameters import (
    ATTENTION,
    FACTOR_SHIFT,
    FEEDFORWARD,
    GAIN_SHIFT,
    GATE_MAX,
    GATED,
    GATED_SHIFT,
    HEAD_MAX,
    HEAD_SCALE_BITS,
    HEAD_UNIT,
    LENGTH_SHIFT,
    MIXED,
    MIXED_BITS,
    MIXED_SHIFT,
    PHASE_BITS,
    RAW_MAX,
    RESULT_MAX,
    ROTARY_SHIFT,
    SIGMOID_INDEX_SHIFT,
    SIGMOID_SHIFT,
    LlamaParameters,
)
from zipllm.model.ranges import INT8_MAX, WIDE_MAX

CHUNK_ELEMENTS = 1 << 22
"""Largest temporary of a pass, in elements."""


class Rounded(NamedTuple):
    """Activations of 15 bits, and what a token's own are multiplied by.

    Attributes:
        values: int64 ``[n, time, inputs]``, up to the levels of their place.
        scale: int64 ``[n, time, 1]``, below ``2**31``.
    """

    values: Tensor
    scale: Tensor


class Turn(NamedTuple):
    """How far positions turn the pairs of a head: int64 ``[n, time, 1, head_size / 2]``, ``2**ROTARY_SHIFT`` for 1."""

    cosine: Tensor
    sine: Tensor


@dataclass
class State:
    """What a batch of lanes remembers; make one with `IntegerLlama.start`.

    Slots 0 to ``kept - 1`` hold the first tokens of a lane, the others are a ring. Slots grow with the longest lane.

    Attributes:
        keys: int8 ``[layers, lanes, slots, key_heads, head_size]``.
        key_scales: int16 ``[layers, lanes, slots, key_heads]``.
        values: int8, as ``keys``.
        value_scales: int16, as ``key_scales``.
        positions: int64 ``[lanes]``, tokens that each lane has been fed.
    """

    keys: Tensor
    key_scales: Tensor
    values: Tensor
    value_scales: Tensor
    positions: Tensor


RINGS = ("keys", "key_scales", "values", "value_scales")
"""The members of a state that have slots."""


class IntegerLlama:
    """Runs a model that has passed `bounds.check_bounds`, on any torch device."""

    def __init__(self, model: LlamaParameters, device: torch.device | str = "cpu") -> None:
        self.config: LlamaConfig = model.config
        self.device = torch.device(device)
        self._tensors = {name: tensor.to(self.device) for name, tensor in model.tensors().items()}
        self._tensors["head"] = torch.from_numpy(model.head).to(self.device)
        self._shifts = {n: t.tolist() for n, t in model.tensors().items() if n.endswith("_shift")}
        self._levels: list[list[int]] = model.values["levels"].tolist()

    def start(self, lanes: int) -> State:
        """Return the state of ``lanes`` streams that have been fed nothing."""
        config = self.config
        shape = (config.layers, lanes, config.kept, config.key_heads)
        bytes_ = torch.zeros((*shape, config.head_size), dtype=torch.int8, device=self.device)
        scales = torch.zeros(shape, dtype=torch.int16, device=self.device)
        positions = torch.zeros(lanes, dtype=torch.int64, device=self.device)
        return State(bytes_, scales, bytes_.clone(), scales.clone(), positions)

    def copy(self, state: State, lanes: int) -> State:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""
        rings = (getattr(state, name)[:, :1].repeat_interleave(lanes, 1) for name in RINGS)
        keys, key_scales, values, value_scales = rings
        return State(keys, key_scales, values, value_scales, state.positions[:1].repeat_interleave(lanes))

    def rewind(self, state: State, lanes: NDArray[np.int32], tokens: int) -> None:
        """Take back the last ``tokens`` tokens of lanes ``[n]``, at most ``MOST_REWOUND``, all of one call."""
        state.positions[torch.from_numpy(lanes).to(self.device).long()] -= tokens

    @torch.no_grad()
    def predict(self, state: State, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Feed int32 ``[n, time]`` to lanes ``[n]``; cumulative frequencies int32 ``[n, time, V + 1]``."""
        ids = torch.from_numpy(np.ascontiguousarray(tokens)).to(self.device).long()
        chosen = torch.from_numpy(lanes).to(self.device).long()
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) <= self.config.start_token:
            raise ValueError(f"token ids must be from 0 to {self.config.start_token}")
        result = np.empty((*tokens.shape, self.config.vocabulary_size + 1), dtype=np.int32)
        begin = 0
        for piece in self._chunks(ids):
            x = self._forward(state, piece, chosen)
            result[:, begin : begin + piece.shape[1]] = self._cumulative(x).cpu().numpy()
            begin += piece.shape[1]
        return result

    def _chunks(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Cut ``[n, time]`` along time so that no temporary is larger than about the budget."""
        config = self.config
        per_token = max(2 * config.heads * (config.window + config.kept), config.vocabulary_size) * max(1, len(tokens))
        length = max(1, min(config.window, CHUNK_ELEMENTS // per_token))
        return torch.split(tokens, length, dim=1) if tokens.numel() else ()

    def _forward(self, state: State, tokens: Tensor, lanes: Tensor) -> Tensor:
        """Return the residual stream behind the last layer, int64 ``[n, time, width]``."""
        time = tokens.shape[1]
        self._make_room(state, int(state.positions[lanes].max()) + time)
        positions = state.positions[lanes][:, None] + torch.arange(time, device=self.device)
        x = self._embed(tokens)
        for layer in range(self.config.layers):
            x = self._add(x, self._attention(state, self._norm(x, "attention", layer), lanes, positions, layer))
            x = self._add(x, self._feedforward(self._norm(x, "feedforward", layer), layer))
        state.positions[lanes] += time
        return x

    def _cumulative(self, x: Tensor) -> Tensor:
        """Return cumulative frequencies int32 ``[n, time, vocabulary_size + 1]``; logits are in steps of the table."""
        gain, levels = self._tensors["final_gain"], int(self._tensors["final_levels"])
        logits = self._linear("head", self._unit_length(x, gain, levels), 0)
        return frequency.cumulate(frequency.frequencies(logits, self._tensors["frequency_exponential"]))

    def _embed(self, tokens: Tensor) -> Tensor:
        """Begin the residual stream int64 ``[n, time, width]``."""
        row = self._tensors["embedding"][tokens].long()
        multiplier = self._tensors["embedding_multiplier"][tokens].long()[..., None]
        return saturate(round_shift(row * multiplier, self._shifts["embedding_shift"][0]), RESULT_MAX)

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        return saturate(x + change, RESULT_MAX)

    def _norm(self, x: Tensor, name: str, layer: int) -> Rounded:
        place = {"attention": ATTENTION, "feedforward": FEEDFORWARD}[name]
        return self._unit_length(x, self._tensors[f"{name}_gain"][layer], self._levels[layer][place])

    def _unit_length(self, x: Tensor, gain: Tensor, levels: int) -> Rounded:
        """RMS norm (Zhang & Sennrich 2019) with a gain: activations whose scale has the length divided out."""
        length = vector_length(x, int(self._tensors["epsilon"]))
        rounded = round_to_maximum(round_shift(x * gain.long(), GAIN_SHIFT), levels)
        return Rounded(rounded.values, (rounded.scale << LENGTH_SHIFT) // length)

    def _linear(self, name: str, x: Rounded, layer: int) -> Tensor:
        """Multiply by a matrix and the tokens' scales, and add a bias: int64 ``[n, time, rows]``, saturated."""
        weight, multiplier = self._tensors[name], self._tensors[f"{name}_multiplier"]
        if name != "head":
            weight, multiplier = weight[layer], multiplier[layer]
        accumulator = wide_matmul(x.values.flatten(0, 1), weight)
        product = requantize(accumulator, multiplier, self._shifts[f"{name}_shift"][layer])
        scaled = product.view(*x.values.shape[:2], -1) * x.scale
        result = round_shift(scaled, self._shifts[f"{name}_scale_shift"][layer])
        bias = self._tensors.get(f"{name}_bias")
        return saturate(result if bias is None else result + bias[layer], RESULT_MAX)

    def _attention(self, state: State, x: Rounded, lanes: Tensor, positions: Tensor, layer: int) -> Tensor:
        """Attend to the kept tokens and the window; returns the change of the residual stream ``[n, time, width]``."""
        config = self.config
        near = self._turn(positions)
        far = self._turn(positions.clamp(max=config.window + config.kept - 1))
        raw = self._heads("query", x, layer)
        queries = [saturate(rotate(raw, turn), WIDE_MAX) for turn in (far, near)]
        key = round_heads(rotate(self._heads("key", x, layer), near))
        value = round_heads(self._split(self._linear("value", x, layer)))
        first, recent = self._remember(state, lanes, layer, (*key, *value))
        seen, ago = first[0].shape[1], recent[0].shape[1] - positions.shape[1]
        columns = positions[:, :1] + torch.arange(-ago, positions.shape[1], device=self.device)
        visible = torch.cat((self._kept_visible(positions, seen), self._recent_visible(positions, columns)), -1)
        pairs = zip(queries, (first, recent), strict=True)
        scores = torch.cat([self._scores(query, seen[0], seen[1], layer) for query, seen in pairs], -1)
        weights = self._weights(scores, visible[:, None])
        return self._mix(weights, torch.cat((first[2], recent[2]), 1), torch.cat((first[3], recent[3]), 1), layer)

    def _heads(self, name: str, x: Rounded, layer: int) -> Tensor:
        """Return queries or keys, normalized if the model does it, not yet turned: ``[n, time, heads, size]``."""
        heads = self._split(self._linear(name, x, layer))
        if not self.config.head_norms:
            return heads
        heads = saturate(heads, RAW_MAX)
        factor = self._tensors[f"{name}_norm"][layer] // vector_length(heads, 0)
        unit = round_shift(heads * factor, FACTOR_SHIFT)
        return round_shift(unit * self._tensors[f"{name}_gain"][layer].long(), GAIN_SHIFT)

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (-1, self.config.head_size))
        return split

    def _turn(self, positions: Tensor) -> Turn:
        """Return the turn at each position: its phase rounded to the table's steps."""
        table = self._tensors["cosine"].long()
        bits = PHASE_BITS - (table.numel().bit_length() - 1)
        phase = (positions[..., None, None] * self._tensors["rotary_step"]) & ((1 << PHASE_BITS) - 1)
        index = round_shift(phase, bits)
        mask = table.numel() - 1
        return Turn(table[index & mask], table[(index - table.numel() // 4) & mask])

    def _remember(self, state: State, lanes: Tensor, layer: int, new: tuple[Tensor, ...]) -> tuple[list[Tensor], ...]:
        """Store new keys and values; return the kept ones, and the new ones behind the ``reach`` before them."""
        position, time = state.positions[lanes][:, None], new[0].shape[1]
        steps = torch.arange(time, device=self.device)
        reach = min(self.config.window - 1, int(position.max()))
        past = self._slots(state, position + torch.arange(-reach, 0, device=self.device))
        there = self._slots(state, position + steps)
        first, recent = [], []
        for name, part in zip(RINGS, new, strict=True):
            ring = getattr(state, name)[layer]
            part = part.to(ring.dtype)
            recent.append(torch.cat((ring[lanes[:, None], past], part), 1))
            ring[lanes[:, None], there] = part
            first.append(ring[lanes, : self.config.kept])
        return first, recent

    def _slots(self, state: State, positions: Tensor) -> Tensor:
        """Return the slots of positions; those before the first token get any slot that exists."""
        kept = self.config.kept
        ring = max(1, state.keys.shape[2] - kept)
        slots = torch.where(positions < kept, positions, kept + (positions - kept) % ring)
        return slots.clamp(0, state.keys.shape[2] - 1)

    def _make_room(self, state: State, needed: int) -> None:
        """Add slots if there are too few, so that lanes of few tokens stay small."""
        slots = state.keys.shape[2]
        most = self.config.kept + self.config.window + MOST_REWOUND
        if slots < min(needed, most):
            more = min(max(needed, 2 * slots), most) - slots
            for name in RINGS:
                ring = getattr(state, name)
                behind = (0, 0) * (ring.dim() - 3)
                setattr(state, name, pad(ring, (*behind, 0, more)))

    def _kept_visible(self, positions: Tensor, count: int) -> Tensor:
        """Which of the kept tokens exist for each query: bool ``[n, time, kept]``."""
        return torch.arange(count, device=self.device) <= positions[..., None]

    def _recent_visible(self, positions: Tensor, columns: Tensor) -> Tensor:
        """Which tokens ``[n, keys]`` behind the kept ones are in the window: bool ``[n, time, keys]``."""
        distance = positions[..., None] - columns[:, None]
        return (distance >= 0) & (distance < self.config.window) & (columns[:, None] >= self.config.kept)

    def _scores(self, query: Tensor, keys: Tensor, scales: Tensor, layer: int) -> Tensor:
        """Return int64 ``[n, heads, time, keys]``, logarithms to base 2 in steps of the table."""
        groups = self.config.heads // self.config.key_heads
        dot = exact_matmul(query.transpose(1, 2), keys.permute(0, 2, 3, 1).repeat_interleave(groups, 1)).long()
        scale = scales.long().transpose(1, 2).repeat_interleave(groups, 1)[:, :, None]
        product = round_shift(round_shift(dot, self._shifts["dot_shift"][0]) * scale, HEAD_SCALE_BITS)
        multiplier = self._tensors["score_multiplier"][layer].long()[:, None, None]
        return round_shift(product * multiplier, self._tensors["score_shift"][layer].long()[:, None, None])

    def _weights(self, scores: Tensor, visible: Tensor) -> Tensor:
        """Return attention weights int64, not normalized, 0 where nothing is visible."""
        largest = scores.masked_fill(~visible, torch.iinfo(torch.int32).min).amax(-1, keepdim=True)
        table = self._tensors["attention_exponential"]
        index = (largest - scores).clamp(0, table.numel() - 1)
        return table[index].long().masked_fill(~visible, 0)

    def _mix(self, weights: Tensor, values: Tensor, scales: Tensor, layer: int) -> Tensor:
        """Take the mean of values ``[n, keys, key_heads, head_size]`` and multiply by the output matrix."""
        groups = self.config.heads // self.config.key_heads
        scale = scales.long().transpose(1, 2).repeat_interleave(groups, 1)[:, :, None]
        scaled = round_shift(weights * scale, HEAD_SCALE_BITS)
        sums = exact_matmul(scaled, values.transpose(1, 2).repeat_interleave(groups, 1)).long()
        factor = (1 << MIXED_SHIFT) // weights.sum(-1, keepdim=True)
        mean = round_shift(sums * factor, MIXED_SHIFT - MIXED_BITS).transpose(1, 2).flatten(2)
        gained = round_shift(mean * self._tensors["mixed_gain"][layer].long(), GAIN_SHIFT)
        return self._linear("output", round_to_maximum(gained, self._levels[layer][MIXED]), layer)

    def _feedforward(self, x: Rounded, layer: int) -> Tensor:
        """Gated SiLU (Shazeer 2020, arXiv:2002.05202); returns the change of the residual stream."""
        gate, up = (saturate(self._linear(name, x, layer), GATE_MAX) for name in ("gate", "up"))
        table = self._tensors["sigmoid"]
        index = round_shift(gate * self._tensors["sigmoid_multiplier"][layer].long(), SIGMOID_INDEX_SHIFT)
        chance = table[(index + table.numel() // 2).clamp(0, table.numel() - 1)]
        gated = round_shift(round_shift(gate * chance, SIGMOID_SHIFT) * up, GATED_SHIFT)
        return self._linear("down", round_to_maximum(gated, self._levels[layer][GATED]), layer)


def round_to_maximum(x: Tensor, levels: int) -> Rounded:
    """Round int64 ``[..., n]``, up to ``2**31``, so that the largest magnitude becomes ``levels``."""
    largest = x.abs().amax(-1, keepdim=True).clamp(min=1)
    return Rounded(round_shift(x * ((levels << FACTOR_SHIFT) // largest), FACTOR_SHIFT), largest)


def round_heads(x: Tensor) -> tuple[Tensor, Tensor]:
    """Round keys or values ``[n, time, heads, size]`` to int8, and return their scales ``[n, time, heads]``."""
    x = saturate(x, HEAD_MAX)
    scale = ((x.abs().amax(-1) + HEAD_UNIT - 1) // HEAD_UNIT).clamp(min=1)
    factor = (INT8_MAX << FACTOR_SHIFT) // (HEAD_UNIT * scale)
    return round_shift(x * factor[..., None], FACTOR_SHIFT).to(torch.int8), scale


def rotate(x: Tensor, turn: Turn) -> Tensor:
    """Turn the pairs ``(i, i + size / 2)`` of heads ``[n, time, heads, size]`` (Su et al. 2021, arXiv:2104.09864)."""
    left, right = x.chunk(2, -1)
    turned = (left * turn.cosine - right * turn.sine, left * turn.sine + right * turn.cosine)
    return round_shift(torch.cat(turned, -1), ROTARY_SHIFT)


def vector_length(x: Tensor, epsilon: int) -> Tensor:
    """Return the root of ``epsilon`` and the squares of int64 ``[..., n]``, rounded up, as int64 ``[..., 1]``.

    Squares are taken of as many bits as let their sum stay below ``2**53``, where float64 holds it exactly and IEEE 754
    rounds the root correctly. No component of ``x`` is larger than the result.
    """
    size = x.abs()
    largest = size.amax(-1, keepdim=True).clamp(min=1)
    bits = (52 - x.shape[-1].bit_length()) // 2
    shift = (torch.frexp(largest.double())[1].long() - bits).clamp(min=0)
    squares = (size >> shift).square().sum(-1, keepdim=True) + (epsilon >> (2 * shift))
    root = squares.double().sqrt().ceil().long() << shift
    return torch.maximum(root, largest)
