"""The integer Transformer on a GPU: Triton kernels between ``torch._int_mm``, a CUDA graph for single steps.

The same integers as the reference. Untested on a GPU: what has been run is the same code in Triton's interpreter
on a CPU (``TRITON_INTERPRET=1``), against the reference.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import triton
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.checks import check_indices
from zipllm.kernels.gpu_attention import attend
from zipllm.kernels.gpu_frequencies import cumulate
from zipllm.kernels.gpu_layers import activate, add_and_norm, embed, split_heads
from zipllm.kernels.gpu_parameters import Parameters
from zipllm.model.arithmetic import integer_matmul
from zipllm.model.config import ModelConfig
from zipllm.model.parameters import IntegerModel
from zipllm.model.ranges import residual_limit

MAX_SPARE = 256
"""Tokens of a lane that go through the network together, at most: the ring has room for them and a window."""
MAX_ELEMENTS = 1 << 25
"""Largest temporary, in elements; a longer pass is cut into pieces."""
GRAPH_AFTER = 8
"""Steps of as many lanes before they are captured: what comes seldom is not worth it."""
KEY_TILE = 64
"""Keys that attention reads together."""
MIN_ROWS, MAX_ROWS = 16, 64
"""Queries that attention works on together: the smallest product Triton has for single steps, more for passes."""
WIDE_HEAD = 128
"""Heads above this size leave no room for many queries."""
COLUMN_BLOCK = 1024
"""Columns of a long row that are worked on together."""
MIN_DOT = 32
"""Inputs of the smallest int8 product that Triton has; shorter heads are filled up with zeros."""
OPTIONS = {"enable_fp_fusion": False, "num_stages": 1}
"""For every kernel: no float operation is changed, and loops do not overlap (Triton 3.6 fails at that on Hopper)."""


@dataclass
class Step:
    """One token for each of some lanes, in memory whose place does not change, so that it can be captured.

    Attributes:
        tokens: int32 ``[n, 1]``.
        lanes: int64 ``[n]``.
        uses: how often it has run.
        graph: the captured kernels, or None.
        cumulative: int32 ``[n, vocabulary + 1]``, where the captured kernels leave their result.
    """

    tokens: Tensor
    lanes: Tensor
    uses: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    cumulative: Tensor | None = None


@dataclass
class CudaState:
    """What a batch of lanes remembers; make one with `CudaTransformer.start`.

    Attributes:
        keys: int8 ``[layers, lanes, slots, width]``, a ring: token ``p`` of a lane is in slot ``p % slots``.
        values: int8, as ``keys``.
        positions: int32 ``[lanes]``, how many tokens each lane has been fed.
        host: int32, page-locked, where predictions arrive.
        steps: by number of lanes.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor
    host: Tensor
    steps: dict[int, Step] = field(default_factory=dict)


class Stream(NamedTuple):
    """What goes from one kernel to the next, for every row: int32 ``[rows, width]``, and int8 once normalised."""

    residual: Tensor
    hidden: Tensor


class CudaTransformer:
    """Runs an `IntegerModel` on a GPU.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
        device: a CUDA device; the CPU where Triton interprets its kernels (tests).
    """

    def __init__(self, model: IntegerModel, device: torch.device | str = "cuda") -> None:
        self.config: ModelConfig = model.config
        self.device = torch.device(device)
        self._parameters = Parameters(model, self.device)
        self._limit = residual_limit(model.config.width)
        self._spare = min(max(model.config.window, 1), MAX_SPARE)
        self._slots = model.config.window + self._spare

    def start(self, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have been fed nothing."""
        shape = (self.config.layers, lanes, self._slots, self.config.width)
        keys = torch.zeros(shape, dtype=torch.int8, device=self.device)
        positions = torch.zeros(lanes, dtype=torch.int32, device=self.device)
        return CudaState(keys, torch.zeros_like(keys), positions, self._host(0))

    def copies(self, state: CudaState, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""
        keys, values = (ring[:, :1].repeat_interleave(lanes, 1) for ring in (state.keys, state.values))
        return CudaState(keys, values, state.positions[:1].repeat_interleave(lanes), self._host(0))

    @torch.no_grad()
    def predict(
        self, state: CudaState, tokens: NDArray[np.int32], lanes: NDArray[np.int32] | None = None
    ) -> NDArray[np.int32]:
        """Feed tokens to lanes and return what is predicted after each.

        Args:
            state: changed in place, for the named lanes only.
            tokens: int32 ``[n, time]``, each from 0 to ``config.start_token``.
            lanes: ascending lane numbers ``[n]``; None means all.

        Returns:
            Cumulative frequencies int32 ``[n, time, vocabulary_size + 1]``; overwritten by the next call with
            this state.

        Raises:
            ValueError: a token id or a lane number is out of range.
        """
        chosen = np.arange(len(state.positions)) if lanes is None else lanes.astype(np.int64)
        check_indices(tokens, chosen, self.config.start_token, len(state.positions))
        count, time = tokens.shape
        host = self._room(state, count * time).view(count, time, -1)
        length = max(1, min(self._spare, MAX_ELEMENTS // (max(1, count) * self._widest())))
        for begin in range(0, time if count else 0, length):
            piece = np.ascontiguousarray(tokens[:, begin : begin + length])
            part = torch.from_numpy(piece), torch.from_numpy(chosen)
            result = self._step(state, *part) if piece.shape[1] == 1 else self._pass(state, *map(self._move, part))
            host[:, begin : begin + length].copy_(result.view(*piece.shape, -1), non_blocking=True)
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
        result_on_host: NDArray[np.int32] = host.numpy()
        return result_on_host

    def _move(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device)

    def _widest(self) -> int:
        """Elements of the largest row that a temporary has."""
        return max(self.config.vocabulary_size + 1, self.config.feedforward, 3 * self.config.width)

    def _host(self, elements: int) -> Tensor:
        return torch.empty(elements, dtype=torch.int32, pin_memory=self.device.type == "cuda")

    def _room(self, state: CudaState, rows: int) -> Tensor:
        elements = rows * (self.config.vocabulary_size + 1)
        if state.host.numel() < elements:
            state.host = self._host(elements)
        return state.host[:elements]

    def _step(self, state: CudaState, tokens: Tensor, lanes: Tensor) -> Tensor:
        """Feed one token to each lane: kernel by kernel at first, then as one graph, which the GPU runs unaided."""
        step = state.steps.get(len(lanes))
        if step is None:
            step = state.steps[len(lanes)] = Step(self._move(tokens), self._move(lanes))
        step.tokens.copy_(tokens)
        step.lanes.copy_(lanes)
        step.uses += 1
        if self.device.type != "cuda" or step.uses < GRAPH_AFTER:
            return self._pass(state, step.tokens, step.lanes)
        if step.graph is None:
            step.graph = torch.cuda.CUDAGraph()
            # other threads may go on using the device meanwhile; capturing itself computes nothing
            with torch.cuda.graph(step.graph, capture_error_mode="thread_local"):
                step.cumulative = self._pass(state, step.tokens, step.lanes)
        step.graph.replay()
        assert step.cumulative is not None
        return step.cumulative

    def _pass(self, state: CudaState, tokens: Tensor, lanes: Tensor) -> Tensor:
        """Feed at most ``spare`` tokens to lanes; cumulative frequencies int32 ``[n * time, vocabulary + 1]``."""
        p, width, rows = self._parameters, self.config.width, tokens.numel()
        residual = torch.empty((rows, width), dtype=torch.int32, device=self.device)
        stream = Stream(residual, torch.empty_like(residual, dtype=torch.int8))
        embed[(rows,)](
            tokens, p.table, p.table_multiplier, p.table_shift, p.norms, stream.residual, stream.hidden, self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip
        for layer in range(self.config.layers):
            self._add("output", self._attention(state, stream.hidden, lanes, tokens.shape[1], layer), stream, layer)
            self._add("down", self._activated(stream.hidden, layer), stream, layer)
        state.positions[lanes] += tokens.shape[1]
        return self._frequencies(stream.hidden)

    def _add(self, name: str, x: Tensor, stream: Stream, layer: int) -> None:
        """Multiply, add to the residual stream, and normalise for what comes next."""
        p, width = self._parameters, self.config.width
        add_and_norm[(len(x),)](
            integer_matmul(x, p.linear[name][layer]), p.multiplier[name], p.shift[name], p.norms,
            stream.residual, stream.hidden, layer, 2 * layer + (1 if name == "output" else 2), self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip

    def _attention(self, state: CudaState, hidden: Tensor, lanes: Tensor, time: int, layer: int) -> Tensor:
        """Remember keys and values, and attend to the window; int8 ``[rows, width]``."""
        p, heads, size = self._parameters, self.config.heads, self.config.head_size
        queries, mixed = torch.empty_like(hidden), torch.empty_like(hidden)
        keys, values = state.keys[layer], state.values[layer]
        split_heads[(len(hidden), heads)](
            integer_matmul(hidden, p.attention[layer]), p.attention_multiplier, p.attention_shift, p.head_norms,
            lanes, state.positions, queries, keys, values, layer, time, self._slots,
            HEADS=heads, SIZE=size, BLOCK=triton.next_power_of_2(size), **OPTIONS,
        )  # fmt: skip
        block = max(MIN_DOT, triton.next_power_of_2(size))
        rows = MIN_ROWS if time <= MIN_ROWS or block > WIDE_HEAD else MAX_ROWS
        attend[(len(lanes), heads, triton.cdiv(time, rows))](
            queries, keys, values, lanes, state.positions, *p.scores, p.exponential, p.mixing_scale, mixed,
            layer, time, self._slots, self.config.window, p.exponential.numel(),
            HEADS=heads, SIZE=size, BLOCK=block, ROWS=rows, KEYS=KEY_TILE, DIGITS=p.digits, **OPTIONS,
        )  # fmt: skip
        return mixed

    def _activated(self, hidden: Tensor, layer: int) -> Tensor:
        """First half of the feed-forward; int8 ``[rows, feedforward]``."""
        p, columns = self._parameters, self.config.feedforward
        active = torch.empty((len(hidden), columns), dtype=torch.int8, device=self.device)
        block = min(COLUMN_BLOCK, triton.next_power_of_2(columns))
        activate[(len(hidden), triton.cdiv(columns, block))](
            integer_matmul(hidden, p.linear["up"][layer]), p.multiplier["up"], p.shift["up"], active, layer,
            COLUMNS=columns, BLOCK=block, **OPTIONS,
        )  # fmt: skip
        return active

    def _frequencies(self, hidden: Tensor) -> Tensor:
        """Cumulative frequencies int32 ``[rows, vocabulary + 1]``."""
        p, vocabulary = self._parameters, self.config.vocabulary_size
        cumulative = torch.empty((len(hidden), vocabulary + 1), dtype=torch.int32, device=self.device)
        cumulate[(len(hidden),)](
            integer_matmul(hidden, p.head), p.head_multiplier, p.head_shift, p.frequency_exponential, cumulative,
            p.frequency_exponential.numel(),
            VOCABULARY=vocabulary, BLOCK=min(COLUMN_BLOCK, triton.next_power_of_2(vocabulary)), **OPTIONS,
        )  # fmt: skip
        return cumulative
