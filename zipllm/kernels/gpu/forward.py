"""One pass through the integer Transformer on a GPU: tensors on the device, and which kernels run on how many rows."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from zipllm.kernels.gpu.attention import attend, attend_step
from zipllm.kernels.gpu.frequencies import cumulate, cumulate_whole
from zipllm.kernels.gpu.layers import activate, add_and_norm, embed, split_heads
from zipllm.kernels.gpu.memory import LaneMemory
from zipllm.model.arithmetic import integer_matmul
from zipllm.model.ranges import residual_limit
from zipllm.model.transformer.config import LINEAR_LAYERS, TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

KEY_TILE = 64
"""Keys that attention reads together."""
MIN_ROWS, MAX_ROWS = 16, 64
"""Queries per program of attention: Triton's smallest product for short passes, more for long ones."""
WIDE_HEAD = 128
"""Above this head size there is no room for many queries."""
COLUMN_BLOCK = 1024
"""Columns of a long row per program or loop."""
WHOLE_ROW, COLUMNS_PER_WARP = 1 << 14, 2048
"""Columns of the longest prediction that one program holds at once, and columns per warp."""
MAX_TILE = 1 << 15
"""Most elements in the keys of a window that a single step holds at once."""
MIN_DOT = 32
"""Inputs of Triton's smallest int8 product; shorter heads are padded with zeros."""
HEADS = ("query", "key", "value")
"""Matrices joined into one product."""
TWO_DIGITS = 1 << 14
"""Attention weights below this have two digits of 7 bits, others three."""
OPTIONS = {"enable_fp_fusion": False, "num_stages": 1}
"""For every kernel: no fused float operations, and no pipelined loops (Triton 3.6 fails at those on Hopper)."""


class Parameters:
    """A model's tensors on the device; those that one kernel takes are joined."""

    def __init__(self, model: TransformerParameters, device: torch.device) -> None:
        def put(tensor: Tensor) -> Tensor:
            return tensor.to(device).contiguous()

        tensors = model.tensors()
        norms = torch.stack((tensors["attention_norm"], tensors["feedforward_norm"]), dim=1).flatten()
        self.table, self.table_multiplier = put(tensors["embedding"]), put(tensors["embedding_multiplier"])
        self.table_shift = put(tensors["embedding_shift"])
        self.norms = put(torch.cat((norms, tensors["final_norm"])))
        self.head_norms = put(torch.stack((tensors["query_norm"], tensors["key_norm"]), dim=1))
        self.attention = put(torch.cat([tensors[name] for name in HEADS], dim=1))
        self.attention_multiplier = put(torch.stack([tensors[f"{name}_multiplier"] for name in HEADS], dim=1))
        self.attention_shift = put(torch.stack([tensors[f"{name}_shift"] for name in HEADS], dim=1))
        self.linear = {name: put(tensors[name]) for name in LINEAR_LAYERS if name not in HEADS}
        self.multiplier = {name: put(tensors[f"{name}_multiplier"]) for name in self.linear}
        self.shift = {name: put(tensors[f"{name}_shift"]) for name in self.linear}
        self.scores = [put(tensors[name]) for name in ("score_multiplier", "score_shift", "position_bias")]
        self.exponential, self.mixing_scale = put(tensors["attention_exponential"]), put(tensors["mixing_scale"])
        self.head = put(torch.from_numpy(model.head))
        self.head_multiplier, self.head_shift = put(tensors["head_multiplier"]), put(tensors["head_shift"])
        self.frequency_exponential = put(tensors["frequency_exponential"])
        self.digits = 2 if int(tensors["attention_exponential"][0]) < TWO_DIGITS else 3


class Rows(NamedTuple):
    """The residual stream int32 ``[rows, width]``, and its normalized form int8."""

    residual: Tensor
    hidden: Tensor


class Forward:
    """Feeds tokens to lanes.

    Args:
        config: of the model.
        parameters: of the model, on the device.
    """

    def __init__(self, config: TransformerConfig, parameters: Parameters) -> None:
        self._config = config
        self._parameters = parameters
        self._limit = residual_limit(config.width)

    def __call__(self, memory: LaneMemory, tokens: Tensor, lanes: Tensor) -> Tensor:
        """Feed tokens to lanes; only hands the work to the device.

        Args:
            memory: of the lanes, changed in place.
            tokens: int32 ``[n, time]``, contiguous; at most what a ring holds besides a window.
            lanes: int64 ``[n]``, in the memory.

        Returns:
            Cumulative frequencies int32 ``[n * time, vocabulary + 1]``.
        """
        p, width, rows = self._parameters, self._config.width, tokens.numel()
        residual = torch.empty((rows, width), dtype=torch.int32, device=tokens.device)
        stream = Rows(residual, torch.empty_like(residual, dtype=torch.int8))
        embed[(rows,)](
            tokens, p.table, p.table_multiplier, p.table_shift, p.norms, stream.residual, stream.hidden, self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip
        for layer in range(self._config.layers):
            self._add("output", self._attention(memory, stream.hidden, lanes, tokens.shape[1], layer), stream, layer)
            self._add("down", self._activated(stream.hidden, layer), stream, layer)
        memory.positions[lanes] += tokens.shape[1]
        return self._frequencies(stream.hidden)

    def _add(self, name: str, x: Tensor, stream: Rows, layer: int) -> None:
        """Multiply, add to the residual stream, and normalize for the next product."""
        p, width = self._parameters, self._config.width
        add_and_norm[(len(x),)](
            integer_matmul(x, p.linear[name][layer]), p.multiplier[name], p.shift[name], p.norms,
            stream.residual, stream.hidden, layer, 2 * layer + (1 if name == "output" else 2), self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip

    def _attention(self, memory: LaneMemory, hidden: Tensor, lanes: Tensor, time: int, layer: int) -> Tensor:
        """Store keys and values, and attend to the window; int8 ``[rows, width]``."""
        p, heads, size = self._parameters, self._config.heads, self._config.head_size
        queries, mixed = torch.empty_like(hidden), torch.empty_like(hidden)
        keys, values = memory.keys[layer], memory.values[layer]
        split_heads[(len(hidden), heads)](
            integer_matmul(hidden, p.attention[layer]), p.attention_multiplier, p.attention_shift, p.head_norms,
            lanes, memory.positions, queries, keys, values, layer, time, memory.slots,
            HEADS=heads, SIZE=size, BLOCK=triton.next_power_of_2(size), num_warps=1, **OPTIONS,
        )  # fmt: skip
        window = self._config.window
        states = (queries, keys, values, lanes, memory.positions)
        shared = (*states, *p.scores, p.exponential, p.mixing_scale, mixed, layer)
        sizes = (memory.slots, window, p.exponential.numel())
        tile = triton.next_power_of_2(window) * triton.next_power_of_2(size)
        if time == 1 and tile <= MAX_TILE:
            attend_step[(len(lanes), heads)](
                *shared, *sizes, HEADS=heads, SIZE=size, BLOCK=triton.next_power_of_2(size),
                KEYS=triton.next_power_of_2(window), num_warps=max(1, min(8, tile // 8192)), **OPTIONS,
            )  # fmt: skip
            return mixed
        block = max(MIN_DOT, triton.next_power_of_2(size))
        rows = MIN_ROWS if time <= MIN_ROWS or block > WIDE_HEAD else MAX_ROWS
        attend[(len(lanes), heads, triton.cdiv(time, rows))](
            *shared, time, *sizes,
            HEADS=heads, SIZE=size, BLOCK=block, ROWS=rows, KEYS=KEY_TILE, DIGITS=p.digits, **OPTIONS,
        )  # fmt: skip
        return mixed

    def _activated(self, hidden: Tensor, layer: int) -> Tensor:
        """First half of the feed-forward; int8 ``[rows, feedforward]``."""
        p, columns = self._parameters, self._config.feedforward
        active = torch.empty((len(hidden), columns), dtype=torch.int8, device=hidden.device)
        block = min(COLUMN_BLOCK, triton.next_power_of_2(columns))
        activate[(len(hidden), triton.cdiv(columns, block))](
            integer_matmul(hidden, p.linear["up"][layer]), p.multiplier["up"], p.shift["up"], active, layer,
            COLUMNS=columns, BLOCK=block, **OPTIONS,
        )  # fmt: skip
        return active

    def _frequencies(self, hidden: Tensor) -> Tensor:
        """Cumulative frequencies int32 ``[rows, vocabulary + 1]``."""
        p, vocabulary = self._parameters, self._config.vocabulary_size
        cumulative = torch.empty((len(hidden), vocabulary + 1), dtype=torch.int32, device=hidden.device)
        kernel, block, warps = cumulate, COLUMN_BLOCK, 4
        whole = triton.next_power_of_2(vocabulary)
        if whole <= WHOLE_ROW:
            kernel, block, warps = cumulate_whole, whole, max(1, whole // COLUMNS_PER_WARP)
        kernel[(len(hidden),)](
            integer_matmul(hidden, p.head), p.head_multiplier, p.head_shift, p.frequency_exponential, cumulative,
            p.frequency_exponential.numel(), VOCABULARY=vocabulary, BLOCK=block, num_warps=warps, **OPTIONS,
        )  # fmt: skip
        return cumulative
