"""The integer Transformer: the exact reference that every faster form must equal bit for bit.

A pass over many tokens, single steps, any chunking, any subset of lanes and any device give the same bits (see
`arithmetic`). `bounds.check_bounds` proves that every accumulator fits; every loader calls it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from zipllm.model import frequencies as frequency
from zipllm.model.arithmetic import (
    exact_matmul,
    integer_matmul,
    requantize,
    round_shift,
    saturate,
    scale_to_int8,
    vector_length,
)
from zipllm.model.config import MOST_REWOUND
from zipllm.model.ranges import FEEDFORWARD_MAX, INT8_MAX, INT16_MAX, SQUARE_SHIFT, residual_limit
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

CHUNK_ELEMENTS = 1 << 20
"""Largest temporary of a pass on the CPU, in elements; it fits the cache."""
DEVICE_CHUNK_ELEMENTS = 1 << 25
"""The same on other devices, where few large operations are faster."""


@dataclass
class State:
    """What a batch of lanes remembers; make one with `IntegerTransformer.start`.

    Attributes:
        keys: int8 ``[layers, lanes, slots, width]``, a ring: token ``p`` of a lane is in slot ``p % slots``. The slots
            grow with the longest lane, to a window and the tokens that may be taken back.
        values: int8, as ``keys``.
        positions: int64 ``[lanes]``, tokens that each lane has been fed.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor


class IntegerTransformer:
    """Runs a model that has passed `bounds.check_bounds`, on any torch device."""

    def __init__(self, model: TransformerParameters, device: torch.device | str = "cpu") -> None:
        self.config: TransformerConfig = model.config
        self.device = torch.device(device)
        self._tensors = {name: tensor.to(self.device) for name, tensor in model.tensors().items()}
        self._tensors["head"] = torch.from_numpy(model.head).to(self.device)
        self._shifts = {n: t.tolist() for n, t in model.tensors().items() if n.endswith("_shift")}
        self._limit = residual_limit(model.config.width)
        self._budget = CHUNK_ELEMENTS if self.device.type == "cpu" else DEVICE_CHUNK_ELEMENTS

    def start(self, lanes: int) -> State:
        """Return the state of ``lanes`` streams that have been fed nothing."""
        keys = torch.zeros((self.config.layers, lanes, 0, self.config.width), dtype=torch.int8, device=self.device)
        return State(keys, torch.zeros_like(keys), torch.zeros(lanes, dtype=torch.int64, device=self.device))

    def copy(self, state: State, lanes: int) -> State:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""
        keys, values = (ring[:, :1].repeat_interleave(lanes, 1) for ring in (state.keys, state.values))
        return State(keys, values, state.positions[:1].repeat_interleave(lanes))

    def rewind(self, state: State, lanes: NDArray[np.int32], tokens: int) -> None:
        """Take back the last ``tokens`` tokens of lanes ``[n]``, at most ``MOST_REWOUND``, all of one call."""
        state.positions[torch.from_numpy(lanes).to(self.device).long()] -= tokens

    def predict(self, state: State, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Feed int32 ``[n, time]`` to lanes ``[n]``; cumulative frequencies int32 ``[n, time, V + 1]``."""
        hidden = self.forward(state, torch.from_numpy(np.ascontiguousarray(tokens)), torch.from_numpy(lanes))
        cumulative: NDArray[np.int32] = self.cumulative(hidden).cpu().numpy()
        return cumulative

    @torch.no_grad()
    def forward(self, state: State, tokens: Tensor, lanes: Tensor | None = None) -> Tensor:
        """Feed tokens to lanes and return the normalized activations after each token: int8 ``[n, time, width]``.

        Args:
            state: changed in place, for the named lanes only.
            tokens: integers ``[n, time]``, each from 0 to ``config.start_token``, else ``ValueError``.
            lanes: distinct lane numbers ``[n]``; None means all, in order.
        """
        tokens = tokens.to(self.device).long()
        chosen = torch.arange(len(state.positions)) if lanes is None else lanes
        chosen = chosen.to(self.device).long()
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) <= self.config.start_token:
            raise ValueError(f"token ids must be from 0 to {self.config.start_token}")
        pieces = [self._forward_chunk(state, piece, chosen) for piece in self._chunks(tokens)]
        if pieces:
            return torch.cat(pieces, dim=1)
        return torch.zeros((*tokens.shape, self.config.width), dtype=torch.int8, device=self.device)

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits int32 ``[..., vocabulary_size]`` in steps of the frequency table, for int8 ``[..., width]``."""
        flat = self._linear("head", hidden.reshape(-1, self.config.width), 0)
        return flat.to(torch.int32).view(*hidden.shape[:-1], self.config.vocabulary_size)

    @torch.no_grad()
    def cumulative(self, hidden: Tensor) -> Tensor:
        """Return cumulative frequencies int32 ``[..., vocabulary_size + 1]`` for int8 ``[..., width]``."""
        rows = hidden.reshape(-1, self.config.width)
        step = max(1, self._budget // self.config.vocabulary_size)
        result = torch.empty((len(rows), self.config.vocabulary_size + 1), dtype=torch.int32, device=self.device)
        for begin in range(0, len(rows), step):
            logits = self.logits(rows[begin : begin + step])
            counts = frequency.frequencies(logits, self._tensors["frequency_exponential"])
            result[begin : begin + step] = frequency.cumulate(counts)
        return result.view(*hidden.shape[:-1], self.config.vocabulary_size + 1)

    def _chunks(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Cut ``[n, time]`` along time so that no temporary is larger than about the budget."""
        config = self.config
        per_token = max(2 * config.heads * config.window, config.feedforward) * max(1, len(tokens))
        length = max(1, min(config.window, self._budget // per_token))
        return torch.split(tokens, length, dim=1) if tokens.numel() else ()

    def _forward_chunk(self, state: State, tokens: Tensor, lanes: Tensor) -> Tensor:
        self._make_room(state, int(state.positions[lanes].max()) + tokens.shape[1])
        x = self._embed(tokens)
        for layer in range(self.config.layers):
            x = self._add(x, self._attention(state, self._norm(x, "attention_norm", layer), lanes, layer))
            x = self._add(x, self._feedforward(self._norm(x, "feedforward_norm", layer), layer))
        state.positions[lanes] += tokens.shape[1]
        return self._norm(x, "final_norm", 0)

    def _make_room(self, state: State, needed: int) -> None:
        """Add slots if there are too few, so that lanes of few tokens stay small."""
        slots = state.keys.shape[2]
        most = self.config.window + MOST_REWOUND
        if slots < min(needed, most):
            more = min(max(needed, 2 * slots), most) - slots
            state.keys, state.values = (pad(ring, (0, 0, 0, more)) for ring in (state.keys, state.values))

    def _embed(self, tokens: Tensor) -> Tensor:
        """Residual stream int64 ``[n, time, width]``: every row has the same length, folded into its multiplier."""
        row = self._tensors["embedding"][tokens].long()
        multiplier = self._tensors["embedding_multiplier"][tokens].long()[..., None]
        return saturate(round_shift(row * multiplier, self._shifts["embedding_shift"][0]), self._limit)

    def _add(self, x: Tensor, change: Tensor) -> Tensor:
        return saturate(x + change, self._limit)

    def _norm(self, x: Tensor, name: str, layer: int) -> Tensor:
        """RMS norm and quantization in one: int8, of length ``constant / 2**NORM_SHIFT`` before rounding."""
        return scale_to_int8(x, self._tensors[name][layer], vector_length(x))

    def _linear(self, name: str, x: Tensor, layer: int) -> Tensor:
        """Multiply int8 ``[..., inputs]`` by a matrix and requantize: int64 ``[..., rows]`` below ``2**30``."""
        weight, multiplier = self._tensors[name], self._tensors[f"{name}_multiplier"]
        if name != "head":
            weight, multiplier = weight[layer], multiplier[layer]
        accumulator = integer_matmul(x.reshape(-1, x.shape[-1]), weight)
        changed = requantize(accumulator, multiplier, self._shifts[f"{name}_shift"][layer])
        return changed.view(*x.shape[:-1], -1)

    def _attention(self, state: State, x: Tensor, lanes: Tensor, layer: int) -> Tensor:
        """Attend to the window; returns the change of the residual stream ``[n, time, width]``."""
        query = self._unit_heads(self._linear("query", x, layer), "query_norm", layer)
        key = self._unit_heads(self._linear("key", x, layer), "key_norm", layer).flatten(2)
        value = saturate(self._linear("value", x, layer), INT8_MAX).to(torch.int8)
        keys, values = self._remember(state, lanes, layer, key, value)
        weights = self._weights(query, keys, state.positions[lanes], layer)
        mixed = exact_matmul(weights, self._split(values).transpose(1, 2))
        total = weights.sum(-1, keepdim=True)  # int64
        scale = self._tensors["mixing_scale"][layer][:, None, None]
        return self._linear("output", scale_to_int8(mixed, scale, total).transpose(1, 2).flatten(2), layer)

    def _split(self, x: Tensor) -> Tensor:
        """View ``[n, time, width]`` as ``[n, time, heads, head_size]``."""
        return x.view(*x.shape[:2], self.config.heads, self.config.head_size)

    def _unit_heads(self, x: Tensor, name: str, layer: int) -> Tensor:
        """Normalize every head to a fixed length: int8 ``[n, time, heads, head_size]``."""
        heads = self._split(saturate(x, INT16_MAX))
        return scale_to_int8(heads, self._tensors[name][layer][:, None], vector_length(heads))

    def _remember(self, state: State, lanes: Tensor, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values in the rings; return them behind those of the ``_reach`` tokens before."""
        slots, time = state.keys.shape[2], key.shape[1]
        position = state.positions[lanes][:, None]
        past = (position + torch.arange(-self._reach(position), 0, device=self.device)) % slots
        there = (position + torch.arange(time, device=self.device)) % slots
        joined = []
        for ring, new in ((state.keys[layer], key), (state.values[layer], value)):
            joined.append(torch.cat((ring[lanes[:, None], past], new), dim=1))
            ring[lanes[:, None], there] = new
        return joined[0], joined[1]

    def _weights(self, query: Tensor, keys: Tensor, positions: Tensor, layer: int) -> Tensor:
        """Attention weights int32 ``[n, heads, time, reach + time]``, not normalized, 0 outside the window.

        Scores are logarithms to base 2, in steps of the table.
        """
        dot = exact_matmul(query.transpose(1, 2), self._split(keys).permute(0, 2, 3, 1))
        multiplier = self._tensors["score_multiplier"][layer][:, None, None]
        shift = self._tensors["score_shift"][layer][:, None, None]
        distance, visible = self._distances(query.shape[1], positions)
        bias = self._tensors["position_bias"][layer][:, distance]
        scores = round_shift(dot * multiplier, shift) + bias
        hidden = ~visible[:, None]
        largest = scores.masked_fill(hidden, torch.iinfo(torch.int32).min).amax(-1, keepdim=True)
        table = self._tensors["attention_exponential"]
        index = (largest - scores).clamp(0, table.numel() - 1)
        return table[index].masked_fill(hidden, 0)

    def _reach(self, positions: Tensor) -> int:
        """Return how far back any of the lanes sees: a window less one, or to its first token."""
        return min(self.config.window - 1, int(positions.max()))

    def _distances(self, time: int, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Distances ``[time, keys]`` clamped to the window, and which keys count ``[n, time, keys]``."""
        window = self.config.window
        rows = torch.arange(time, device=self.device)[:, None]
        columns = torch.arange(-self._reach(positions), time, device=self.device)[None, :]
        distance = rows - columns
        inside = (distance >= 0) & (distance < window)
        exists = columns + positions[:, None] >= 0
        return distance.clamp(0, window - 1), inside & exists[:, None, :]

    def _feedforward(self, x: Tensor, layer: int) -> Tensor:
        """Squared ReLU between two matrices; returns the change of the residual stream."""
        active = self._linear("up", x, layer).clamp(0, FEEDFORWARD_MAX)
        squared = round_shift(active.square(), SQUARE_SHIFT).clamp(max=INT8_MAX).to(torch.int8)
        return self._linear("down", squared, layer)
