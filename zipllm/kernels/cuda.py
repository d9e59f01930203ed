"""The integer Transformer on a GPU: Triton kernels between ``torch._int_mm``, CUDA graphs for single steps.

The same integers as the reference. The same code runs in Triton's interpreter on a CPU (``TRITON_INTERPRET=1``).
Threads may share a model, each with a state of its own; their work goes to the device in one order.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.kernels.checks import check_columns, check_indices, check_wanted
from zipllm.kernels.gpu_forward import Forward
from zipllm.kernels.gpu_memory import CudaState, LaneMemory, Order
from zipllm.kernels.gpu_parameters import Parameters
from zipllm.kernels.gpu_steps import Request, Steps
from zipllm.model.config import ModelConfig
from zipllm.model.parameters import IntegerModel

MAX_SPARE = 256
"""Tokens of a lane that go through the network together, at most: the ring has room for them and a window."""
MAX_ELEMENTS = 1 << 27
"""Largest temporary, in elements; a longer pass is cut into pieces."""


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
        most = max(1, MAX_ELEMENTS // self._widest())
        self._steps = Steps(self._forward, self._memory, self._order, most)
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
        columns = self.config.vocabulary_size + 1
        if tokens.shape[1] != 1 or not len(chosen):
            return self._pass(state, tokens, chosen, columns, lambda cumulative, _: cumulative)
        request = Request(tokens[:, 0], chosen, state.room((len(chosen), columns), self._order))
        self._steps.run(request)
        result: NDArray[np.int32] = request.host.numpy()[:, None]
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
            int32 ``[n, time, d]``; overwritten by the next call with this state.

        Raises:
            ValueError: a token id, a lane, a column or a wanted row is out of range.
        """
        check_wanted(columns, wanted, tokens.shape)
        chosen = self._chosen(state, tokens, lanes)
        table = self._on_device(columns)

        def take(cumulative: Tensor, steps: slice) -> Tensor:
            return cumulative.gather(1, table[self._order.put(wanted[:, steps]).flatten().long()])

        return self._pass(state, tokens, chosen, columns.shape[1], take)

    def _pass(
        self,
        state: CudaState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int64],
        width: int,
        take: Callable[[Tensor, slice], Tensor],
    ) -> NDArray[np.int32]:
        """Feed tokens piece by piece; collect what ``take`` keeps of each piece's frequencies, ``[rows, width]``."""
        count, time = tokens.shape
        host = state.room((count, time, width), self._order)
        length = max(1, min(self._spare, MAX_ELEMENTS // (max(1, count) * self._widest())))
        with self._order.held():
            fed, there = self._order.put(tokens), self._order.put(lanes)
            kept = torch.empty((count, time, width), dtype=torch.int32, device=self.device)
            for begin in range(0, time if count else 0, length):
                steps = slice(begin, begin + length)
                cumulative = self._forward(self._memory, fed[:, steps].contiguous(), there)
                kept[:, steps] = take(cumulative, steps).view(count, -1, width)
            host.copy_(kept, non_blocking=True)
            arrived = self._order.mark(asleep=True)
        arrived.wait()
        result: NDArray[np.int32] = host.numpy()
        return result

    def _chosen(self, state: CudaState, tokens: NDArray[np.int32], lanes: NDArray[np.int32] | None) -> NDArray[np.int64]:
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
