"""Repeated work of one shape on a GPU, captured as a CUDA graph, so that Python launches no kernels.

A graph is bound to its shape and to addresses. So only a few numbers of lanes have graphs, padded with the spare lane,
and inputs are copied to where the graph reads them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zipllm.kernels.gpu.forward import Forward
from zipllm.kernels.gpu.memory import SPARE, LaneMemory, Order

GRAPH_AFTER = 4
"""Uses of a shape before it is captured; capturing rare shapes does not pay."""
FINE_FROM = 128
"""Graphs have powers of two lanes; from this power on, also one and a half times as many."""
LEAST_ROWS = 32
"""Rows of the smallest graph: torch's int8 product needs more than 16."""


def graph_lanes(lanes: int) -> int:
    """Return the lanes of the smallest graph with room for ``lanes``."""
    size = 1 << (lanes - 1).bit_length()
    between = size // 4 * 3
    return between if lanes <= between and between > FINE_FROM else size


@dataclass
class Shaped:
    """Inputs and result of a shape, at the addresses its graph uses.

    Attributes:
        tokens: int32 ``[n, time]``.
        lanes: int64 ``[n]``.
        columns: int64 ``[n * time, d]`` to keep of the predictions; None keeps all.
        filled: lanes of the last call; the rest is padded with the spare lane.
        uses: number of runs.
        graph: the captured kernels, or None.
        result: int32 ``[n * time, d]``, the predictions.
    """

    tokens: Tensor
    lanes: Tensor
    columns: Tensor | None
    filled: int = 0
    uses: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    result: Tensor | None = None

    def fill(self, tokens: Tensor, lanes: Tensor, columns: Tensor | None) -> None:
        """Copy inputs, from the device or from the host, and pad with the spare lane."""
        count = len(lanes)
        self.tokens[:count].copy_(tokens, non_blocking=True)
        self.lanes[:count].copy_(lanes, non_blocking=True)
        if count < self.filled:
            self.lanes[count : self.filled] = SPARE
        self.filled = count
        if self.columns is not None and columns is not None:
            self.columns[: len(columns)] = columns


class Graphs:
    """Feeds tokens to lanes. Callers hold the order.

    Args:
        forward: launches the kernels one by one.
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
            columns: int64 ``[n * time, d]``, on the device: the columns to keep of each prediction; None keeps all.

        Returns:
            Cumulative frequencies int32 ``[n * time, d]``, overwritten by the next run.
        """
        if self._bound_to != len(self._memory.positions):  # it has grown and moved
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
        """Do the same without a graph, for rare shapes."""
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
        """Capture the work, which computes nothing. Graphs share memory, since they run one after the other."""
        torch.cuda.current_blas_handle()  # of this thread; it cannot be created during a capture
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream().synchronize()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            shaped.result = self.run_once(shaped.tokens, shaped.lanes, shaped.columns)
        finally:
            graph.capture_end()
        shaped.graph = graph

    def _forget(self) -> None:
        """Drop all graphs, and take a new handle of shared memory, since the old one cannot be used again."""
        if self._order.stream is not None:
            self._order.stream.synchronize()
        self._shapes: dict[tuple[int, int, int | None], Shaped] = {}
        self._bound_to = len(self._memory.positions)
        self._pool = torch.cuda.graph_pool_handle() if self._order.stream is not None else None
