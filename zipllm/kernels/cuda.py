"""The integer Transformer on a GPU: Triton kernels between ``torch._int_mm``, a CUDA graph for single steps.

The same integers as the reference. The same code runs in Triton's interpreter on a CPU (``TRITON_INTERPRET=1``).
Threads may share a model, each with a state of its own.
"""

from collections.abc import Callable
from contextlib import nullcontext
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

import numpy as np
import torch
import triton
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.checks import check_columns, check_indices, check_wanted
from zipllm.kernels.gpu_attention import attend, attend_step
from zipllm.kernels.gpu_frequencies import cumulate
from zipllm.kernels.gpu_layers import activate, add_and_norm, embed, split_heads
from zipllm.kernels.gpu_parameters import Parameters
from zipllm.kernels.gpu_state import CudaState, Memory, Pool, Step
from zipllm.model.arithmetic import integer_matmul
from zipllm.model.config import ModelConfig
from zipllm.model.parameters import IntegerModel
from zipllm.model.ranges import residual_limit

MAX_SPARE = 256
"""Tokens of a lane that go through the network together, at most: the ring has room for them and a window."""
MAX_ELEMENTS = 1 << 27
"""Largest temporary, in elements; a longer pass is cut into pieces."""
GRAPH_AFTER = 8
"""Steps of as many lanes before they are captured: what comes seldom is not worth it."""
PASSES = 2
"""Passes of several threads at a time: one computes while another's result is handed over; more hinder each other."""
KEY_TILE = 64
"""Keys that attention reads together."""
MIN_ROWS, MAX_ROWS = 16, 64
"""Queries that attention works on together: the smallest product Triton has for single steps, more for passes."""
WIDE_HEAD = 128
"""Heads above this size leave no room for many queries."""
COLUMN_BLOCK = 1024
"""Columns of a long row that are worked on together."""
MAX_TILE = 1 << 15
"""Elements of the keys of a window that a single step can hold at once."""
MIN_DOT = 32
"""Inputs of the smallest int8 product that Triton has; shorter heads are filled up with zeros."""
OPTIONS = {"enable_fp_fusion": False, "num_stages": 1}
"""For every kernel: no float operation is changed, and loops do not overlap (Triton 3.6 fails at that on Hopper)."""


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
        self._pool = Pool(model.config, self._slots, self.device)
        self._columns: tuple[NDArray[np.int32], Tensor] | None = None
        self._capturing = Lock()
        self._passing = BoundedSemaphore(PASSES)

    def start(self, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have been fed nothing."""
        return self._pool.state(lanes)

    def copies(self, state: CudaState, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""
        copy = self._pool.state(lanes)
        with copy.memory.in_order():
            for name in ("keys", "values"):
                getattr(copy.memory, name)[:, :lanes] = getattr(state.memory, name)[:, :1]
            copy.memory.positions[:lanes] = state.memory.positions[0]
        return copy

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
        return self._fed(state, tokens, lanes, self.config.vocabulary_size + 1, lambda cumulative, _: cumulative)

    def select(
        self,
        state: CudaState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32] | None,
        columns: NDArray[np.int32],
        wanted: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        """Feed tokens as ``predict``, and return of each prediction some columns only, so that little has to be moved.

        Args:
            state: changed in place.
            tokens: int32 ``[n, time]``.
            lanes: as in ``predict``.
            columns: int32 ``[vocabulary_size, d]``, numbers of cumulative frequencies; best always the same array.
            wanted: int32 ``[n, time]``, the row of ``columns`` to take from each prediction.

        Returns:
            int32 ``[n, time, d]``; overwritten by the next call with this state.

        Raises:
            ValueError: a token id, a lane, a column or a wanted row is out of range.
        """
        check_wanted(columns, wanted, tokens.shape)
        table = self._on_device(columns)

        def chosen(cumulative: Tensor, steps: slice) -> Tensor:
            rows = self._move(torch.from_numpy(np.ascontiguousarray(wanted[:, steps]))).long().flatten()
            return cumulative.gather(1, table[rows])

        return self._fed(state, tokens, lanes, columns.shape[1], chosen)

    @torch.no_grad()
    def _fed(
        self,
        state: CudaState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32] | None,
        width: int,
        take: Callable[[Tensor, slice], Tensor],
    ) -> NDArray[np.int32]:
        """Feed tokens piece by piece; collect what ``take`` keeps of each piece's frequencies, ``[rows, width]``."""
        memory = state.memory
        chosen = np.arange(memory.lanes) if lanes is None else lanes.astype(np.int64)
        check_indices(tokens, chosen, self.config.start_token, memory.lanes)
        count, time = tokens.shape
        host = memory.room(count * time * width).view(count, time, width)
        length = max(1, min(self._spare, MAX_ELEMENTS // (max(1, count) * self._widest())))
        with self._passing if time > 1 else nullcontext(), memory.in_order():
            for begin in range(0, time if count else 0, length):
                steps = slice(begin, begin + length)
                piece = np.ascontiguousarray(tokens[:, steps])
                kept = take(self._any(memory, piece, chosen), steps)
                host[:, steps].copy_(kept.view(*piece.shape, width), non_blocking=True)
        result: NDArray[np.int32] = host.numpy()
        return result

    def _any(self, memory: Memory, tokens: NDArray[np.int32], lanes: NDArray[np.int64]) -> Tensor:
        """Feed tokens in the way that suits their number; cumulative frequencies ``[n * time, vocabulary + 1]``."""
        if tokens.shape[1] == 1:
            return self._step(memory, tokens, lanes)[: len(lanes)]
        return self._pass(memory, self._move(torch.from_numpy(tokens)), self._move(torch.from_numpy(lanes)))

    def _move(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device)

    def _on_device(self, columns: NDArray[np.int32]) -> Tensor:
        """Return a table on the device, int64; the last one is kept there."""
        kept = self._columns
        if kept is None or kept[0] is not columns:
            check_columns(columns, self.config.vocabulary_size + 1)
            kept = self._columns = columns, self._move(torch.from_numpy(columns.astype(np.int64)))
        return kept[1]

    def _widest(self) -> int:
        """Elements of the largest row that a temporary has."""
        return max(self.config.vocabulary_size + 1, self.config.feedforward, 3 * self.config.width)

    def _step(self, memory: Memory, tokens: NDArray[np.int32], lanes: NDArray[np.int64]) -> Tensor:
        """Feed one token to each lane: kernel by kernel at first, then as one graph, which the GPU runs unaided."""
        step = memory.step(len(lanes))
        step.fill(tokens, lanes, memory.lanes)
        step.uses += 1
        if memory.stream is None or step.uses < GRAPH_AFTER:
            return self._pass(memory, step.tokens, step.lanes)
        if step.graph is None:
            self._capture(memory, step)
        assert step.graph is not None
        assert step.cumulative is not None
        step.graph.replay()
        return step.cumulative

    def _capture(self, memory: Memory, step: Step) -> None:
        """Capture a step, which computes nothing; other threads may go on using the device meanwhile."""
        assert memory.stream is not None
        graph = torch.cuda.CUDAGraph()
        with self._capturing:
            memory.stream.synchronize()
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                step.cumulative = self._pass(memory, step.tokens, step.lanes)
            finally:
                graph.capture_end()
        step.graph = graph

    def _pass(self, memory: Memory, tokens: Tensor, lanes: Tensor) -> Tensor:
        """Feed at most ``spare`` tokens to lanes; cumulative frequencies int32 ``[n * time, vocabulary + 1]``."""
        p, width, rows = self._parameters, self.config.width, tokens.numel()
        residual = torch.empty((rows, width), dtype=torch.int32, device=self.device)
        stream = Stream(residual, torch.empty_like(residual, dtype=torch.int8))
        embed[(rows,)](
            tokens, p.table, p.table_multiplier, p.table_shift, p.norms, stream.residual, stream.hidden, self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip
        for layer in range(self.config.layers):
            self._add("output", self._attention(memory, stream.hidden, lanes, tokens.shape[1], layer), stream, layer)
            self._add("down", self._activated(stream.hidden, layer), stream, layer)
        memory.positions[lanes] += tokens.shape[1]
        return self._frequencies(stream.hidden)

    def _add(self, name: str, x: Tensor, stream: Stream, layer: int) -> None:
        """Multiply, add to the residual stream, and normalise for what comes next."""
        p, width = self._parameters, self.config.width
        add_and_norm[(len(x),)](
            integer_matmul(x, p.linear[name][layer]), p.multiplier[name], p.shift[name], p.norms,
            stream.residual, stream.hidden, layer, 2 * layer + (1 if name == "output" else 2), self._limit,
            WIDTH=width, BLOCK=triton.next_power_of_2(width), **OPTIONS,
        )  # fmt: skip

    def _attention(self, memory: Memory, hidden: Tensor, lanes: Tensor, time: int, layer: int) -> Tensor:
        """Remember keys and values, and attend to the window; int8 ``[rows, width]``."""
        p, heads, size = self._parameters, self.config.heads, self.config.head_size
        queries, mixed = torch.empty_like(hidden), torch.empty_like(hidden)
        keys, values = memory.keys[layer], memory.values[layer]
        split_heads[(len(hidden), heads)](
            integer_matmul(hidden, p.attention[layer]), p.attention_multiplier, p.attention_shift, p.head_norms,
            lanes, memory.positions, queries, keys, values, layer, time, self._slots,
            HEADS=heads, SIZE=size, BLOCK=triton.next_power_of_2(size), num_warps=1, **OPTIONS,
        )  # fmt: skip
        states = (queries, keys, values, lanes, memory.positions)
        shared = (*states, *p.scores, p.exponential, p.mixing_scale, mixed, layer)
        sizes = (self._slots, self.config.window, p.exponential.numel())
        tile = triton.next_power_of_2(self.config.window) * triton.next_power_of_2(size)
        if time == 1 and tile <= MAX_TILE:
            attend_step[(len(lanes), heads)](
                *shared, *sizes, HEADS=heads, SIZE=size, BLOCK=triton.next_power_of_2(size),
                KEYS=triton.next_power_of_2(self.config.window), num_warps=max(1, min(8, tile // 2048)), **OPTIONS,
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
