"""The integer Transformer on the CPU, compiled: the same frequencies as the reference, many times faster."""

from abc import ABC, abstractmethod
from concurrent.futures import Future
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import is_cached
from zipllm.jit.meeting import CAN_MEET, Table, new_table, open_table
from zipllm.kernels.checks import Columns, check_indices
from zipllm.kernels.cpu.cache import CpuState, LaneState, Room, from_reference, new_room, new_state
from zipllm.kernels.cpu.forward import Rows, Work, forward
from zipllm.kernels.cpu.layout import MATRICES, CacheShape, pack_network
from zipllm.kernels.cpu.threads import Pool
from zipllm.model.config import NetworkConfig
from zipllm.model.transformer.parameters import TransformerParameters

if TYPE_CHECKING:
    from zipllm.model.transformer.integer import State as ReferenceState

MIN_ROWS = 8
"""Fewest rows per thread; fewer are not worth waking another thread for."""
LEAST_PRODUCTS = 1 << 24
"""Fewest multiplications of a call whose columns are shared; fewer take no longer than waking another thread. With
`small` that is three rows (benchmarks/LOG.md, 2026-11-30)."""
_ALL = np.empty((0, 0), dtype=np.int32)
"""The table of columns that stands for whole predictions."""
MAX_IMBALANCE = 1.1
"""Whole lanes go to a thread unless one thread would get more than this times the average."""

Rows64: TypeAlias = NDArray[np.int64]
Result: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The columns of predictions to keep, and the array that receives them."""


State = TypeVar("State", bound=LaneState)


class CompiledNetwork(ABC, Generic[State]):
    """What the kernels of every architecture share: the checks of a call, its threads, and who gets which rows.

    Several Python threads may use it at once, each with a state of its own.

    Args:
        config: of the model.
        products: multiplications per token.
        slots: most slots of a lane.
        spare: tokens that always fit into a lane at once.
        reach: tokens before those of a call that stay in a lane.
    """

    name = "cpu kernels"
    concurrent = True
    selects = False

    def __init__(self, config: NetworkConfig, products: int, slots: int, spare: int, reach: int) -> None:
        self._vocabulary_size, self._start_token = config.vocabulary_size, config.start_token
        self._products, self._slots, self._spare, self._reach = products, slots, spare, reach
        self._meeting = Lock()  # of one call at a time: two that each wait for half of the pool would never end
        self._pool = Pool()
        self._columns = Columns(config.vocabulary_size + 1, _plain_table)

    @abstractmethod
    def start(self, lanes: int) -> State:
        """Return the state of ``lanes`` lanes that have been fed nothing."""

    @abstractmethod
    def _rows(
        self, state: State, lanes: NDArray[np.int64], tokens: NDArray[np.int64], out: Rows64, wanted: Rows64
    ) -> Any:
        """Return the kernels' named tuple of int64 ``[rows]`` for tokens int64 ``[n, time]``; one is ``token``."""

    @abstractmethod
    def _compute(
        self,
        state: State,
        rows: Any,
        stream: Any,
        scratch: Any,
        number: int,
        table: Table,
        cut: tuple[int, int],
        result: Result,
    ) -> None:
        """Call the kernel, see ``forward``."""

    @abstractmethod
    def _new_room(self) -> Any:
        """Return the buffers of one thread: a pair named ``stream`` and ``scratch``."""

    def copy(self, state: State, lanes: int) -> State:
        return state.copied(lanes)

    def rewind(self, state: State, lanes: NDArray[np.int32], tokens: int) -> None:
        state.advance(lanes.astype(np.int64), -tokens)

    def predict(
        self,
        state: State,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        *,
        out: NDArray[np.int32] | None = None,
        threads: int = 1,
        selection: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
    ) -> NDArray[np.int32]:
        chosen = lanes.astype(np.int64)
        check_indices(tokens, chosen, self._start_token, len(state.filled))
        count, time = tokens.shape
        columns, wanted, width = _ALL, tokens, self._vocabulary_size + 1
        if selection is not None:
            columns, wanted = self._columns(*selection, tokens.shape), selection[1]
            width = columns.shape[1]
        if out is None:
            out = self._room(state, count, time) if selection is None else np.empty((count, time, width), np.int32)
        elif out.shape != (count, time, width) or not _is_plain(out):
            raise ValueError(f"out does not fit predictions of {count} x {time} tokens: {out.dtype} {out.shape}")
        cumulative = out.reshape(count * time, width)
        for begin in range(0, time, self._spare):
            piece = tokens[:, begin : begin + self._spare]
            state.make_room(chosen, piece.shape[1], self._slots, self._reach)
            target = np.arange(count)[:, None] * time + np.arange(begin, begin + piece.shape[1])
            kept = wanted[:, begin : begin + self._spare].astype(np.int64)
            rows = self._rows(state, chosen, piece.astype(np.int64), target.ravel(), kept.ravel())
            self._run(state, rows, count, (columns, cumulative), threads)
            state.advance(chosen, piece.shape[1])
        return out

    def _room(self, state: State, count: int, time: int) -> NDArray[np.int32]:
        """Return the state's own array for ``count`` x ``time`` whole predictions, enlarged if need be."""
        rows = count * time
        if state.cumulative is None or len(state.cumulative) < rows:
            state.cumulative = np.empty((rows, self._vocabulary_size + 1), dtype=np.int32)
        return state.cumulative[:rows].reshape(count, time, self._vocabulary_size + 1)

    def _run(self, state: State, rows: Any, lanes: int, result: Result, most: int) -> None:
        """Divide rows among threads: whole lanes if that is fair, otherwise the columns of all rows."""
        total = len(rows.token)
        threads = max(1, min(most, total // MIN_ROWS))
        cuts = [lanes * part // threads * (total // lanes) for part in range(threads + 1)]
        fair = max(end - begin for begin, end in pairwise(cuts)) * threads <= MAX_IMBALANCE * total
        if fair and threads > 1:
            self._by_lanes(state, rows, cuts, result)
        elif (
            most > 1 and CAN_MEET and total * self._products >= LEAST_PRODUCTS and self._meeting.acquire(blocking=False)
        ):
            try:
                self._by_columns(state, rows, result, most)
            finally:
                self._meeting.release()
        else:
            self._by_lanes(state, rows, [0, total], result)

    def _by_lanes(self, state: State, rows: Any, cuts: list[int], result: Result) -> None:
        """Compute every share, this thread the first; compiled code releases Python's lock."""

        def work(share: int) -> None:
            stream, scratch = rooms[share]
            self._compute(state, rows, stream, scratch, 0, new_table(1), (cuts[share], cuts[share + 1]), result)

        rooms = self._rooms(state, len(cuts) - 1)
        others = [(share, self._pool.submit(len(cuts) - 2, partial(work, share))) for share in range(1, len(cuts) - 1)]
        work(0)
        for share, other in others:
            if other is None:
                work(share)
            else:
                other.result()

    def _by_columns(self, state: State, rows: Any, result: Result, threads: int) -> None:
        """Compute all rows in ``threads`` threads, or as many as can be started."""
        table, rooms = new_table(), self._rooms(state, threads)

        def work(number: int) -> None:
            stream, scratch = rooms[0].stream, rooms[number].scratch
            self._compute(state, rows, stream, scratch, number, table, (0, len(rows.token)), result)

        started: list[Future[None]] = []
        try:
            while len(started) < threads - 1:
                other = self._pool.submit(threads - 1, partial(work, len(started) + 1))
                if other is None:
                    break
                started.append(other)
            open_table(table, 1 + len(started))
            work(0)
        except BaseException:  # a signal: the others wait for this thread
            open_table(table, 1 + len(started))
            work(0)
            raise
        for other in started:
            other.result()

    def _rooms(self, state: State, count: int) -> list[Any]:
        while len(state.rooms) < count:
            state.rooms.append(self._new_room())
        return state.rooms


def kernels_are_cached() -> bool:
    """Whether the kernels load from disk in a moment; otherwise their first call compiles for some seconds."""
    return is_cached(forward)


class CpuNetwork(CompiledNetwork[CpuState]):
    """Runs a `TransformerParameters` in compiled kernels; see ``zipllm.predictor.network.Network``.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
    """

    def __init__(self, model: TransformerParameters) -> None:
        self.config = model.config
        self._network = pack_network(model)
        shape = CacheShape.of(model.config)
        products = sum(getattr(self._network, name).panels.size for name in MATRICES)
        super().__init__(model.config, products, shape.slots, shape.spare, model.config.window - 1)

    def start(self, lanes: int) -> CpuState:
        return new_state(self.config, lanes)

    def take_over(self, state: "ReferenceState") -> CpuState:
        """Return the reference's state in the layout of these kernels."""
        return from_reference(self.config, state)

    def _rows(
        self, state: CpuState, lanes: NDArray[np.int64], tokens: NDArray[np.int64], out: Rows64, wanted: Rows64
    ) -> Rows:
        slots = state.filled[lanes, None] + np.arange(tokens.shape[1])
        return Rows(tokens.ravel(), np.repeat(lanes, tokens.shape[1]), slots.ravel(), out, wanted)

    def _compute(
        self,
        state: CpuState,
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


def _plain_table(columns: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.require(columns, np.int32, ["C", "W"])


def _is_plain(array: NDArray[np.int32]) -> bool:
    """Kernels are compiled for one kind of array only."""
    return array.dtype == np.int32 and array.flags.c_contiguous and array.flags.writeable
