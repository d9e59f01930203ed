"""The integer Transformer on the CPU, compiled: the same frequencies as the reference, many times faster."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import is_cached
from zipllm.jit.meeting import CAN_MEET, new_table, open_table
from zipllm.kernels.checks import Columns, check_indices
from zipllm.kernels.cpu.cache import CpuState, Room, copied, from_reference, new_room, new_state
from zipllm.kernels.cpu.forward import Rows, Work, forward
from zipllm.kernels.cpu.layout import MATRICES, CacheShape, pack_network
from zipllm.model.transformer.parameters import TransformerParameters

if TYPE_CHECKING:
    from zipllm.model.transformer.integer import State

MIN_ROWS = 8
"""Fewest rows per thread; fewer are not worth waking another thread for."""
LEAST_PRODUCTS = 1 << 24
"""Fewest multiplications of a call whose columns are shared; fewer take no longer than waking another thread. With
`small` that is three rows (benchmarks/LOG.md, 2026-11-30)."""
_ALL = np.empty((0, 0), dtype=np.int32)
"""The table of columns that stands for whole predictions."""
MAX_IMBALANCE = 1.1
"""Whole lanes go to a thread unless one thread would get more than this times the average."""

Result: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]
"""The columns of predictions to keep, and the array that receives them."""


def kernels_are_cached() -> bool:
    """Whether the kernels load from disk in a moment; otherwise their first call compiles for some seconds."""
    return is_cached(forward)


class CpuNetwork:
    """Runs an `TransformerParameters` in compiled kernels; see ``zipllm.predictor.network.Network``.

    Several Python threads may use it at once, each with a state of its own.

    Args:
        model: a model that has passed ``bounds.check_bounds``.
    """

    name = "cpu kernels"
    concurrent = True
    selects = False

    def __init__(self, model: TransformerParameters) -> None:
        self.config = model.config
        self._network = pack_network(model)
        self._shape = CacheShape.of(model.config)
        self._products = sum(getattr(self._network, name).panels.size for name in MATRICES)
        self._meeting = Lock()  # of one call at a time: two that each wait for half of the pool would never end
        self._pool: ThreadPoolExecutor | None = None
        self._pool_owner = (0, 0)
        self._columns = Columns(model.config.vocabulary_size + 1, _plain_table)

    def start(self, lanes: int) -> CpuState:
        return new_state(self.config, lanes)

    def copy(self, state: CpuState, lanes: int) -> CpuState:
        return copied(state, lanes)

    def rewind(self, state: CpuState, lanes: NDArray[np.int32], tokens: int) -> None:
        state.filled[lanes] -= tokens

    def take_over(self, state: "State") -> CpuState:
        """Return the reference's state in the layout of these kernels."""
        return from_reference(self.config, state)

    def predict(
        self,
        state: CpuState,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        *,
        out: NDArray[np.int32] | None = None,
        threads: int = 1,
        selection: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
    ) -> NDArray[np.int32]:
        chosen = lanes.astype(np.int64)
        check_indices(tokens, chosen, self.config.start_token, len(state.filled))
        count, time = tokens.shape
        columns, wanted, width = _ALL, tokens, self.config.vocabulary_size + 1
        if selection is not None:
            columns, wanted = self._columns(*selection, tokens.shape), selection[1]
            width = columns.shape[1]
        if out is None:
            out = self._room(state, count, time) if selection is None else np.empty((count, time, width), np.int32)
        elif out.shape != (count, time, width) or not _is_plain(out):
            raise ValueError(f"out does not fit predictions of {count} x {time} tokens: {out.dtype} {out.shape}")
        cumulative = out.reshape(count * time, width)
        for begin in range(0, time, self._shape.spare):
            piece = tokens[:, begin : begin + self._shape.spare]
            state.make_room(chosen, piece.shape[1], self._shape.slots, self.config.window)
            slots = state.filled[chosen, None] + np.arange(piece.shape[1])
            target = np.arange(count)[:, None] * time + np.arange(begin, begin + piece.shape[1])
            lane = np.repeat(chosen, piece.shape[1])
            kept = wanted[:, begin : begin + self._shape.spare].astype(np.int64)
            rows = Rows(piece.astype(np.int64).ravel(), lane, slots.ravel(), target.ravel(), kept.ravel())
            self._run(state, rows, count, (columns, cumulative), threads)
            state.filled[chosen] += piece.shape[1]
        return out

    def _room(self, state: CpuState, count: int, time: int) -> NDArray[np.int32]:
        """Return the state's own array for ``count`` x ``time`` whole predictions, enlarged if need be."""
        rows = count * time
        if state.cumulative is None or len(state.cumulative) < rows:
            state.cumulative = np.empty((rows, self.config.vocabulary_size + 1), dtype=np.int32)
        return state.cumulative[:rows].reshape(count, time, self.config.vocabulary_size + 1)

    def _run(self, state: CpuState, rows: Rows, lanes: int, result: Result, most: int) -> None:
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

    def _by_lanes(self, state: CpuState, rows: Rows, cuts: list[int], result: Result) -> None:
        """Compute every share, this thread the first; compiled code releases Python's lock."""

        def work(share: int) -> None:
            begin, end = cuts[share], cuts[share + 1]
            room = rooms[share]
            forward(Work(self._network, state.cache, rows, *room), 0, new_table(1), begin, end, *result)

        rooms = self._rooms(state, len(cuts) - 1)
        others = [(share, self._submit(len(cuts) - 2, partial(work, share))) for share in range(1, len(cuts) - 1)]
        work(0)
        for share, other in others:
            if other is None:
                work(share)
            else:
                other.result()

    def _by_columns(self, state: CpuState, rows: Rows, result: Result, threads: int) -> None:
        """Compute all rows in ``threads`` threads, or as many as can be started."""
        table, rooms = new_table(), self._rooms(state, threads)

        def work(number: int) -> None:
            shared = Work(self._network, state.cache, rows, rooms[0].stream, rooms[number].scratch)
            forward(shared, number, table, 0, len(rows.token), *result)

        started: list[Future[None]] = []
        try:
            while len(started) < threads - 1:
                other = self._submit(threads - 1, partial(work, len(started) + 1))
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

    def _rooms(self, state: CpuState, count: int) -> list[Room]:
        while len(state.rooms) < count:
            state.rooms.append(new_room(self.config))
        return state.rooms

    def _submit(self, count: int, work: Callable[[], None]) -> "Future[None] | None":
        """Begin work in a pool of ``count`` threads; None where threads cannot be started, or the program is ending."""
        process, size = self._pool_owner
        if process != os.getpid() or size < count:  # a forked process needs a pool of its own
            self._pool, self._pool_owner = _full_pool(count), (os.getpid(), count)
        try:
            return self._pool.submit(work) if self._pool is not None else None
        except RuntimeError:
            return None


def _full_pool(count: int) -> ThreadPoolExecutor | None:
    """Return a pool whose threads all run, so that it never fails with work half accepted; None if one cannot start."""
    pool, together = ThreadPoolExecutor(count, thread_name_prefix="zipllm"), Event()
    try:
        for _ in range(count):
            pool.submit(together.wait)
    except RuntimeError:
        pool.shutdown(wait=False, cancel_futures=True)
        return None
    finally:
        together.set()
    return pool


def _plain_table(columns: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.require(columns, np.int32, ["C", "W"])


def _is_plain(array: NDArray[np.int32]) -> bool:
    """Kernels are compiled for one kind of array only."""
    return array.dtype == np.int32 and array.flags.c_contiguous and array.flags.writeable
