"""The integer Transformer on a GPU: Triton kernels between ``torch._int_mm``, CUDA graphs for what comes often.

The same integers as the reference. The same code runs in Triton's interpreter on a CPU (``TRITON_INTERPRET=1``).
Threads may share a model, each with a state of its own; their work goes to the device in one order.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.checks import check_columns, check_indices, check_wanted
from zipllm.kernels.gpu.copies import Copies
from zipllm.kernels.gpu.forward import Forward
from zipllm.kernels.gpu.graphs import Graphs
from zipllm.kernels.gpu.memory import CudaState, LaneMemory, Order
from zipllm.kernels.gpu.parameters import Parameters
from zipllm.kernels.gpu.steps import Request, Steps
from zipllm.model.config import ModelConfig
from zipllm.model.parameters import IntegerModel

MAX_SPARE = 256
"""Tokens of a lane that go through the network together, at most: the ring has room for them and a window."""
MAX_ELEMENTS = 9 << 24
"""Largest temporary, in elements; a longer pass is cut into pieces. With 8192 tokens, 18,000 rows."""


class CudaTransformer:
    """Runs an `IntegerModel` on a GPU.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
        device: a CUDA device; the CPU where Triton interprets its kernels (tests).
    """

    def __init__(self, model: IntegerModel, device: torch.device | str = "cuda") -> None:
        self.config: ModelConfig = model.config
        self.device = torch.device(device)
        self._order = Order(self.device)
        self._spare = min(max(model.config.window, 1), MAX_SPARE)
        self._memory = LaneMemory(model.config, model.config.window + self._spare, self._order)
        self._forward = Forward(model.config, Parameters(model, self.device))
        self._graphs = Graphs(self._forward, self._memory, self._order)
        self._copies = Copies(self._order)
        self._steps = Steps(self._graphs, self._order, self._copies)
        self._columns: tuple[NDArray[np.int32], Tensor] | None = None

    def start(self, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have been fed nothing."""
        return self._memory.state(lanes)

    def copies(self, state: CudaState, lanes: int) -> CudaState:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""
        copy = self._memory.state(lanes)
        self._memory.copy(int(state.lanes[0]), copy.lanes)
        return copy

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
        chosen = self._chosen(state, tokens, lanes)
        count, time = tokens.shape
        host = state.room((count, time, self.config.vocabulary_size + 1), self._order)
        if time == 1 and count:
            self._steps.run(Request(tokens[:, 0], chosen, host[:, 0]))
        else:
            self._pass(tokens, chosen, None, host)
        result: NDArray[np.int32] = host.numpy()
        return result

    @torch.no_grad()
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
            int32 ``[n, time, d]``; overwritten by the next call but one with this state.

        Raises:
            ValueError: a token id, a lane, a column or a wanted row is out of range.
        """
        check_wanted(columns, wanted, tokens.shape)
        chosen = self._chosen(state, tokens, lanes)
        host = state.room((*tokens.shape, columns.shape[1]), self._order, other=True)
        self._pass(tokens, chosen, (self._on_device(columns), wanted), host)
        result: NDArray[np.int32] = host.numpy()
        return result

    def _pass(
        self,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int64],
        columns: tuple[Tensor, NDArray[np.int32]] | None,
        host: Tensor,
    ) -> None:
        """Feed tokens piece by piece, and fill ``host`` with the columns wanted of each prediction, or with all."""
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
        """Return how many tokens of so many lanes to feed together: a power of two, so that pieces are alike."""
        most = min(self._spare, MAX_ELEMENTS // (max(1, lanes) * self._widest()))
        return 1 << max(0, most.bit_length() - 1)

    def _chosen(
        self, state: CudaState, tokens: NDArray[np.int32], lanes: NDArray[np.int32] | None
    ) -> NDArray[np.int64]:
        """Return where lanes are in the memory, int64 ``[n]``; refuse what does not exist."""
        numbers = np.arange(len(state.lanes)) if lanes is None else lanes.astype(np.int64)
        check_indices(tokens, numbers, self.config.start_token, len(state.lanes))
        chosen: NDArray[np.int64] = state.lanes[numbers]
        return chosen

    def _on_device(self, columns: NDArray[np.int32]) -> Tensor:
        """Return a table on the device, int64; the last one is kept there."""
        kept = self._columns
        if kept is None or kept[0] is not columns:
            check_columns(columns, self.config.vocabulary_size + 1)
            kept = self._columns = columns, torch.from_numpy(columns.astype(np.int64)).to(self.device)
        return kept[1]

    def _widest(self) -> int:
        """Elements of the largest row that a temporary has."""
        return max(self.config.vocabulary_size + 1, self.config.feedforward, 3 * self.config.width)
