"""One block by prediction: lanes -> tokens -> predictions -> decisions -> words, and back.

The encoder knows all tokens, so it has many steps predicted at once; the decoder must go step by step. Both use the
same exact predictor, so both code with the same probabilities. ``coding`` turns predictions into words.

Without a model, the block's own history predicts every byte as eight decisions. That is ten to twenty times faster,
and just as good for tables and programs, about which a model of text knows nothing.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import Predicted
from zipllm.codec.block.decoded_lanes import decode_lanes
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.codec.block.setup import BlockSetup, split
from zipllm.coder.range_coder import words_to_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.mixing.predictions import NO_MODEL
from zipllm.progress import Advance

_HISTORY_STEPS = 1 << 15
"""Bytes of each lane between two reports of progress while encoding."""

_DECODED_BYTES = 1 << 17
"""Bytes of all lanes between two of them while decoding, and how many a payload that is too short can ask for."""

SINGLE_STEPS = 500
"""Verification predicts the first tokens of each lane one by one, as any decoder does. This is longer than the windows
of the shipped models, so that a machine whose single steps go wrong is found out; and no multiple of a chunk, so that
tokens pass through the network in other batches than when they were encoded."""


def encode_model_block(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Code one block of at least one byte per lane.

    Returns:
        The payload: the range coder's words, little-endian.

    Raises:
        LimitExceeded: the lanes take more than ``MAX_STATE_BYTES``.
    """
    setup = BlockSetup(engine, len(raw), parameters)
    coder = setup.encoder()
    for chunk in predicted_chunks(engine, setup.tokens(setup.filtered(raw))):
        coder.encode(chunk)
        if advance is not None:
            advance(chunk.done, coder.written_bytes())
    return words_to_bytes(coder.finish())


def decode_model_block(
    engine: Engine, payload: bytes, raw_size: int, parameters: CodingParameters, advance: Advance | None
) -> bytes:
    """Undo ``encode_model_block``; the payload may be damaged in any way.

    Returns:
        ``raw_size`` bytes, the original ones if their checksum agrees.

    Raises:
        CorruptData: the payload does not decode to a block of this size.
        UnsupportedData: the block is of another precision than this engine.
        LimitExceeded: the lanes take more than ``MAX_STATE_BYTES``.
    """
    setup = BlockSetup(engine, raw_size, parameters)
    decoded = decode_lanes(engine.predictor, setup.decoder(payload), setup.sizes, advance)
    starts = np.cumsum(setup.sizes) - setup.sizes
    decode = engine.tokenizer.decode
    lanes = zip(starts, decoded.counts.tolist(), strict=True)
    return setup.restored(b"".join(decode(decoded.ids[start : start + count].tolist()) for start, count in lanes))


def check_with_draft(
    engine: Engine, payload: bytes, draft: bytes, parameters: CodingParameters, advance: Advance | None
) -> None:
    """Decode a payload, and require that it gives the draft.

    A decoder has to predict one token at a time, since each prediction depends on the token before. With a draft of the
    tokens it can predict many at once, decode them, and compare: speculative decoding (Leviathan, Kalman and Matias,
    "Fast inference from transformers via speculative decoding", 2023), with the original as the draft. As long as the
    decoded tokens are the draft's, the predictions are those of a decoder without one. That holds for exact predictors,
    whose passes over many tokens give what single steps give.

    Raises:
        CorruptData: the payload decodes to something else, or its words are not exactly those of the draft.
        UnsupportedData: the block is of another precision than this engine.
        LimitExceeded: the lanes take more than ``MAX_STATE_BYTES``.
    """
    setup = BlockSetup(engine, len(draft), parameters)
    filtered = setup.filtered(draft)
    if setup.restored(filtered) != draft:
        raise CorruptData("the filter of calls does not give the original back")
    tokens = setup.tokens(filtered)
    for ids, piece in zip(tokens, split(filtered, parameters.lanes), strict=True):
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


def encode_history_block(raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Code one block; arguments and result as ``encode_model_block``."""
    setup = BlockSetup(None, len(raw), parameters)
    coder = setup.adaptive_encoder()
    table = byte_table(setup.filtered(raw), setup.sizes)
    lanes = np.arange(len(setup.sizes), dtype=np.int32)
    for begin in range(0, table.shape[1], _HISTORY_STEPS):
        tokens = table[:, begin : begin + _HISTORY_STEPS]
        coder.encode(Predicted(lanes, np.clip(setup.sizes - begin, 0, tokens.shape[1]), tokens, NO_MODEL))
        if advance is not None:
            advance(min(1.0, (begin + _HISTORY_STEPS) / table.shape[1]), coder.written_bytes())
    return words_to_bytes(coder.finish())


def decode_history_block(payload: bytes, raw_size: int, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Undo ``encode_history_block``.

    Raises:
        CorruptData: the payload does not decode to a block of this size.
        UnsupportedData: its probabilities are of another precision.
    """
    setup = BlockSetup(None, raw_size, parameters)
    coder = setup.adaptive_decoder(payload)
    shortest, done = int(setup.sizes.min()), 0
    lanes = np.arange(len(setup.sizes), dtype=np.int32)
    while done < shortest:
        steps = min(max(1, _DECODED_BYTES // len(lanes)), shortest - done)
        coder.decode_without_model(lanes, steps)
        coder.check_length()
        done += steps
        if advance is not None:
            advance(done / shortest, coder.read_bytes())
    longer = np.flatnonzero(setup.sizes > shortest).astype(np.int32)  # by one byte
    if longer.size:
        coder.decode_without_model(longer, 1)
    if not coder.at_end():
        raise CorruptData("the payload of a block coded by its history has other words than its content")
    return setup.restored(coder.memory.seen.tobytes())


def byte_table(raw: bytes, sizes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the bytes of each lane as a row, with zeros behind the end of shorter lanes."""
    table = np.zeros((len(sizes), int(sizes.max())), dtype=np.int32)
    begin = 0
    for row, size in zip(table, sizes.tolist(), strict=True):
        row[:size] = np.frombuffer(raw, dtype=np.uint8, count=size, offset=begin)
        begin += size
    return table
