"""One block by a model: lanes -> tokens -> predictions -> decisions -> words, and back.

The encoder knows all tokens, so it has many steps predicted at once; the decoder must go step by step. Both use the
same exact predictor, so both code with the same probabilities. ``coding`` turns predictions into words.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from zipllm.codec.block.coding import Integers, Predicted
from zipllm.codec.block.decoded_lanes import decode_lanes
from zipllm.codec.block.lane_groups import predictions
from zipllm.codec.block.lanes import split
from zipllm.codec.block.setup import BlockSetup
from zipllm.coder.range_coder import words_to_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.mixing.predictions import Predictions
from zipllm.progress import Advance

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

SINGLE_STEPS = 500
"""Verification predicts the first tokens of each lane one by one, as any decoder does. This is longer than the windows
of the shipped models, so that a machine whose single steps go wrong is found out; and no multiple of a chunk, so that
tokens pass through the network in other batches than when they were encoded."""


def encode_model_block(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Code one block.

    Args:
        engine: the model.
        raw: the block, at least one byte per lane.
        parameters: for the block's header.
        advance: told about progress, if given.

    Returns:
        The payload: the range coder's words, little-endian.

    Raises:
        LimitExceeded: so many lanes of this model need too much memory.
    """
    setup = BlockSetup(engine, len(raw), parameters)
    coder = setup.encoder()
    for chunk in predicted_chunks(engine, setup.tokens(raw)):
        coder.encode(chunk)
        if advance is not None:
            advance(chunk.done, coder.written_bytes())
    return words_to_bytes(coder.finish())


def decode_model_block(
    engine: Engine, payload: bytes, raw_size: int, parameters: CodingParameters, advance: Advance | None
) -> bytes:
    """Undo ``encode_model_block``.

    Args:
        engine: the same model.
        payload: may be damaged in any way.
        raw_size: bytes of the block, at least one per lane.
        parameters: from the block's header.
        advance: told about progress, if given.

    Returns:
        ``raw_size`` bytes, the original ones if their checksum agrees.

    Raises:
        CorruptData: the payload does not decode to a block of this size.
        UnsupportedData: the block is of another precision than this engine.
        LimitExceeded: so many lanes of this model need too much memory.
    """
    setup = BlockSetup(engine, raw_size, parameters)
    decoded = decode_lanes(engine.predictor, setup.decoder(payload), setup.sizes, advance)
    starts = np.cumsum(setup.sizes) - setup.sizes
    decode = engine.tokenizer.decode
    return b"".join(
        decode(decoded.ids[start : start + count].tolist())
        for start, count in zip(starts, decoded.counts.tolist(), strict=True)
    )


def check_with_draft(
    engine: Engine, payload: bytes, draft: bytes, parameters: CodingParameters, advance: Advance | None
) -> None:
    """Decode a payload, and require that it gives the draft.

    A decoder has to predict one token at a time, since each prediction depends on the token before. With a draft of the
    tokens it can predict many at once, decode them, and compare: speculative decoding (Leviathan, Kalman and Matias,
    "Fast inference from transformers via speculative decoding", 2023), with the original as the draft. As long as the
    decoded tokens are the draft's, the predictions are those of a decoder without one. That holds for exact predictors,
    whose passes over many tokens give what single steps give.

    Args:
        engine: the model; its predictor is exact.
        payload: the words.
        draft: the expected bytes, at least one per lane.
        parameters: from the block's header.
        advance: told about progress, if given.

    Raises:
        CorruptData: the payload decodes to something else, or its words are not exactly those of the draft.
        UnsupportedData: the block is of another precision than this engine.
        LimitExceeded: so many lanes of this model need too much memory.
    """
    setup = BlockSetup(engine, len(draft), parameters)
    tokens = setup.tokens(draft)
    for ids, piece in zip(tokens, split(draft, parameters.lanes), strict=True):
        if engine.tokenizer.decode(ids.tolist()) != piece:
            raise CorruptData("tokens of the original do not give it back")
    coder = setup.decoder(payload)
    for chunk in predicted_chunks(engine, tokens, single=SINGLE_STEPS):
        if not coder.gives(chunk):
            raise CorruptData("the payload of a model-coded block decodes to other tokens")
        if advance is not None:
            advance(chunk.done, coder.read_bytes())
    if not coder.at_end():
        raise CorruptData("the payload of a model-coded block has other words than its content")


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
