"""The cost of each token of a block, found by coding the block again and watching the coder after every token.

The bits are those of the real coding path. With history, each token is encoded by itself in the block's own order, so
the words stay the same, and its cost is how far the range coder's interval shrank (``FusedEncoder.spent``). Without
history the decisions of all lanes are interleaved, and a token's cost is the sum of ``-log2 p`` over its decisions,
with the probabilities given to the range coder. Only the first includes the loss from dropping ``range mod 2**24``
(about 2e-4 bit per decision).

The model alone charges ``-log2(f / 2**precision)`` for a token of frequency ``f``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import AdaptiveEncoder, Predicted
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.codec.block.predicted_block import byte_table
from zipllm.codec.block.setup import BlockSetup
from zipllm.coder.range_coder import PROBABILITY_BITS, words_to_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.decisions import chunk_decisions
from zipllm.mixing.predictions import NO_MODEL, Predictions
from zipllm.progress import Advance

TOP = 5
"""Most probable tokens listed for each token."""

_REPORT_STEPS = 256
_ONE = np.ones(1, dtype=np.int64)


class Opinions(NamedTuple):
    """The model's predictions for ``n`` tokens, in the order of the file.

    Attributes:
        frequency: int32 ``[n]``, of the token that came; frequencies sum to ``2**precision``.
        rank: int32 ``[n]``, 1 if no token was more probable.
        top: int32 ``[n, k]``, ids of the ``k <= TOP`` most probable tokens; of equals, the smaller id comes first.
        top_frequency: int32 ``[n, k]``, their frequencies.
    """

    frequency: NDArray[np.int32]
    rank: NDArray[np.int32]
    top: NDArray[np.int32]
    top_frequency: NDArray[np.int32]


class Costs(NamedTuple):
    """The costs of all tokens, in the order of the file.

    Attributes:
        tokens: int32 ``[n]``, ids.
        lanes: int32 ``[n]``, ascending.
        bits: float64 ``[n]``, the cost of each token.
        payload: the words of all tokens.
        opinions: the model's; None without a model.
    """

    tokens: NDArray[np.int32]
    lanes: NDArray[np.int32]
    bits: NDArray[np.float64]
    payload: bytes
    opinions: Opinions | None


def model_costs(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> Costs:
    """Code a block like ``encode_model_block``, with the same arguments and errors; return the cost of every token."""
    setup = BlockSetup(engine, len(raw), parameters)
    pieces, coder = setup.tokens(raw), setup.encoder()
    counts = np.array([len(piece) for piece in pieces], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    bits = np.zeros(int(counts.sum()), dtype=np.float64)
    opinions = _no_opinions(bits.size, min(TOP, len(engine.predictor.vocabulary)))
    done = np.zeros_like(counts)
    for chunk in predicted_chunks(engine, pieces, whole=True):
        if isinstance(coder, AdaptiveEncoder):
            spent = _by_interval(coder, chunk)
        else:
            coder.encode(chunk)
            spent = _by_probability(engine.tree, chunk)
        for row, (lane, count) in enumerate(zip(chunk.lanes.tolist(), chunk.counts.tolist(), strict=True)):
            here = slice(int(starts[lane] + done[lane]), int(starts[lane] + done[lane]) + count)
            bits[here] = spent[row, :count]
            _hear(opinions, here, chunk.predictions.cumulative[row, :count], chunk.tokens[row, :count])
            done[lane] += count
        if advance is not None:
            advance(chunk.done, coder.written_bytes())
    lanes = np.repeat(np.arange(len(pieces), dtype=np.int32), counts)
    return Costs(np.concatenate(pieces), lanes, bits, words_to_bytes(coder.finish()), opinions)


def history_costs(raw: bytes, parameters: CodingParameters, advance: Advance | None) -> Costs:
    """Code a block like ``encode_history_block``; return the cost of every byte, which is the token here."""
    setup = BlockSetup(None, len(raw), parameters)
    coder, sizes = setup.adaptive_encoder(), setup.sizes
    table = byte_table(raw, sizes)
    lanes = np.arange(len(sizes), dtype=np.int32)
    bits = np.zeros(table.shape, dtype=np.float64)
    for begin in range(0, table.shape[1], _REPORT_STEPS):
        piece = table[:, begin : begin + _REPORT_STEPS]
        counts = np.clip(sizes - begin, 0, piece.shape[1])
        bits[:, begin : begin + _REPORT_STEPS] = _by_interval(coder, Predicted(lanes, counts, piece, NO_MODEL))
        if advance is not None:
            advance(min(1.0, (begin + _REPORT_STEPS) / table.shape[1]), coder.written_bytes())
    within = np.arange(table.shape[1]) < sizes[:, None]
    return Costs(table[within], np.repeat(lanes, sizes), bits[within], words_to_bytes(coder.finish()), None)


def _by_interval(coder: AdaptiveEncoder, chunk: Predicted) -> NDArray[np.float64]:
    """Encode a chunk token by token, in the order of coding; return bits, float64 ``[n, steps]``."""
    bits = np.zeros(chunk.tokens.shape, dtype=np.float64)
    before = coder.spent()
    for step in range(chunk.tokens.shape[1]):
        for row in np.flatnonzero(chunk.counts > step).tolist():
            one = slice(row, row + 1)
            here = one, slice(step, step + 1)
            predictions = NO_MODEL if chunk.predictions is NO_MODEL else Predictions(chunk.predictions.cumulative[here])
            coder.encode(Predicted(chunk.lanes[one], _ONE, chunk.tokens[here], predictions))
            now = coder.spent()
            bits[row, step] = now - before
            before = now
    return bits


def _by_probability(tree: DecisionTree, chunk: Predicted) -> NDArray[np.float64]:
    """Return the bits of each token of a chunk that is coded without history, float64 ``[n, steps]``."""
    bits, probabilities = chunk_decisions(tree, chunk.predictions, chunk.tokens, chunk.counts)
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
    """Record the model's predictions, cumulative int32 ``[t, V + 1]``, of some tokens ``[t]`` of a lane."""
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
