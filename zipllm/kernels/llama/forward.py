"""The whole network in one compiled call, for any rows; threads share them as in ``zipllm.kernels.cpu.forward``."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, entry_from, inlined
from zipllm.jit.meeting import Share, Table, cut, join, meet
from zipllm.kernels.cpu.elementwise import add, embed
from zipllm.kernels.cpu.frequencies import accumulate
from zipllm.kernels.cpu.layout import PANEL
from zipllm.kernels.llama.attention import attend, remember_key, remember_value, storage
from zipllm.kernels.llama.cache import BLOCK_ROWS, HEAD_ROWS, TILE_ROWS, Cache, Scratch, Stream
from zipllm.kernels.llama.elementwise import gate, normalize, normalize_head, round_row, turn_head
from zipllm.kernels.llama.layout import Network
from zipllm.kernels.llama.positions import find_turn
from zipllm.kernels.llama.product import linear
from zipllm.model.llama.parameters import ATTENTION, FEEDFORWARD, GATED, HEAD_MAX, MIXED, RESULT_MAX
from zipllm.model.ranges import WIDE_MAX


class Rows(NamedTuple):
    """Tokens to feed, each lane's in order of time and next to each other; int64 ``[rows]`` each.

    Attributes:
        token: its id.
        lane: the lane it is fed to.
        position: its place in the stream.
        slot: its place in the cache behind the front; kept tokens count from ``-kept``.
        out: the row of the result that receives the prediction after it.
        wanted: the row of the table of columns to keep of it.
    """

    token: NDArray[np.int64]
    lane: NDArray[np.int64]
    position: NDArray[np.int64]
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
        token, position = work.rows.token[first + row], work.rows.position[first + row]
        multiplier, shift = network.embedding_multiplier[token], network.embedding_shift[0]
        embed(network.embedding[token, begin:end], multiplier, shift, RESULT_MAX, stream.residual[row, begin:end])
        turns, steps, table = work.scratch.turns[row], network.attention.rotary_step, network.attention.cosine
        find_turn(position, steps, table, turns[:2])
        find_turn(min(position, network.shape.far), steps, table, turns[2:])
    meet(share)


@inlined
def _norm(work: Work, gain: NDArray[np.int32], levels: np.int32, count: int) -> None:
    network, stream, scratch = work.network, work.stream, work.scratch
    for row in range(count):
        buffer = scratch.row[: network.shape.width]
        epsilon, residual = network.epsilon[0], stream.residual[row]
        scratch.scales[row] = normalize(residual, gain, epsilon, levels, buffer, scratch.hidden[row])


@inlined
def _round(work: Work, x: NDArray[np.int32], levels: np.int32, count: int) -> None:
    for row in range(count):
        work.scratch.scales[row] = round_row(x[row], levels, work.scratch.hidden[row])


@inlined
def _project(work: Work, share: Share, first: int, count: int, layer: int) -> None:
    """Compute queries, and store keys and values."""
    network, cache, rows, stream, scratch = work
    shape, attention, sums, size = network.shape, network.attention, scratch.sums, network.shape.head_size
    _norm(work, network.attention_gain[layer], network.levels[layer, ATTENTION], count)
    heads = cut(share, shape.key_heads, shape.head_unit)
    columns = heads[0] * size, heads[1] * size
    linear(scratch.hidden, scratch.scales, count, network.key, layer, columns, sums)
    for row in range(count):
        lane, slot, turns = rows.lane[first + row], storage(shape, rows.slot[first + row]), scratch.turns[row]
        for head in range(heads[0], heads[1]):
            key = sums[row, head * size : (head + 1) * size]
            if shape.head_norms:
                normalize_head(key, attention.key_norm[layer], attention.key_gain[layer])
            turn_head(key, turns[0], turns[1], HEAD_MAX, scratch.head)
            remember_key(cache, layer, lane, head, slot, scratch.head)
    linear(scratch.hidden, scratch.scales, count, network.value, layer, columns, sums)
    for row in range(count):
        lane, slot = rows.lane[first + row], storage(shape, rows.slot[first + row])
        for head in range(heads[0], heads[1]):
            remember_value(shape, cache, layer, lane, head, slot, sums[row, head * size : (head + 1) * size])
    heads = cut(share, shape.heads, shape.head_unit)
    columns = heads[0] * size, heads[1] * size
    linear(scratch.hidden, scratch.scales, count, network.query, layer, columns, sums)
    for row in range(count):
        turns = scratch.turns[row]
        for head in range(heads[0], heads[1]):
            query = sums[row, head * size : (head + 1) * size]
            if shape.head_norms:
                normalize_head(query, attention.query_norm[layer], attention.query_gain[layer])
            turn_head(query, turns[0], turns[1], WIDE_MAX, stream.near[row, head])
            if rows.position[first + row] > shape.far:
                turn_head(query, turns[2], turns[3], WIDE_MAX, stream.far[row, head])
    meet(share)


@inlined
def _mix(work: Work, share: Share, first: int, count: int, layer: int) -> None:
    """Attend and add the result to the stream."""
    network, cache, rows, stream, scratch = work
    shape, attention, gain = network.shape, network.attention, network.mixed_gain[layer]
    heads = cut(share, shape.heads, np.int64(1))
    most = max(1, TILE_ROWS // shape.groups)
    row = 0
    while row < count and heads[0] < heads[1]:
        lane, position, slot = rows.lane[first + row], rows.position[first + row], rows.slot[first + row]
        together = 1
        while together < min(most, count - row) and rows.lane[first + row + together] == lane:
            together += 1
        attend(shape, heads, attention, gain, cache, layer, lane, row, together, position, slot, stream, scratch)
        row += together
    meet(share)
    columns = cut(share, shape.width, PANEL)
    _round(work, stream.mixed, network.levels[layer, MIXED], count)
    linear(scratch.hidden, scratch.scales, count, network.output, layer, columns, scratch.sums)
    _add(work, share, columns, count)


@inlined
def _feed(work: Work, share: Share, count: int, layer: int) -> None:
    """Run the feed-forward and add the result to the stream."""
    network, stream, scratch = work.network, work.stream, work.scratch
    begin, end = cut(share, network.shape.feedforward, PANEL)
    _norm(work, network.feedforward_gain[layer], network.levels[layer, FEEDFORWARD], count)
    linear(scratch.hidden, scratch.scales, count, network.gate, layer, (begin, end), scratch.gates)
    linear(scratch.hidden, scratch.scales, count, network.up, layer, (begin, end), scratch.sums)
    for row in range(count):
        gates, ups, out = scratch.gates[row, begin:end], scratch.sums[row, begin:end], stream.gated[row, begin:end]
        gate(gates, ups, network.sigmoid_multiplier[layer], network.sigmoid, out)
    meet(share)
    columns = cut(share, network.shape.width, PANEL)
    _round(work, stream.gated, network.levels[layer, GATED], count)
    linear(scratch.hidden, scratch.scales, count, network.down, layer, columns, scratch.sums)
    _add(work, share, columns, count)


@inlined
def _add(work: Work, share: Share, columns: tuple[Integer, Integer], count: int) -> None:
    begin, end = columns
    for row in range(count):
        add(work.stream.residual[row, begin:end], work.scratch.sums[row, begin:end], RESULT_MAX)
    meet(share)


@inlined
def _predict(
    work: Work, share: Share, first: int, count: int, columns: NDArray[np.int32], cumulative: NDArray[np.int32]
) -> None:
    network, rows, stream, scratch = work.network, work.rows, work.stream, work.scratch
    vocabulary = network.shape.vocabulary
    part = cut(share, vocabulary, PANEL)
    _norm(work, network.final_gain, network.final_levels[0], count)
    for start in range(0, count, HEAD_ROWS):
        together = min(HEAD_ROWS, count - start)
        hidden, scales = scratch.hidden[start:], scratch.scales[start:]
        linear(hidden, scales, together, network.head, np.int64(0), part, stream.logits)
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


@entry_from(
    "zipllm.kernels.cpu",
    "zipllm.kernels.llama",
    "zipllm.model.llama.parameters",
    "zipllm.model.ranges",
    "zipllm.jit.meeting",
)
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
