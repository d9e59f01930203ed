"""Work of the same shape again and again on a GPU, captured as a CUDA graph, so that Python launches no kernels.

A graph is bound to its shape and to places in memory. So there are graphs for a few numbers of lanes only, filled up
with a spare one, and what is fed is copied to where they look for it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zipllm.kernels.gpu.forward import Forward
from zipllm.kernels.gpu.memory import SPARE, LaneMemory, Order

GRAPH_AFTER = 4
"""Uses of a shape before it is captured: what comes seldom is not worth it."""
FINE_FROM = 128
"""Graphs are for powers of two lanes; from this one on for one and a half times it, too."""
LEAST_ROWS = 32
"""Of the smallest graph: the product that torch has takes more than 16 rows, and what fills them up takes time."""


def graph_lanes(lanes: int) -> int:
    """Return the lanes of the smallest graph that has room for so many."""
    size = 1 << (lanes - 1).bit_length()
    between = size // 4 * 3
    return between if lanes <= between and between > FINE_FROM else size


@dataclass
class Shaped:
    """What is fed in a shape, where its graph looks for it.

    Attributes:
        tokens: int32 ``[n, time]``.
        lanes: int64 ``[n]``.
        columns: int64 ``[n * time, d]`` to keep of the predictions, or None: all.
        filled: lanes that were fed last; the places behind them are the spare one's.
        uses: how often it has run.
        graph: the captured kernels, or None.
        result: int32 ``[n * time, d]``, where they leave what they predict.
    """

    tokens: Tensor
    lanes: Tensor
    columns: Tensor | None
    filled: int = 0
    uses: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    result: Tensor | None = None

    def fill(self, tokens: Tensor, lanes: Tensor, columns: Tensor | None) -> None:
        """Take what is to be fed, from the device or from the host; the spare lane takes the places that are left."""
        count = len(lanes)
        self.tokens[:count].copy_(tokens, non_blocking=True)
        self.lanes[:count].copy_(lanes, non_blocking=True)
        if count < self.filled:
            self.lanes[count : self.filled] = SPARE
        self.filled = count
        if self.columns is not None and columns is not None:
            self.columns[: len(columns)] = columns


class Graphs:
    """Feeds tokens to lanes in shapes that are often the same. Whoever calls it holds the order.

    Args:
        forward: does it kernel by kernel.
        memory: of the lanes.
        order: of all work on the device.
    """

    def __init__(self, forward: Forward, memory: LaneMemory, order: Order) -> None:
        self._forward = forward
        self._memory = memory
        self._order = order
        self._least = LEAST_ROWS if order.stream is not None else 1
        self._forget()

    def run(self, tokens: Tensor, lanes: Tensor, columns: Tensor | None = None) -> Tensor:
        """Feed tokens to lanes.

        Args:
            tokens: int32 ``[n, time]``, on the device, or page-locked on the host.
            lanes: int64 ``[n]``, as ``tokens``.
            columns: int64 ``[n * time, d]``, on the device: which frequencies to keep of each prediction; None is all.

        Returns:
            Cumulative frequencies int32 ``[n * time, d]``, overwritten by the next run.
        """
        if self._bound_to != len(self._memory.positions):  # it has grown, and lies elsewhere
            self._forget()
        shaped = self._shaped(tokens, columns)
        shaped.fill(tokens, lanes, columns)
        shaped.uses += 1
        if self._order.stream is None or shaped.uses <= GRAPH_AFTER:
            return self.run_once(shaped.tokens, shaped.lanes, shaped.columns)[: tokens.numel()]
        if shaped.graph is None:
            self._capture(shaped)
        assert shaped.graph is not None
        assert shaped.result is not None
        shaped.graph.replay()
        return shaped.result[: tokens.numel()]

    def run_once(self, tokens: Tensor, lanes: Tensor, columns: Tensor | None = None) -> Tensor:
        """Do what ``run`` does for a shape that is seldom."""
        cumulative = self._forward(self._memory, tokens, lanes)
        return cumulative if columns is None else cumulative.gather(1, columns)

    def _shaped(self, tokens: Tensor, columns: Tensor | None) -> Shaped:
        count, time = tokens.shape
        size = graph_lanes(max(count, -(-self._least // time)))
        width = None if columns is None else columns.shape[1]
        if (size, time, width) not in self._shapes:
            device = self._order.device
            self._shapes[size, time, width] = Shaped(
                torch.zeros((size, time), dtype=torch.int32, device=device),
                torch.full((size,), SPARE, dtype=torch.int64, device=device),
                None if columns is None else columns.new_zeros((size * time, columns.shape[1])),
            )
        return self._shapes[size, time, width]

    def _capture(self, shaped: Shaped) -> None:
        """Capture the work, which computes nothing. Graphs share their memory, since they run one after the other."""
        torch.cuda.current_blas_handle()  # each thread has one, and none can be made during a capture
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            shaped.result = self.run_once(shaped.tokens, shaped.lanes, shaped.columns)
        finally:
            graph.capture_end()
        shaped.graph = graph

    def _forget(self) -> None:
        """Let all graphs go. The name of the memory that they shared cannot be used again."""
        if self._order.stream is not None:
            self._order.stream.synchronize()
        self._shapes: dict[tuple[int, int, int | None], Shaped] = {}
        self._bound_to = len(self._memory.positions)
        self._pool = torch.cuda.graph_pool_handle() if self._order.stream is not None else None
