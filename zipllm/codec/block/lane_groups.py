"""Lanes in groups, so that a predictor can work on some of them while others are coded.

A group is some neighboring lanes with a predictor state of their own. What is predicted does not depend on groups.
When encoding, groups share out the work of a chunk; when decoding, each has a thread that predicts and decodes it.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.threads.work_queue import Task, WorkQueue
from zipllm.predictor.base import Predictor, Selection, State

LEAST_LANES = 4
"""Lanes of a group: fewer would read the network's weights too often for too little. Groups have multiples of it."""
GROUPS_PER_THREAD = 2
"""When encoding: more groups than threads, so that all have something to do until a chunk is done."""

Integers = NDArray[np.int32]


def cut(lanes: int, groups: int) -> list[tuple[int, int]]:
    """Return where groups begin and end: as many as wanted, or as there are lanes enough for."""
    groups = max(1, min(groups, lanes // LEAST_LANES))
    edges = [lanes * number // groups // LEAST_LANES * LEAST_LANES for number in range(groups)]
    return list(pairwise([*edges, lanes]))


def predictions(
    predictor: Predictor,
    table: Integers,
    counts: NDArray[np.int64],
    edges: Sequence[int],
    columns: Integers | None = None,
    single: int = 0,
) -> Iterator[tuple[int, Integers, Integers]]:
    """Yield the predictions after known tokens, chunk by chunk.

    Args:
        predictor: of any kind; one that threads may share, or that selects, computes the next chunk while this is used.
        table: int32 ``[lanes, time + 1]``, what to feed, and the token after it.
        counts: int64 ``[lanes]``, how many of them a lane has to feed.
        edges: the step at which each chunk begins, from 0 on, and ``time``.
        columns: int32 ``[V, d]``, which cumulative frequencies each token needs that comes next; None: all.
        single: chunks at the beginning that have one step, which is asked for as a decoder does.

    Yields:
        The first step, int32 ``[n]`` the lanes that have it, and int32 ``[n, steps, V + 1]``, or ``[n, steps, d]``
        where so much was selected, valid until the next.
    """
    known = _Known(table, counts, columns)
    threads = predictor.traits.threads
    if threads > 1 and len(edges) > 2:
        yield from _predictions_ahead(predictor, known, edges, threads)
        return
    state = predictor.start(len(table))
    for begin in edges[:single]:
        running, fed, _ = known.between(begin, begin + 1)
        yield begin, running, predictor.predict(state, fed, running, threads=predictor.traits.threads)
    if columns is not None:
        yield from _selections_ahead(predictor, state, known, edges[single:])
        return
    for begin, end in pairwise(edges[single:]):
        running, fed, _ = known.between(begin, end)
        yield begin, running, predictor.predict(state, fed, running, threads=predictor.traits.threads)


class _Known:
    """Tokens to feed, and what is wanted of the predictions after them; arguments as ``predictions``."""

    def __init__(self, table: Integers, counts: NDArray[np.int64], columns: Integers | None) -> None:
        self.lanes = len(table)
        self.columns = columns
        self._table = table
        self._counts = counts

    def between(self, begin: int, end: int) -> tuple[Integers, Integers, Integers]:
        """Return the lanes that have step ``begin``, what to feed them, and what comes after each."""
        running = np.flatnonzero(self._counts > begin).astype(np.int32)
        return running, self._table[running, begin:end], self._table[running, begin + 1 : end + 1]

    def selection(self, wanted: Integers) -> Selection | None:
        """Return what is wanted of the predictions before some tokens."""
        return None if self.columns is None else Selection(self.columns, wanted)


def _selections_ahead(
    predictor: Predictor, state: State, known: _Known, edges: Sequence[int]
) -> Iterator[tuple[int, Integers, Integers]]:
    """Do what ``predictions`` does; while a chunk is used, another thread waits for the next."""

    def chunk(begin: int, end: int) -> tuple[int, Integers, Integers]:
        running, fed, wanted = known.between(begin, end)
        selection = known.selection(wanted)
        assert selection is not None, "otherwise the result would be valid until the next call only"
        threads = predictor.traits.threads
        return begin, running, predictor.predict(state, fed, running, threads=threads, selection=selection)

    with ThreadPoolExecutor(1, thread_name_prefix="zipllm") as pool:
        chunks = [pool.submit(chunk, *steps) for steps in list(pairwise(edges))[:1]]
        for following in pairwise(edges[1:]):
            said, chunks = chunks[0].result(), [pool.submit(chunk, *following)]
            yield said
        yield from (last.result() for last in chunks)


def _predictions_ahead(
    predictor: Predictor, known: _Known, edges: Sequence[int], threads: int
) -> Iterator[tuple[int, Integers, Integers]]:
    """Do what ``predictions`` does; while a chunk is used, other threads are at the next."""
    chunks = _Chunks(predictor, known, edges, threads)
    with WorkQueue(threads) as queue:
        chunk = chunks.hand_out(queue, 0)
        for number in range(1, len(edges)):
            following = chunks.hand_out(queue, number) if number < len(edges) - 1 else chunk
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

    def __init__(self, predictor: Predictor, known: _Known, edges: Sequence[int], threads: int) -> None:
        self._known = known
        self._steps = list(pairwise(edges))
        self._lanes = cut(known.lanes, GROUPS_PER_THREAD * threads)
        self._predict = partial(predictor.predict, threads=max(1, threads // len(self._lanes)))
        self._states = [predictor.start(end - begin) for begin, end in self._lanes]
        self._last: list[Task | None] = [None] * len(self._lanes)
        self._width = len(predictor.vocabulary) + 1 if known.columns is None else known.columns.shape[1]
        longest = max(end - begin for begin, end in self._steps)
        self._rooms = [np.empty(known.lanes * longest * self._width, dtype=np.int32) for _ in range(2)]

    def hand_out(self, queue: WorkQueue, number: int) -> _Chunk:
        """Put the work of a chunk into the queue."""
        begin, end = self._steps[number]
        running, fed, wanted = self._known.between(begin, end)
        shape = (*fed.shape, self._width)
        out = self._rooms[number % 2][: math.prod(shape)].reshape(shape)
        tasks = []
        for group, (first, last) in enumerate(self._lanes):
            rows = slice(*np.searchsorted(running, (first, last)).tolist())
            if rows.start < rows.stop:
                lanes, selection = running[rows] - np.int32(first), self._known.selection(wanted[rows])
                state = self._states[group]
                work = partial(self._predict, state, fed[rows], lanes, out=out[rows], selection=selection)
                self._last[group] = task = queue.put(work, after=self._last[group])
                tasks.append(task)
        return _Chunk(begin, running, out, tasks)
