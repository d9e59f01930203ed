"""Lanes in groups, so that a predictor can work on some of them while others are coded.

A group is some neighbouring lanes with a predictor state of their own. What is predicted does not depend on groups.
"""

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.work_queue import Task, WorkQueue
from zipllm.predictor.base import Predictor, ThreadedPredictor

LEAST_LANES = 4
"""Lanes of a group: fewer would read the network's weights too often for too little."""
GROUPS_PER_THREAD = 2
"""More groups than threads, so that all have something to do while one waits."""

Integers = NDArray[np.int32]


def threads_of(predictor: Predictor) -> int:
    """Return how many threads a predictor can use side by side; 1 also where it has threads of its own."""
    return predictor.threads if isinstance(predictor, ThreadedPredictor) else 1


def cut(lanes: int, threads: int) -> list[tuple[int, int]]:
    """Return where groups begin and end: one for one thread or few lanes."""
    groups = max(1, min(GROUPS_PER_THREAD * threads, lanes // LEAST_LANES)) if threads > 1 else 1
    edges = [lanes * number // groups for number in range(groups + 1)]
    return list(pairwise(edges))


class _Computing:
    """A predictor and the state of one group; chooses the call that the predictor has."""

    def __init__(self, predictor: Predictor, lanes: int, threads: int) -> None:
        self._predictor = predictor
        self._threads = threads
        self._state = predictor.start(lanes)

    def into(self, tokens: Integers, lanes: Integers, out: Integers) -> None:
        assert isinstance(self._predictor, ThreadedPredictor), "others give arrays of their own"
        self._predictor.predict_into(self._state, tokens, lanes, out, self._threads)

    def prefill(self, tokens: Integers, lanes: Integers) -> Integers:
        return self._predictor.prefill(self._state, tokens, lanes)

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
    computing = _Computing(predictor, len(table), 1)
    for begin in range(0, table.shape[1], steps):
        running = np.flatnonzero(counts > begin).astype(np.int32)
        yield begin, running, computing.prefill(table[running, begin : begin + steps], running)


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
        self._edges = cut(len(table), threads)
        alone = max(1, threads // len(self._edges))
        self._groups = [_Computing(predictor, end - begin, alone) for begin, end in self._edges]
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


class Group:
    """Some neighbouring lanes of a block being decoded: what was predicted for them, and what comes next.

    Attributes:
        first: number of its first lane.
    """

    def __init__(self, predictor: Predictor, edges: tuple[int, int], in_place: bool) -> None:
        self.first, end = edges
        lanes = end - self.first
        self._computing = _Computing(predictor, lanes, 1)
        self._lanes = np.arange(lanes, dtype=np.int32)
        self._tokens = np.full(lanes, predictor.start_token, dtype=np.int32)
        columns = len(predictor.vocabulary) + 1
        self._room = np.empty((lanes if in_place else 0, 1, columns), dtype=np.int32)
        self._predicted = self._room[:, 0]

    def lanes(self) -> Integers:
        """Return the lanes of the block that go on, int32 ``[n]``."""
        return self._lanes + np.int32(self.first)

    def predict(self) -> None:
        """Predict what follows in each lane; to be called once after each ``feed``, by any thread."""
        if len(self._room):
            room = self._room[: self._lanes.size]
            self._computing.into(self._tokens[:, None], self._lanes, room)
            self._predicted = room[:, 0]
        else:
            self._predicted = self._computing.step(self._tokens, self._lanes)

    def predicted(self) -> Integers:
        """Return the last prediction, int32 ``[n, V + 1]``; valid until the next."""
        return self._predicted

    def feed(self, tokens: Integers, unfinished: NDArray[np.bool_]) -> bool:
        """Take a token for each lane, and which go on; returns whether any does."""
        self._tokens = tokens if unfinished.all() else tokens[unfinished]
        self._lanes = self._lanes[unfinished]
        return bool(self._lanes.size)


def make_groups(predictor: Predictor, lanes: int, together: bool) -> list[Group]:
    """Return the groups of a block's lanes, in order; ``together``: all in one."""
    threads = threads_of(predictor)
    edges = [(0, lanes)] if together else cut(lanes, threads)
    return [Group(predictor, pair, in_place=len(edges) > 1) for pair in edges]
