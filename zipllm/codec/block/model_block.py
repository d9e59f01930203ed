"""One block by prediction: lanes -> tokens -> frequencies -> decisions -> words, and back.

The encoder knows all tokens, so it asks the predictor about many steps at once; the decoder must go step by
step. Both ask the same questions of the same exact predictor, so both code with the same probabilities.

What becomes of the model's frequencies is a ``Coder``'s business: ``StaticCoder`` codes with them as they are,
``AdaptiveCoder`` mixes them with what the block itself has taught so far, and works without a model, too.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coders import open_block_decoder, open_block_encoder
from zipllm.codec.block.decoded_lanes import decode_lanes
from zipllm.codec.block.lane_groups import predictions
from zipllm.codec.block.lanes import lane_count, lane_sizes, split
from zipllm.coder.range_coder import PROBABILITY_BITS, words_from_bytes, words_to_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.errors import LimitExceeded, UnsupportedData
from zipllm.progress import Advance

MAX_STATE_BYTES = 2 << 30
"""Memory for the predictor's state and frequencies of all lanes; encoder and decoder refuse more."""

CHUNK_CUMULATIVE_BYTES = 32 << 20
"""Frequencies predicted by one call when encoding: enough rows to fill the processor, little enough memory."""

CHUNK_ROWS = 2048
"""Of them, at most, where others are coded meanwhile: with many more, one side would wait at a block's ends."""

MAX_CHUNK_STEPS = 1024

EVEN_STEPS = 64
"""What a GPU is asked for at once is a multiple of it, so that it can be cut into equal pieces."""

MAX_COLUMNS = 1 << 23
"""Entries of ``DecisionTree.columns`` that are worth their memory."""

Tokens = NDArray[np.int32]


class Predicted(NamedTuple):
    """A chunk of steps with the frequencies that the model gives.

    Attributes:
        lanes: int32 ``[n]``, those that have tokens here, ascending.
        counts: int64 ``[n]``, how many.
        tokens: int32 ``[n, steps]``, what is to be coded.
        cumulative: int32 ``[n, steps, V + 1]``.
        done: fraction of the block behind this chunk's end.
        selected: ``cumulative`` has of each prediction only what ``DecisionTree.columns`` names for its token.
    """

    lanes: NDArray[np.int32]
    counts: NDArray[np.int64]
    tokens: Tokens
    cumulative: NDArray[np.int32]
    done: float
    selected: bool = False


def encode_model_block(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Code one block.

    Args:
        engine: the model.
        raw: the block, at least one byte a lane.
        parameters: how; they go into the block's header.
        advance: told about progress, if given.

    Returns:
        The payload: the range coder's words, little-endian.

    Raises:
        LimitExceeded: so many lanes of this model need too much memory.
    """
    check_memory(engine, parameters.lanes)
    tokens = engine.tokenizer.encode_all(split(raw, parameters.lanes))
    sizes = np.array(lane_sizes(len(raw), parameters.lanes), dtype=np.int64)
    coder = open_block_encoder(engine, sizes, parameters)
    selecting = selects(engine)
    for chunk in predicted_chunks(engine, tokens, chunk_steps(engine, parameters.lanes, selecting), selecting):
        coder.encode(chunk.cumulative, chunk.tokens, chunk.lanes, chunk.counts, chunk.selected)
        if advance is not None:
            advance(chunk.done, coder.written_bytes())
    return words_to_bytes(coder.finish())


def predicted_chunks(
    engine: Engine, tokens: Sequence[Tokens], steps: int, selecting: bool = False, single: int = 0
) -> Iterator[Predicted]:
    """Predict the tokens of all lanes, chunk by chunk, which changes nothing but speed and memory.

    Args:
        engine: the model.
        tokens: ids of each lane, int32 ``[n_lane]``.
        steps: of a chunk.
        selecting: ask only for what coding needs, of an engine that ``selects``.
        single: so many of the first steps are asked for one by one, as a decoder does.
    """
    counts = np.array([len(lane) for lane in tokens], dtype=np.int64)
    longest = int(counts.max())
    # Column 0 is the start token, column t + 1 the token of step t. Lanes that are shorter end in zeros, which
    # are fed to the predictor only behind a lane's last token and never coded.
    table = np.zeros((len(tokens), longest + 1), dtype=np.int32)
    table[:, 0] = engine.predictor.start_token
    for row, lane in zip(table, tokens, strict=True):
        row[1 : len(lane) + 1] = lane
    single = min(single, longest)
    edges = [*range(single), *range(single, longest, steps), longest]
    said = predictions(engine.predictor, table, counts, edges, engine.tree.columns if selecting else None, single)
    for (begin, end), (_, running, cumulative) in zip(pairwise(edges), said, strict=True):
        left = np.minimum(counts[running] - begin, end - begin)
        selected = cumulative.shape[2] <= engine.tree.size
        yield Predicted(running, left, table[running, begin + 1 : end + 1], cumulative, end / longest, selected)


def selects(engine: Engine) -> bool:
    """Whether the predictor is best asked only for what coding needs; a hostile vocabulary is not worth a table."""
    predictor, tree = engine.predictor, engine.tree
    return predictor.traits.selects and tree.size * (tree.longest + 1) <= MAX_COLUMNS


def chunk_steps(engine: Engine, lanes: int, selecting: bool = False) -> int:
    """Return how many steps of so many lanes to predict at once, at least one.

    As many as fit ``CHUNK_CUMULATIVE_BYTES``, of whole predictions or of what is selected; and, where threads of the
    processor share them out, at most ``CHUNK_ROWS``.
    """
    row = 4 * ((engine.tree.longest if selecting else engine.tree.size) + 1)
    rows = CHUNK_CUMULATIVE_BYTES // row
    if selecting and engine.predictor.traits.threads > 1:
        rows = min(rows, CHUNK_ROWS)
    steps = max(1, min(MAX_CHUNK_STEPS, rows // lanes))
    return steps // EVEN_STEPS * EVEN_STEPS if selecting and steps > EVEN_STEPS else steps


def decode_model_block(
    engine: Engine, payload: bytes, raw_size: int, parameters: CodingParameters, advance: Advance | None
) -> bytes:
    """Undo ``encode_model_block``.

    Args:
        engine: the same model.
        payload: may be damaged in any way.
        raw_size: bytes of the block, at least one a lane.
        parameters: from the block's header.
        advance: told about progress, if given.

    Returns:
        ``raw_size`` bytes, the original ones if their checksum agrees.

    Raises:
        CorruptData: the payload does not decode to a block of this size.
        UnsupportedData: the block was coded with another precision than this engine has.
        LimitExceeded: so many lanes of this model need too much memory.
    """
    check_precision(engine, parameters)
    check_memory(engine, parameters.lanes)
    sizes = np.array(lane_sizes(raw_size, parameters.lanes), dtype=np.int64)
    coder = open_block_decoder(engine, sizes, parameters, words_from_bytes(payload))
    decoded = decode_lanes(engine.predictor, coder, sizes, advance)
    starts = np.cumsum(sizes) - sizes
    decode = engine.tokenizer.decode
    return b"".join(
        decode(decoded.ids[start : start + count].tolist())
        for start, count in zip(starts, decoded.counts.tolist(), strict=True)
    )


def lanes_for(engine: Engine, raw_size: int, wanted: int | None, most: int) -> int:
    """Return the lanes of a block: as wanted, or by its size and, for a large model, what memory allows."""
    lanes = lane_count(raw_size, wanted, most)
    return lanes if wanted else max(1, min(lanes, MAX_STATE_BYTES // _lane_memory(engine)))


def check_memory(engine: Engine, lanes: int) -> None:
    """Refuse more lanes than memory allows, before any of it is allocated.

    Raises:
        LimitExceeded: the state and the frequencies of all lanes would take more than ``MAX_STATE_BYTES``.
    """
    needed = lanes * _lane_memory(engine)
    if needed > MAX_STATE_BYTES:
        raise LimitExceeded(
            f"{lanes} lanes of this model take {needed >> 20} MiB of memory, over the limit of "
            f"{MAX_STATE_BYTES >> 20} MiB",
            "state_bytes",
        )


def _lane_memory(engine: Engine) -> int:
    return engine.predictor.lane_bytes + 4 * (len(engine.predictor.vocabulary) + 1)


def check_precision(engine: Engine, parameters: CodingParameters) -> None:
    """Refuse a block whose probabilities have other units than this engine's.

    Raises:
        UnsupportedData: it was coded with another precision.
    """
    for name, written, ours in (
        ("precision", parameters.precision, engine.predictor.precision),
        ("probability bits", parameters.probability_bits, PROBABILITY_BITS),
    ):
        if written != ours:
            raise UnsupportedData(f"a block was coded with {written} {name}, this version codes with {ours}")
