"""The integer Transformer on a GPU: Triton kernels between ``torch._int_mm``, CUDA graphs for frequent shapes.

The same code runs in Triton's interpreter on a CPU (``TRITON_INTERPRET=1``). Threads may share a network, each with a
state of its own; their work goes to the device in one order.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.errors import memory_errors
from zipllm.kernels.checks import Columns, check_indices
from zipllm.kernels.gpu.copies import Copies
from zipllm.kernels.gpu.forward import Forward, Parameters
from zipllm.kernels.gpu.graphs import Graphs
from zipllm.kernels.gpu.memory import GpuState, LaneMemory, Order
from zipllm.kernels.gpu.steps import Request, Steps
from zipllm.model.config import MOST_REWOUND
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters

MAX_SPARE = 256
"""Most tokens of a lane that go through the network together; the ring has room for them and a window."""
MAX_ELEMENTS = 9 << 24
"""Largest temporary, in elements; a longer pass is cut into pieces. With 8192 tokens, 18,000 rows."""


class GpuNetwork:
    """Runs an `TransformerParameters` on a GPU; see ``zipllm.predictor.network.Network``.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
        device: a CUDA device; the CPU where Triton interprets its kernels (tests).
    """

    concurrent = False
    selects = True

    @memory_errors()
    def __init__(self, model: TransformerParameters, device: torch.device | str = "cuda") -> None:
        self.name = f"cuda kernels on {device}"
        self.config: TransformerConfig = model.config
        self.device = torch.device(device)
        self._order = Order(self.device)
        self._spare = min(max(model.config.window, 1), MAX_SPARE)
        self._memory = LaneMemory(model.config, model.config.window + max(self._spare, MOST_REWOUND), self._order)
        self._forward = Forward(model.config, Parameters(model, self.device))
        self._graphs = Graphs(self._forward, self._memory, self._order)
        self._copies = Copies(self._order)
        self._steps = Steps(self._graphs, self._order, self._copies)
        self._columns = Columns(model.config.vocabulary_size + 1, self._on_device)

    @memory_errors()
    def start(self, lanes: int) -> GpuState:
        return self._memory.state(lanes)

    @memory_errors()
    def copy(self, state: GpuState, lanes: int) -> GpuState:
        copy = self._memory.state(lanes)
        self._memory.copy(int(state.lanes[0]), copy.lanes)
        return copy

    def rewind(self, state: GpuState, lanes: NDArray[np.int32], tokens: int) -> None:
        self._memory.rewind(state.lanes[lanes], tokens)

    @memory_errors()
    @torch.no_grad()
    def predict(
        self,
        state: GpuState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        *,
        out: NDArray[np.int32] | None = None,
        threads: int = 1,
        selection: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
    ) -> NDArray[np.int32]:
        numbers = lanes.astype(np.int64)
        check_indices(tokens, numbers, self.config.start_token, len(state.lanes))
        chosen: NDArray[np.int64] = state.lanes[numbers]
        count, time = tokens.shape
        if selection is None:
            host = state.room((count, time, self.config.vocabulary_size + 1), self._order)
            if time == 1 and count:
                self._steps.run(Request(tokens[:, 0], chosen, host[:, 0]))
            else:
                self._pass(tokens, chosen, None, host)
        else:
            columns = self._columns(*selection, tokens.shape)
            host = state.room((count, time, columns.shape[1]), self._order, other=True)
            self._pass(tokens, chosen, (columns, selection[1]), host)
        result: NDArray[np.int32] = host.numpy()
        if out is None:
            return result
        out[...] = result
        return out

    def _pass(
        self,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int64],
        columns: tuple[Tensor, NDArray[np.int32]] | None,
        host: Tensor,
    ) -> None:
        """Feed tokens piece by piece, and fill ``host`` with the selected columns of each prediction, or with all."""
        count, time, width = host.shape
        length = self._piece(count)
        with self._order.held():
            fed, there = self._order.put(tokens), self._order.put(lanes)
            table, wanted = (None, fed) if columns is None else (columns[0], self._order.put(columns[1]))
            kept = torch.empty((count, time, width), dtype=torch.int32, device=self.device)
            for begin in range(0, time if count else 0, length):
                piece = fed[:, begin : begin + length].contiguous()
                chosen = None if table is None else table[wanted[:, begin : begin + length].flatten().long()]
                often = chosen is not None and piece.shape[1] == length
                rows = (self._graphs.run if often else self._graphs.run_once)(piece, there, chosen)
                kept[:, begin : begin + length] = rows.view(count, -1, width)
            arrived = self._copies.begin(kept, [host])
        arrived.wait()

    def _piece(self, lanes: int) -> int:
        """Return how many tokens of each lane to feed together: a power of two, so that pieces have equal shapes."""
        most = min(self._spare, MAX_ELEMENTS // (max(1, lanes) * self._widest()))
        return 1 << max(0, most.bit_length() - 1)

    def _widest(self) -> int:
        """Return the elements of the widest row of any temporary."""
        return max(self.config.vocabulary_size + 1, self.config.feedforward, 3 * self.config.width)

    def _on_device(self, columns: NDArray[np.int32]) -> Tensor:
        return torch.from_numpy(columns.astype(np.int64)).to(self.device)
