"""The whole network in one compiled call, for any rows: tokens of any lanes, each with its slot in the cache."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import entry_from, inlined
from zipllm.kernels.cpu.attention import attend, fetch_keys, remember_key, remember_value, unit_heads
from zipllm.kernels.cpu.cache import BLOCK_ROWS, HEAD_ROWS, TILE_ROWS, Cache, Scratch, Stream
from zipllm.kernels.cpu.elementwise import add, embed, normalize, squared_relu
from zipllm.kernels.cpu.frequencies import accumulate
from zipllm.kernels.cpu.layout import OFFSET, Network
from zipllm.kernels.cpu.product import linear


class Rows(NamedTuple):
    """Tokens to feed, each lane's in order of time and next to each other; int64 ``[rows]`` each.

    Attributes:
        token: its id.
        lane: the lane it is fed to.
        slot: its place in the cache.
        out: the row of the result that receives the prediction after it.
        wanted: the row of the table of columns to keep of it.
    """

    token: NDArray[np.int64]
    lane: NDArray[np.int64]
    slot: NDArray[np.int64]
    out: NDArray[np.int64]
    wanted: NDArray[np.int64]


class Work(NamedTuple):
    """What a call of ``forward`` works on.

    Attributes:
        network: packed model.
        cache: of all lanes; receives the rows' keys and values.
        rows: what to feed.
        stream: between stages, for all rows.
        scratch: this thread's.
    """

    network: Network
    cache: Cache
    rows: Rows
    stream: Stream
    scratch: Scratch


@inlined
def _embed(work: Work, first: int, count: int) -> None:
    network, rows, stream = work.network, work.rows, work.stream
    for row in range(first, first + count):
        token = rows.token[row]
        multiplier, shift = network.embedding_multiplier[token], network.embedding_shift[0]
        embed(network.embedding[token], multiplier, shift, network.shape.limit, stream.residual[row])


@inlined
def _norm(constant: np.int64, first: int, count: int, stream: Stream, out: NDArray[np.uint8]) -> None:
    for row in range(count):
        normalize(stream.residual[first + row], constant, out[row])


@inlined
def _project(work: Work, first: int, count: int, layer: int) -> None:
    """Compute queries, and store keys and values."""
    network, cache, rows, stream, scratch = work
    shape, sums = network.shape, scratch.sums
    _norm(network.attention_norm[layer], first, count, stream, scratch.hidden)
    linear(scratch.hidden, count, network.key, layer, sums)
    for row in range(count):
        lane, slot, key = rows.lane[first + row], rows.slot[first + row], sums[row, : shape.width]
        unit_heads(shape, network.attention.key_norm[layer], key, np.int64(0), scratch.key)
        remember_key(shape, cache, layer, lane, slot, scratch.key)
    linear(scratch.hidden, count, network.value, layer, sums)
    for row in range(count):
        lane, slot = rows.lane[first + row], rows.slot[first + row]
        remember_value(shape, cache, layer, lane, slot, sums[row, : shape.width])
    linear(scratch.hidden, count, network.query, layer, sums)
    for row in range(count):
        query = sums[row, : shape.width]
        unit_heads(shape, network.attention.query_norm[layer], query, np.int64(OFFSET), stream.queries[first + row])


@inlined
def _mix(work: Work, first: int, count: int, layer: int) -> None:
    """Attend and add the result to the stream."""
    network, cache, rows, stream, scratch = work
    row = 0
    while row < count:
        lane, slot = rows.lane[first + row], rows.slot[first + row]
        together = 1
        while together < min(TILE_ROWS, count - row) and rows.lane[first + row + together] == lane:
            together += 1
        if row + together < count:
            following = first + row + together
            fetch_keys(network.shape, cache, layer, rows.lane[following], np.int64(0), rows.slot[following])
        queries, out = stream.queries[first + row :], scratch.mixed[row:]
        attend(network.shape, network.attention, cache, layer, lane, slot, together, queries, scratch, out)
        row += together
    linear(scratch.mixed, count, network.output, layer, scratch.sums)
    _add(work, first, count)


@inlined
def _feed(work: Work, first: int, count: int, layer: int) -> None:
    """Run the feed-forward and add the result to the stream."""
    network, scratch = work.network, work.scratch
    _norm(network.feedforward_norm[layer], first, count, work.stream, scratch.hidden)
    linear(scratch.hidden, count, network.up, layer, scratch.sums)
    for row in range(count):
        squared_relu(scratch.sums[row], scratch.active[row])
    linear(scratch.active, count, network.down, layer, scratch.sums)
    _add(work, first, count)


@inlined
def _add(work: Work, first: int, count: int) -> None:
    shape = work.network.shape
    for row in range(count):
        add(work.stream.residual[first + row], work.scratch.sums[row, : shape.width], shape.limit)


@inlined
def _predict(work: Work, first: int, count: int, columns: NDArray[np.int32], cumulative: NDArray[np.int32]) -> None:
    network, rows, scratch = work.network, work.rows, work.scratch
    _norm(network.final_norm[0], first, count, work.stream, scratch.hidden)
    for start in range(0, count, HEAD_ROWS):
        together = min(HEAD_ROWS, count - start)
        linear(scratch.hidden[start:], together, network.head, np.int64(0), scratch.logits)
        for row in range(together):
            number = first + start + row
            out = cumulative[rows.out[number]]
            whole = out if columns.size == 0 else scratch.cumulative
            accumulate(scratch.logits[row, : network.shape.vocabulary], network.frequency_exponential, whole)
            if columns.size > 0:
                kept = columns[rows.wanted[number]]
                for index in range(kept.size):
                    out[index] = whole[kept[index]]


@entry_from("zipllm.kernels.cpu", "zipllm.model.ranges")
def forward(
    work: Work,
    begin: int,
    end: int,
    first_stage: int,
    last_stage: int,
    columns: NDArray[np.int32],
    cumulative: NDArray[np.int32],
) -> None:
    """Run some stages of the network on rows ``begin`` to ``end``.

    Stage 0 embeds and computes the first layer's keys; stage ``s`` finishes layer ``s - 1`` and begins layer ``s``,
    or predicts. A row needs the keys of earlier rows of its lane, so all stages can run at once on rows that
    are in order; where the rows of a lane are shared out, every stage waits for the one before.

    Args:
        work: model, state, rows and buffers.
        begin: first row.
        end: behind the last row.
        first_stage: 0 to ``layers``.
        last_stage: the last one to run.
        columns: int32 ``[..., d]``, a table of columns to keep of predictions; empty: all.
        cumulative: int32 ``[..., vocabulary + 1]`` or ``[..., d]``, receives the predictions.
    """
    for first in range(begin, end, BLOCK_ROWS):
        count = min(BLOCK_ROWS, end - first)
        for stage in range(first_stage, last_stage + 1):
            if stage == 0:
                _embed(work, first, count)
            else:
                _mix(work, first, count, stage - 1)
                _feed(work, first, count, stage - 1)
            if stage < work.network.shape.layers:
                _project(work, first, count, stage)
            else:
                _predict(work, first, count, columns, cumulative)
