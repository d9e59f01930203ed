"""Lanes in groups, so that a predictor can work on some of them while others are coded.

A group is some neighbouring lanes with a predictor state of their own. What is predicted does not depend on groups.
When encoding, groups share out the work of a chunk; when decoding, each has a thread that predicts and decodes it.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.work_queue import Task, WorkQueue
from zipllm.predictor.base import Predictor, SelectingPredictor, ThreadedPredictor

LEAST_LANES = 4
"""Lanes of a group: fewer would read the network's weights too often for too little. Groups have multiples of it."""
GROUPS_PER_THREAD = 2
"""When encoding: more groups than threads, so that all have something to do until a chunk is done."""

Integers = NDArray[np.int32]


def threads_of(predictor: Predictor) -> int:
    """Return how many threads a predictor can use side by side; 1 also where it has threads of its own."""
    return predictor.threads if isinstance(predictor, ThreadedPredictor) else 1


def cut(lanes: int, groups: int) -> list[tuple[int, int]]:
    """Return where groups begin and end: as many as wanted, or as there are lanes enough for."""
    groups = max(1, min(groups, lanes // LEAST_LANES))
    edges = [lanes * number // groups // LEAST_LANES * LEAST_LANES for number in range(groups)]
    return list(pairwise([*edges, lanes]))


class Computing:
    """A predictor and the state of one group; chooses the call that the predictor has.

    What the predictor has is asked once: to ask it of a protocol takes longer than the rest of a call here.
    """

    def __init__(self, predictor: Predictor, lanes: int, threads: int) -> None:
        self._predictor = predictor
        self._threaded = predictor if isinstance(predictor, ThreadedPredictor) else None
        self._selecting = predictor if isinstance(predictor, SelectingPredictor) else None
        self._threads = threads
        self._state = predictor.start(lanes)

    def into(self, tokens: Integers, lanes: Integers, out: Integers) -> None:
        assert self._threaded is not None, "others give arrays of their own"
        self._threaded.predict_into(self._state, tokens, lanes, out, self._threads)

    def prefill(self, tokens: Integers, lanes: Integers) -> Integers:
        return self._predictor.prefill(self._state, tokens, lanes)

    def select(self, tokens: Integers, lanes: Integers, columns: Integers, wanted: Integers) -> Integers:
        assert self._selecting is not None, "asked for only of those"
        return self._selecting.select(self._state, tokens, lanes, columns, wanted)

    def step(self, tokens: Integers, lanes: Integers) -> Integers:
        return self._predictor.step(self._state, tokens, lanes)


def predictions(
    predictor: Predictor, table: Integers, counts: NDArray[np.int64], steps: int
) -> Iterator[tuple[int, Integers, Integers]]:
    """Yield the predictions after known tokens, ``steps`` steps at a time.

    Args:
        predictor: of any kind; one that threads may share computes the next chunk while this one is used.
        table: int32 ``[lanes, time]``, what to feed.
        counts: int64 ``[lanes]``, how many of them a lane has.
        steps: of a chunk.

    Yields:
        The first step, int32 ``[n]`` the lanes that have it, and int32 ``[n, steps, V + 1]``, valid until the next.
    """
    threads = threads_of(predictor)
    if threads > 1 and table.shape[1] > steps:
        yield from _predictions_ahead(predictor, table, counts, steps, threads)
        return
    computing = Computing(predictor, len(table), 1)
    for begin in range(0, table.shape[1], steps):
        running = np.flatnonzero(counts > begin).astype(np.int32)
        yield begin, running, computing.prefill(table[running, begin : begin + steps], running)


def selections(
    predictor: Predictor, table: Integers, counts: NDArray[np.int64], steps: int, columns: Integers
) -> Iterator[tuple[int, Integers, Integers]]:
    """Do what ``predictions`` does, for a ``SelectingPredictor``: the row of ``columns`` is that of the next token.

    Args:
        predictor: of that kind.
        table: int32 ``[lanes, time + 1]``, what to feed, and the token after it.
        counts: int64 ``[lanes]``, how many of them a lane has to feed.
        steps: of a chunk.
        columns: int32 ``[V, d]``, which cumulative frequencies a token needs.

    Yields:
        As ``predictions``, but int32 ``[n, steps, d]``. While a chunk is used, the next is computed.
    """
    computing = Computing(predictor, len(table), 1)

    def chunk(begin: int) -> tuple[int, Integers, Integers]:
        running = np.flatnonzero(counts > begin).astype(np.int32)
        fed, wanted = table[running, begin : begin + steps], table[running, begin + 1 : begin + steps + 1]
        return begin, running, computing.select(fed[:, : wanted.shape[1]], running, columns, wanted)

    with ThreadPoolExecutor(1, thread_name_prefix="zipllm") as pool:
        ahead = pool.submit(chunk, 0)
        for begin in range(steps, table.shape[1] - 1, steps):
            said, ahead = ahead.result(), pool.submit(chunk, begin)
            yield said
        yield ahead.result()


def _predictions_ahead(
    predictor: Predictor, table: Integers, counts: NDArray[np.int64], steps: int, threads: int
) -> Iterator[tuple[int, Integers, Integers]]:
    """Do what ``predictions`` does; while a chunk is used, other threads are at the next."""
    chunks = _Chunks(predictor, table, counts, steps, threads)
    with WorkQueue(threads) as queue:
        chunk = chunks.hand_out(queue, 0)
        for begin in range(steps, table.shape[1] + steps, steps):
            following = chunks.hand_out(queue, begin) if begin < table.shape[1] else chunk
            for task in chunk.tasks:
                queue.wait(task)
            yield chunk.begin, chunk.running, chunk.out
            chunk = following


class _Chunk(NamedTuple):
    """Predictions being made: its first step, the lanes that have it, where the result will be, and who makes it."""

    begin: int
    running: Integers
    out: Integers
    tasks: list[Task]


class _Chunks:
    """Hands out the work of a chunk, group by group; a group's chunks are computed one after the other."""

    def __init__(
        self, predictor: Predictor, table: Integers, counts: NDArray[np.int64], steps: int, threads: int
    ) -> None:
        self._table = table
        self._counts = counts
        self._steps = steps
        self._edges = cut(len(table), GROUPS_PER_THREAD * threads)
        alone = max(1, threads // len(self._edges))
        self._groups = [Computing(predictor, end - begin, alone) for begin, end in self._edges]
        self._last: list[Task | None] = [None] * len(self._edges)
        self._columns = len(predictor.vocabulary) + 1
        self._rooms = [np.empty(len(table) * steps * self._columns, dtype=np.int32) for _ in range(2)]

    def hand_out(self, queue: WorkQueue, begin: int) -> _Chunk:
        """Put the work of the chunk from step ``begin`` on into the queue."""
        running = np.flatnonzero(self._counts > begin).astype(np.int32)
        fed = self._table[running, begin : begin + self._steps]
        shape = (*fed.shape, self._columns)
        out = self._rooms[begin // self._steps % 2][: math.prod(shape)].reshape(shape)
        tasks = []
        for number, (first, end) in enumerate(self._edges):
            rows = slice(*np.searchsorted(running, (first, end)).tolist())
            if rows.start < rows.stop:
                work = partial(self._groups[number].into, fed[rows], running[rows] - np.int32(first), out[rows])
                self._last[number] = task = queue.put(work, after=self._last[number])
                tasks.append(task)
        return _Chunk(begin, running, out, tasks)
