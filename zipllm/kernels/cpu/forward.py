"""The whole network in one compiled call, for any rows: tokens of any lanes, each with its slot in the cache.

Threads share rows by columns: each computes some heads of attention and some columns of every other product, and waits
for the others before it reads what they wrote. One thread alone computes all columns and waits for nobody.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, entry_from, inlined
from zipllm.jit.meeting import Share, Table, cut, join, meet
from zipllm.kernels.cpu.attention import attend, fetch_keys, remember_key, remember_value, unit_heads
from zipllm.kernels.cpu.cache import BLOCK_ROWS, HEAD_ROWS, TILE_ROWS, Cache, Scratch, Stream
from zipllm.kernels.cpu.elementwise import add, embed, normalize, squared_relu
from zipllm.kernels.cpu.frequencies import accumulate
from zipllm.kernels.cpu.layout import OFFSET, PANEL, Network
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
        stream: of the threads that share the rows.
        scratch: this thread's.
    """

    network: Network
    cache: Cache
    rows: Rows
    stream: Stream
    scratch: Scratch


@inlined
def _embed(work: Work, share: Share, first: int, count: int) -> None:
    network, stream = work.network, work.stream
    begin, end = cut(share, network.shape.width, PANEL)
    for row in range(count):
        token = work.rows.token[first + row]
        multiplier, shift = network.embedding_multiplier[token], network.embedding_shift[0]
        embed(
            network.embedding[token, begin:end], multiplier, shift, network.shape.limit, stream.residual[row, begin:end]
        )
    meet(share)


@inlined
def _norm(work: Work, constant: np.int64, count: int) -> None:
    for row in range(count):
        normalize(work.stream.residual[row], constant, work.scratch.hidden[row])


@inlined
def _project(work: Work, share: Share, first: int, count: int, layer: int) -> None:
    """Compute queries, and store keys and values."""
    network, cache, rows, _, scratch = work
    shape, sums = network.shape, scratch.sums
    heads = cut(share, shape.heads, shape.head_unit)
    columns = heads[0] * shape.head_size, heads[1] * shape.head_size
    _norm(work, network.attention_norm[layer], count)
    linear(scratch.hidden, count, network.key, layer, columns, sums)
    for row in range(count):
        lane, slot, key = rows.lane[first + row], rows.slot[first + row], sums[row, : shape.width]
        unit_heads(shape, heads, network.attention.key_norm[layer], key, np.int64(0), scratch.key)
        remember_key(shape, heads, cache, layer, lane, slot, scratch.key)
    linear(scratch.hidden, count, network.value, layer, columns, sums)
    for row in range(count):
        lane, slot = rows.lane[first + row], rows.slot[first + row]
        remember_value(shape, heads, cache, layer, lane, slot, sums[row, : shape.width])
    linear(scratch.hidden, count, network.query, layer, columns, sums)
    for row in range(count):
        query = sums[row, : shape.width]
        unit_heads(shape, heads, network.attention.query_norm[layer], query, np.int64(OFFSET), scratch.queries[row])


@inlined
def _mix(work: Work, share: Share, first: int, count: int, layer: int) -> None:
    """Attend and add the result to the stream."""
    network, cache, rows, stream, scratch = work
    heads = cut(share, network.shape.heads, network.shape.head_unit)
    row = 0
    while row < count:
        lane, slot = rows.lane[first + row], rows.slot[first + row]
        together = 1
        while together < min(TILE_ROWS, count - row) and rows.lane[first + row + together] == lane:
            together += 1
        if row + together < count:
            following = first + row + together
            fetch_keys(network.shape, cache, layer, rows.lane[following], heads[0], rows.slot[following])
        queries, out = scratch.queries[row:], stream.mixed[row:]
        attend(network.shape, heads, network.attention, cache, layer, lane, slot, together, queries, scratch, out)
        row += together
    meet(share)
    columns = cut(share, network.shape.width, PANEL)
    linear(stream.mixed, count, network.output, layer, columns, scratch.sums)
    _add(work, share, columns, count)


@inlined
def _feed(work: Work, share: Share, count: int, layer: int) -> None:
    """Run the feed-forward and add the result to the stream."""
    network, stream, scratch = work.network, work.stream, work.scratch
    begin, end = cut(share, network.shape.feedforward, PANEL)
    _norm(work, network.feedforward_norm[layer], count)
    linear(scratch.hidden, count, network.up, layer, (begin, end), scratch.sums)
    for row in range(count):
        squared_relu(scratch.sums[row, begin:end], stream.active[row, begin:end])
    meet(share)
    columns = cut(share, network.shape.width, PANEL)
    linear(stream.active, count, network.down, layer, columns, scratch.sums)
    _add(work, share, columns, count)


@inlined
def _add(work: Work, share: Share, columns: tuple[Integer, Integer], count: int) -> None:
    begin, end = columns
    for row in range(count):
        add(work.stream.residual[row, begin:end], work.scratch.sums[row, begin:end], work.network.shape.limit)
    meet(share)


@inlined
def _predict(
    work: Work, share: Share, first: int, count: int, columns: NDArray[np.int32], cumulative: NDArray[np.int32]
) -> None:
    network, rows, stream, scratch = work.network, work.rows, work.stream, work.scratch
    vocabulary = network.shape.vocabulary
    _norm(work, network.final_norm[0], count)
    for start in range(0, count, HEAD_ROWS):
        together = min(HEAD_ROWS, count - start)
        linear(
            scratch.hidden[start:], together, network.head, np.int64(0), cut(share, vocabulary, PANEL), stream.logits
        )
        meet(share)
        for row in range(share.number, together, share.threads):
            number = first + start + row
            out = cumulative[rows.out[number]]
            whole = out if columns.size == 0 else scratch.cumulative
            accumulate(stream.logits[row, :vocabulary], network.frequency_exponential, whole)
            if columns.size > 0:
                kept = columns[rows.wanted[number]]
                for index in range(kept.size):
                    out[index] = whole[kept[index]]
        meet(share)


@entry_from("zipllm.kernels.cpu", "zipllm.model.ranges", "zipllm.jit.meeting")
def forward(
    work: Work,
    number: int,
    table: Table,
    begin: int,
    end: int,
    columns: NDArray[np.int32],
    cumulative: NDArray[np.int32],
) -> None:
    """Run the network on rows ``begin`` to ``end``; the rows of a lane are in order.

    Args:
        work: model, state, rows and buffers.
        number: of this thread among those that share the rows.
        table: what they meet by, see ``jit.meeting``.
        begin: first row.
        end: behind the last row.
        columns: int32 ``[..., d]``, a table of columns to keep of predictions; empty: all.
        cumulative: int32 ``[..., vocabulary + 1]`` or ``[..., d]``, receives the predictions.
    """
    share = join(number, table, work.scratch.met)
    if number >= share.threads:  # a signal came while this thread was started
        return
    for first in range(begin, end, BLOCK_ROWS):
        count = min(BLOCK_ROWS, end - first)
        _embed(work, share, first, count)
        for layer in range(work.network.shape.layers):
            _project(work, share, first, count, layer)
            _mix(work, share, first, count, layer)
            _feed(work, share, count, layer)
        _predict(work, share, first, count, columns, cumulative)
