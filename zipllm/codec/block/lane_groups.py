"""Predictions of known tokens, chunk by chunk; lanes in groups, so that some are predicted while others are coded.

A group is a run of neighboring lanes that share a predictor state; predictions do not depend on the grouping. When
encoding, threads share a chunk's groups; when decoding, each group has a thread that predicts and decodes it.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import Integers, Predicted
from zipllm.codec.threads.work_queue import Task, WorkQueue
from zipllm.engine.engine import Engine
from zipllm.mixing.predictions import Predictions
from zipllm.predictor.base import Predictor, Selection, State

CHUNK_CUMULATIVE_BYTES = 32 << 20
"""Frequencies predicted by one call when encoding: enough rows to fill the processor, little enough memory."""

CHUNK_ROWS = 2048
"""Upper limit on rows per call when prediction and coding overlap; larger calls leave one thread idle at the ends of a
block."""

MAX_CHUNK_STEPS = 1024

EVEN_STEPS = 64
"""Calls to a GPU have a multiple of this many steps, so that it can cut them into equal pieces."""

MAX_COLUMNS = 1 << 23
"""Largest table ``DecisionTree.columns``, in entries, that is worth its memory."""

LEAST_LANES = 4
"""Groups have a multiple of this many lanes; smaller groups would read the network's weights too often."""

GROUPS_PER_THREAD = 2
"""Encoding has more groups than threads, so that all threads stay busy until a chunk is done."""


def cut(lanes: int, groups: int) -> list[tuple[int, int]]:
    """Return the first lane and the end of each group: ``groups`` of them, or fewer if there are too few lanes."""
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
        predictor: of any kind; with threads or a selection, the next chunk is computed while this one is used.
        table: int32 ``[lanes, time + 1]``, the tokens to feed, each followed by the token to predict.
        counts: int64 ``[lanes]``, number of tokens to feed to each lane.
        edges: the first step of each chunk, starting with 0, and ``time``.
        columns: int32 ``[V, d]``, the columns of a prediction that coding reads, by the token that comes next; None:
            all.
        single: number of chunks at the beginning that have one step, which is predicted as a decoder does.

    Yields:
        The first step, the lanes that have it int32 ``[n]``, and cumulative frequencies int32 ``[n, steps, V + 1]``, or
        ``[n, steps, d]`` with a selection, valid until the next chunk.
    """
    known = _Known(table, counts, columns)
    threads = predictor.traits.threads
    if threads > 1 and len(edges) > 2:
        yield from _predictions_ahead(predictor, known, edges, threads)
        return
    state = predictor.start(len(table))
    threads = predictor.traits.threads
    for begin in edges[:single]:
        running, fed, _ = known.between(begin, begin + 1)
        yield begin, running, predictor.predict(state, fed, running, threads=threads)
    if columns is not None:
        yield from _selections_ahead(predictor, state, known, edges[single:])
        return
    for begin, end in pairwise(edges[single:]):
        running, fed, _ = known.between(begin, end)
        yield begin, running, predictor.predict(state, fed, running, threads=threads)


class _Known:
    """Tokens to feed, and the columns to select; arguments as ``predictions``."""

    def __init__(self, table: Integers, counts: NDArray[np.int64], columns: Integers | None) -> None:
        self.lanes = len(table)
        self.columns = columns
        self._table = table
        self._counts = counts

    def between(self, begin: int, end: int) -> tuple[Integers, Integers, Integers]:
        """Return the lanes that have step ``begin``, the tokens to feed them, and the token after each."""
        running = np.flatnonzero(self._counts > begin).astype(np.int32)
        return running, self._table[running, begin:end], self._table[running, begin + 1 : end + 1]

    def selection(self, following: Integers) -> Selection | None:
        """Return the columns to select of the predictions of some tokens."""
        return None if self.columns is None else Selection(self.columns, following)


def _selections_ahead(
    predictor: Predictor, state: State, known: _Known, edges: Sequence[int]
) -> Iterator[tuple[int, Integers, Integers]]:
    """As ``predictions``; while a chunk is used, another thread waits for the next."""

    def chunk(begin: int, end: int) -> tuple[int, Integers, Integers]:
        running, fed, wanted = known.between(begin, end)
        selection = known.selection(wanted)
        assert selection is not None, "without one the result would be valid only until the next call"
        threads = predictor.traits.threads
        return begin, running, predictor.predict(state, fed, running, threads=threads, selection=selection)

    with WorkQueue(1) as queue:
        pending: Task[tuple[int, Integers, Integers]] | None = None
        for begin, end in pairwise(edges):
            current, pending = pending, queue.put(partial(chunk, begin, end))
            if current is not None:
                yield queue.wait(current)
        if pending is not None:
            yield queue.wait(pending)


def _predictions_ahead(
    predictor: Predictor, known: _Known, edges: Sequence[int], threads: int
) -> Iterator[tuple[int, Integers, Integers]]:
    """As ``predictions``; while a chunk is used, other threads compute the next."""
    chunks = _Chunks(predictor, known, edges, threads)
    with WorkQueue(threads - 1, helps=True) as queue:
        chunk = chunks.hand_out(queue, 0)
        for number in range(1, len(edges)):
            following = chunks.hand_out(queue, number) if number < len(edges) - 1 else chunk
            for task in chunk.tasks:
                queue.wait(task)
            yield chunk.begin, chunk.running, chunk.out
            chunk = following


class _Chunk(NamedTuple):
    """Predictions in the making: the first step, the lanes that have it, the result to be, and the tasks."""

    begin: int
    running: Integers
    out: Integers
    tasks: list[Task[Any]]


class _Chunks:
    """Queues the work of chunks, group by group; a group's chunks are computed in order."""

    def __init__(self, predictor: Predictor, known: _Known, edges: Sequence[int], threads: int) -> None:
        self._known = known
        self._steps = list(pairwise(edges))
        self._lanes = cut(known.lanes, GROUPS_PER_THREAD * threads)
        self._predict = partial(predictor.predict, threads=max(1, threads // len(self._lanes)))
        self._states = [predictor.start(end - begin) for begin, end in self._lanes]
        self._last: list[Task[Any] | None] = [None] * len(self._lanes)
        self._width = len(predictor.vocabulary) + 1 if known.columns is None else known.columns.shape[1]
        longest = max(end - begin for begin, end in self._steps)
        self._rooms = [np.empty(known.lanes * longest * self._width, dtype=np.int32) for _ in range(2)]

    def hand_out(self, queue: WorkQueue, number: int) -> _Chunk:
        """Queue the work of a chunk."""
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


def predicted_chunks(
    engine: Engine, tokens: Sequence[Integers], *, whole: bool = False, steps: int | None = None, single: int = 0
) -> Iterator[Predicted]:
    """Predict the tokens of all lanes, chunk by chunk; the size of chunks changes nothing but speed and memory.

    Args:
        engine: the model.
        tokens: ids of each lane, int32 ``[n_lane]``.
        whole: whole predictions are needed, also where coding reads only some columns.
        steps: of a chunk; None chooses.
        single: this many steps at the beginning are predicted one by one, as a decoder does.
    """
    columns = engine.tree.columns if not whole and _selects(engine) else None
    steps = chunk_steps(engine, len(tokens), selecting=columns is not None) if steps is None else steps
    counts = np.array([len(lane) for lane in tokens], dtype=np.int64)
    longest = int(counts.max())
    # Column 0 is the start token, column t + 1 the token of step t. Shorter lanes end in zeros, which are fed to the
    # predictor only after a lane's last token and never coded.
    table = np.zeros((len(tokens), longest + 1), dtype=np.int32)
    table[:, 0] = engine.predictor.start_token
    for row, lane in zip(table, tokens, strict=True):
        row[1 : len(lane) + 1] = lane
    single = min(single, longest)
    edges = [*range(single), *range(single, longest, steps), longest]
    found = predictions(engine.predictor, table, counts, edges, columns, single)
    for (begin, end), (_, running, cumulative) in zip(pairwise(edges), found, strict=True):
        # Single steps may come whole.
        selected = None if cumulative.shape[2] > engine.tree.size else columns
        left = np.minimum(counts[running] - begin, end - begin)
        known = table[running, begin + 1 : end + 1]
        yield Predicted(running, left, known, Predictions(cumulative, selected), end / longest)


def chunk_steps(engine: Engine, lanes: int, *, selecting: bool = False) -> int:
    """Return how many steps of all lanes to predict at once, at least one.

    ``CHUNK_CUMULATIVE_BYTES`` limits their whole or selected predictions, and ``CHUNK_ROWS`` their number where several
    threads of the processor share them.
    """
    row = 4 * ((engine.tree.longest if selecting else engine.tree.size) + 1)
    rows = CHUNK_CUMULATIVE_BYTES // row
    if selecting and engine.predictor.traits.threads > 1:
        rows = min(rows, CHUNK_ROWS)
    steps = max(1, min(MAX_CHUNK_STEPS, rows // lanes))
    return steps // EVEN_STEPS * EVEN_STEPS if selecting and steps > EVEN_STEPS else steps


def _selects(engine: Engine) -> bool:
    """Return whether predictions are best limited to what coding reads; a hostile vocabulary is not worth a table."""
    tree = engine.tree
    return engine.predictor.traits.selects and tree.size * (tree.longest + 1) <= MAX_COLUMNS
