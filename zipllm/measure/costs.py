"""What each token of a block cost: a block coded once more, with the coder watched after every token.

The bits are those of the real coding path. With history a token is handed to the block's encoder alone, and its cost
is how far the range coder's interval shrank (``FusedEncoder.spent``); the order of coding is the block's own, so the
words are, too. Without history the decisions of all lanes are interleaved, and a token's cost is the sum of
``-log2 p`` over its decisions, with the probabilities that the range coder is given. The first counts what the coder
loses by dropping ``range mod 2**24`` (about 2e-4 bit a decision), the second does not.

What the model alone would have charged comes from its frequencies ``f``: ``-log2(f / 2**precision)``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coders import AdaptiveEncoder, block_memory, open_block_encoder
from zipllm.codec.block.history_block import NO_MODEL, byte_table, byte_vocabulary
from zipllm.codec.block.lanes import lane_sizes, split
from zipllm.codec.block.model_block import Predicted, check_memory, chunk_steps, predicted_chunks
from zipllm.coder.range_coder import PROBABILITY_BITS, words_to_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.decisions import chunk_decisions
from zipllm.progress import Advance

TOP = 5
"""Predictions that are told for each token."""

_REPORT_STEPS = 256
_ONE = np.ones(1, dtype=np.int64)


class Opinions(NamedTuple):
    """What the model said of each token, ``n`` in the order of the file.

    Attributes:
        frequency: int32 ``[n]``, of the token that came; of ``2**precision``.
        rank: int32 ``[n]``, 1 for a token of which none was more probable.
        top: int32 ``[n, k]``, the ids of the ``k <= TOP`` most probable tokens; of equal ones the smaller id first.
        top_frequency: int32 ``[n, k]``.
    """

    frequency: NDArray[np.int32]
    rank: NDArray[np.int32]
    top: NDArray[np.int32]
    top_frequency: NDArray[np.int32]


class Costs(NamedTuple):
    """What was paid, in the order of the file.

    Attributes:
        tokens: int32 ``[n]``, ids.
        lanes: int32 ``[n]``, ascending.
        bits: float64 ``[n]``, what each token cost.
        payload: what all of them were coded to.
        opinions: the model's; None without a model.
    """

    tokens: NDArray[np.int32]
    lanes: NDArray[np.int32]
    bits: NDArray[np.float64]
    payload: bytes
    opinions: Opinions | None


def model_costs(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> Costs:
    """Code a block as ``encode_model_block`` does, and tell what every token cost; arguments and errors as there."""
    check_memory(engine, parameters.lanes)
    pieces = engine.tokenizer.encode_all(split(raw, parameters.lanes))
    counts = np.array([len(piece) for piece in pieces], dtype=np.int64)
    sizes = np.array(lane_sizes(len(raw), parameters.lanes), dtype=np.int64)
    coder = open_block_encoder(engine, sizes, parameters)
    starts = np.cumsum(counts) - counts
    bits = np.zeros(int(counts.sum()), dtype=np.float64)
    opinions = _no_opinions(bits.size, min(TOP, len(engine.predictor.vocabulary)))
    done = np.zeros_like(counts)
    for chunk in predicted_chunks(engine, pieces, chunk_steps(engine, parameters.lanes)):
        if isinstance(coder, AdaptiveEncoder):
            spent = _by_interval(coder, chunk)
        else:
            coder.encode(chunk.cumulative, chunk.tokens, chunk.lanes, chunk.counts)
            spent = _by_probability(engine.tree, chunk)
        for row, (lane, count) in enumerate(zip(chunk.lanes.tolist(), chunk.counts.tolist(), strict=True)):
            here = slice(int(starts[lane] + done[lane]), int(starts[lane] + done[lane]) + count)
            bits[here] = spent[row, :count]
            _hear(opinions, here, chunk.cumulative[row, :count], chunk.tokens[row, :count])
            done[lane] += count
        if advance is not None:
            advance(chunk.done, coder.written_bytes())
    lanes = np.repeat(np.arange(len(pieces), dtype=np.int32), counts)
    return Costs(np.concatenate(pieces), lanes, bits, words_to_bytes(coder.finish()), opinions)


def history_costs(raw: bytes, parameters: CodingParameters, advance: Advance | None) -> Costs:
    """Code a block as ``encode_history_block`` does, and tell what every byte cost; a token is a byte here."""
    sizes = np.array(lane_sizes(len(raw), parameters.lanes), dtype=np.int64)
    coder = AdaptiveEncoder(byte_vocabulary(), block_memory(sizes, parameters, with_model=False), parameters)
    table = byte_table(raw, sizes)
    lanes = np.arange(len(sizes), dtype=np.int32)
    bits = np.zeros(table.shape, dtype=np.float64)
    for begin in range(0, table.shape[1], _REPORT_STEPS):
        piece = table[:, begin : begin + _REPORT_STEPS]
        counts = np.clip(sizes - begin, 0, piece.shape[1])
        bits[:, begin : begin + _REPORT_STEPS] = _by_interval(coder, Predicted(lanes, counts, piece, NO_MODEL, 0.0))
        if advance is not None:
            advance(min(1.0, (begin + _REPORT_STEPS) / table.shape[1]), coder.written_bytes())
    within = np.arange(table.shape[1]) < sizes[:, None]
    return Costs(table[within], np.repeat(lanes, sizes), bits[within], words_to_bytes(coder.finish()), None)


def _by_interval(coder: AdaptiveEncoder, chunk: Predicted) -> NDArray[np.float64]:
    """Encode a chunk token by token, in the order of coding; returns bits, float64 ``[n, steps]``."""
    bits = np.zeros(chunk.tokens.shape, dtype=np.float64)
    before = coder.spent()
    for step in range(chunk.tokens.shape[1]):
        for row in np.flatnonzero(chunk.counts > step).tolist():
            one = slice(row, row + 1)
            said = chunk.cumulative[one, step : step + 1] if chunk.cumulative.size else chunk.cumulative
            coder.encode(said, chunk.tokens[one, step : step + 1], chunk.lanes[one], _ONE)
            now = coder.spent()
            bits[row, step] = now - before
            before = now
    return bits


def _by_probability(tree: DecisionTree, chunk: Predicted) -> NDArray[np.float64]:
    """Return the bits of each token of a chunk that is coded without history, float64 ``[n, steps]``."""
    bits, probabilities = chunk_decisions(tree, chunk.cumulative, chunk.tokens, chunk.counts)
    chosen = np.where(bits, probabilities, (1 << PROBABILITY_BITS) - probabilities.astype(np.int64))
    costs = PROBABILITY_BITS - np.log2(chosen)
    lane, step = np.nonzero(np.arange(chunk.tokens.shape[1]) < chunk.counts[:, None])
    lengths = tree.path_length[chunk.tokens[lane, step]]
    token = np.repeat(np.arange(lane.size), lengths)
    depth = np.arange(token.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    order = np.lexsort((lane[token], depth, step[token]))  # the order of ``chunk_decisions``
    spent = np.zeros(chunk.tokens.shape, dtype=np.float64)
    spent[lane, step] = np.bincount(token[order], weights=costs, minlength=lane.size)
    return spent


def _no_opinions(count: int, top: int) -> Opinions:
    single, several = np.zeros(count, dtype=np.int32), np.zeros((count, top), dtype=np.int32)
    return Opinions(single, single.copy(), several, several.copy())


def _hear(opinions: Opinions, here: slice, cumulative: NDArray[np.int32], tokens: NDArray[np.int32]) -> None:
    """Note what the model said of some tokens ``[t]`` of a lane: cumulative int32 ``[t, V + 1]``."""
    top = opinions.top.shape[1]
    for place, (row, token) in enumerate(zip(cumulative, tokens.tolist(), strict=True), here.start):
        frequencies = np.diff(row).astype(np.int64)
        # Frequency above, complement of the id below: no two are equal, so the order is the same everywhere.
        keys = frequencies * len(frequencies) + np.arange(len(frequencies) - 1, -1, -1)
        best = np.sort(np.partition(keys, -top)[-top:])[::-1]
        opinions.top[place] = len(frequencies) - 1 - best % len(frequencies)
        opinions.top_frequency[place] = best // len(frequencies)
        opinions.frequency[place] = frequencies[token]
        opinions.rank[place] = 1 + np.count_nonzero(frequencies > frequencies[token])
