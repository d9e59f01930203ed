"""The integer Llama on the CPU, compiled: the same frequencies as the reference, many times faster."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import is_cached
from zipllm.jit.meeting import Table
from zipllm.kernels.cpu.network import CompiledNetwork, Result, Rows64
from zipllm.kernels.llama.cache import LlamaState, Room, from_reference, new_room, new_state
from zipllm.kernels.llama.forward import Rows, Work, forward
from zipllm.kernels.llama.layout import CacheShape, pack_network
from zipllm.model.llama.config import LINEAR_LAYERS
from zipllm.model.llama.parameters import LlamaParameters

if TYPE_CHECKING:
    from zipllm.model.llama.integer import State


def kernels_are_cached() -> bool:
    """Whether the kernels load from disk in a moment; otherwise their first call compiles for some seconds."""
    return is_cached(forward)


class CpuNetwork(CompiledNetwork[LlamaState]):
    """Runs a `LlamaParameters` in compiled kernels; see ``zipllm.predictor.network.Network``.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
    """

    def __init__(self, model: LlamaParameters) -> None:
        self.config = model.config
        self._network = pack_network(model)
        shape = CacheShape.of(model.config)
        products = sum(getattr(self._network, name).panels.size for name in (*LINEAR_LAYERS, "head"))
        super().__init__(model.config, products, shape.slots, shape.spare, shape.reach)

    def start(self, lanes: int) -> LlamaState:
        return new_state(self.config, lanes)

    def take_over(self, state: "State") -> LlamaState:
        """Return the reference's state in the layout of these kernels."""
        return from_reference(self.config, state)

    def _rows(
        self, state: LlamaState, lanes: NDArray[np.int64], tokens: NDArray[np.int64], out: Rows64, wanted: Rows64
    ) -> Rows:
        time = tokens.shape[1]
        steps = np.arange(time)
        position, slot = (start[lanes, None] + steps for start in (state.positions, state.filled))
        return Rows(tokens.ravel(), np.repeat(lanes, time), position.ravel(), slot.ravel(), out, wanted)

    def _compute(
        self,
        state: LlamaState,
        rows: Any,
        stream: Any,
        scratch: Any,
        number: int,
        table: Table,
        cut: tuple[int, int],
        result: Result,
    ) -> None:
        forward(Work(self._network, state.cache, rows, stream, scratch), number, table, *cut, *result)

    def _new_room(self) -> Room:
        return new_room(self.config)
