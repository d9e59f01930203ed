"""A block by prediction, decoded by somebody who knows what should come out.

A decoder has to ask for one token at a time, since the next prediction depends on it. With a draft of the tokens it can
ask for many at once, decode them, and see whether the draft was right: speculative decoding (Leviathan, Kalman and
Matias, "Fast inference from transformers via speculative decoding", 2023), where the draft is the original. As long as
every token that is decoded is the one of the draft, the predictions are those that a decoder without one would have.
That holds for predictors whose passes give what single steps give by construction: integers, in any order.
"""

import numpy as np

from zipllm.codec.block.coders import open_block_decoder
from zipllm.codec.block.lanes import lane_sizes, split
from zipllm.codec.block.model_block import check_memory, check_precision, chunk_steps, predicted_chunks, selects
from zipllm.coder.range_coder import words_from_bytes
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.progress import Advance

SINGLE_STEPS = 500
"""The first tokens of each lane are asked for one by one, as any decoder does: more than the windows of the models that
are shipped, so that a machine on which single steps go wrong is found out. It is no multiple of a chunk, so that tokens
go through the network in other company than when they were encoded."""


def check_with_draft(
    engine: Engine, payload: bytes, draft: bytes, parameters: CodingParameters, advance: Advance | None
) -> None:
    """Decode a payload of ``model_block.encode_model_block``, and require that it gives the draft.

    Args:
        engine: the model; its predictor is exact.
        payload: the words.
        draft: what should come out, at least one byte a lane.
        parameters: from the block's header.
        advance: told about progress, if given.

    Raises:
        CorruptData: something else is decoded, or the words are not exactly those of the draft.
        UnsupportedData: the block was coded with another precision than this engine has.
        LimitExceeded: so many lanes of this model need too much memory.
    """
    check_precision(engine, parameters)
    check_memory(engine, parameters.lanes)
    pieces = split(draft, parameters.lanes)
    tokens = engine.tokenizer.encode_all(pieces)
    if any(engine.tokenizer.decode(ids.tolist()) != piece for ids, piece in zip(tokens, pieces, strict=True)):
        raise CorruptData("tokens of the original do not give it back")
    sizes = np.array(lane_sizes(len(draft), parameters.lanes), dtype=np.int64)
    coder = open_block_decoder(engine, sizes, parameters, words_from_bytes(payload))
    selecting = selects(engine)
    steps = chunk_steps(engine, parameters.lanes, selecting)
    for chunk in predicted_chunks(engine, tokens, steps, selecting, SINGLE_STEPS):
        if not coder.gives(chunk.cumulative, chunk.tokens, chunk.lanes, chunk.counts, chunk.selected):
            raise CorruptData("the payload of a model-coded block decodes to other tokens")
        if advance is not None:
            advance(chunk.done, coder.read_bytes())
    if not coder.at_end():
        raise CorruptData("the payload of a model-coded block has other words than its content")
