"""The integer Transformer on the CPU, compiled: the same frequencies as the reference, many times faster."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import is_cached
from zipllm.kernels.checks import Columns, check_indices
from zipllm.kernels.cpu.cache import CpuState, Stream, copied, from_reference, new_scratch, new_state
from zipllm.kernels.cpu.forward import Rows, Work, forward
from zipllm.kernels.cpu.layout import CacheShape, pack_network
from zipllm.model.transformer.parameters import TransformerParameters

if TYPE_CHECKING:
    from zipllm.model.transformer.integer import State

MIN_ROWS = 8
"""Fewest rows per thread; fewer are not worth waking another thread for."""
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
        self._pool: ThreadPoolExecutor | None = None
        self._pool_owner = (0, 0)
        self._columns = Columns(model.config.vocabulary_size + 1, _plain_table)

    def start(self, lanes: int) -> CpuState:
        return new_state(self.config, lanes)

    def copy(self, state: CpuState, lanes: int) -> CpuState:
        return copied(state, lanes)

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
        self._make_stream(state, count * time)
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

    def _make_stream(self, state: CpuState, rows: int) -> None:
        if state.stream is None or len(state.stream.residual) < rows:
            queries = self.config.heads * self._network.shape.key_size
            state.stream = Stream(
                np.empty((rows, self.config.width), dtype=np.int32), np.zeros((rows, queries), dtype=np.uint8)
            )

    def _run(self, state: CpuState, rows: Rows, lanes: int, result: Result, most: int) -> None:
        """Divide rows among threads: whole lanes if that is fair, otherwise any rows, with a barrier per stage."""
        total = len(rows.token)
        threads = max(1, min(most, total // MIN_ROWS))
        cuts = [lanes * part // threads * (total // lanes) for part in range(threads + 1)]
        layers = self.config.layers
        if max(end - begin for begin, end in pairwise(cuts)) * threads <= MAX_IMBALANCE * total:
            self._parallel(state, rows, cuts, (0, layers), result)
            return
        cuts = [total * part // threads for part in range(threads + 1)]
        for stage in range(layers + 1):
            self._parallel(state, rows, cuts, (stage, stage), result)

    def _parallel(self, state: CpuState, rows: Rows, cuts: list[int], stages: tuple[int, int], result: Result) -> None:
        """Run some stages on every share, this thread on the first; compiled code releases Python's lock."""
        assert state.stream is not None, "made by predict"
        stream = state.stream
        while len(state.scratch) < len(cuts) - 1:
            state.scratch.append(new_scratch(self.config))

        def work(share: int) -> None:
            begin, end = cuts[share], cuts[share + 1]
            forward(Work(self._network, state.cache, rows, stream, state.scratch[share]), begin, end, *stages, *result)

        others = [(share, self._submit(len(cuts) - 2, partial(work, share))) for share in range(1, len(cuts) - 1)]
        work(0)
        for share, other in others:
            if other is None:
                work(share)
            else:
                other.result()

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
