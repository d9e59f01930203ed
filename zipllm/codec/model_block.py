"""One block by the model: lanes -> tokens -> frequencies -> decisions -> words, and back.

The encoder knows all tokens, so it asks the predictor about many steps at once; the decoder must go step by
step. Both ask the same questions of the same exact predictor, so both code with the same probabilities.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.engine import Engine
from zipllm.codec.lanes import lane_count, lane_sizes, split
from zipllm.coder.fused import open_decoder, open_encoder
from zipllm.coder.range_coder import PROBABILITY_BITS, BitEncoder, words_from_bytes, words_to_bytes
from zipllm.container import CodingParameters
from zipllm.errors import CorruptData, LimitExceeded, UnsupportedData
from zipllm.mixing.decisions import chunk_decisions, decode_tokens

MAX_STATE_BYTES = 2 << 30
"""Memory for the predictor's state and frequencies of all lanes; encoder and decoder refuse more."""

CHUNK_CUMULATIVE_BYTES = 32 << 20
"""Frequencies predicted by one call when encoding: enough rows to fill the processor, little enough memory."""

MAX_CHUNK_STEPS = 1024

_REPORT_STEPS = 64
"""A decoder reports its progress once in so many steps."""

Advance = Callable[[float, int], None]
"""Told the fraction of the block that is done, from 0 to 1, and about how many payload bytes that took."""

Tokens = NDArray[np.int32]


def encode_model_block(engine: Engine, raw: bytes, lanes: int, advance: Advance | None) -> bytes:
    """Code one block.

    Args:
        engine: the model.
        raw: the block, at least one byte a lane.
        lanes: number of lanes.
        advance: told about progress, if given.

    Returns:
        The payload: the range coder's words, little-endian.

    Raises:
        LimitExceeded: so many lanes of this model need too much memory.
    """
    check_memory(engine, lanes)
    tokens = [engine.tokenizer.encode(piece) for piece in split(raw, lanes)]
    encoder = open_encoder()
    code_tokens(engine, tokens, encoder, chunk_steps(engine, lanes), advance)
    return words_to_bytes(encoder.finish())


def code_tokens(
    engine: Engine,
    tokens: Sequence[Tokens],
    encoder: BitEncoder,
    steps: int,
    advance: Advance | None = None,
    skip: int = 0,
) -> None:
    """Give the encoder the decisions of all lanes, in lock-step.

    Args:
        engine: the model.
        tokens: ids of each lane, int32 ``[n_lane]``.
        encoder: takes the decisions.
        steps: how many steps to predict at once; changes nothing but speed and memory.
        advance: told about progress, if given.
        skip: this many chunks at the beginning are predicted but not coded.
    """
    counts = np.array([len(lane) for lane in tokens], dtype=np.int64)
    longest = int(counts.max())
    # Column 0 is the start token, column t + 1 the token of step t. Lanes that are shorter end in zeros, which
    # are fed to the predictor only behind a lane's last token and never coded.
    table = np.zeros((len(tokens), longest + 1), dtype=np.int32)
    table[:, 0] = engine.predictor.start_token
    for row, lane in zip(table, tokens, strict=True):
        row[1 : len(lane) + 1] = lane
    state = engine.predictor.start(len(tokens))
    cost = 0.0
    for chunk, begin in enumerate(range(0, longest, steps)):
        end = min(begin + steps, longest)
        running = np.flatnonzero(counts > begin).astype(np.int32)
        cumulative = engine.predictor.prefill(state, table[running, begin:end], running)
        if chunk >= skip:
            left = np.minimum(counts[running] - begin, end - begin)
            bits, chances = chunk_decisions(engine.tree, cumulative, table[running, begin + 1 : end + 1], left)
            encoder.encode(bits, chances)
            if advance is not None:
                cost += _bytes_of(bits, chances)
                advance(end / longest, int(cost))


def chunk_steps(engine: Engine, lanes: int) -> int:
    """Return how many steps of so many lanes fit ``CHUNK_CUMULATIVE_BYTES``, at least one."""
    row = 4 * (len(engine.predictor.vocabulary) + 1)
    return max(1, min(MAX_CHUNK_STEPS, CHUNK_CUMULATIVE_BYTES // (row * lanes)))


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
    _check_precision(engine, parameters)
    check_memory(engine, parameters.lanes)
    sizes = np.array(lane_sizes(raw_size, parameters.lanes), dtype=np.int64)
    ids, counts = _decode_lanes(engine, payload, sizes, advance)
    starts = np.cumsum(sizes) - sizes
    decode = engine.tokenizer.decode
    return b"".join(
        decode(ids[start : start + count].tolist()) for start, count in zip(starts, counts.tolist(), strict=True)
    )


def _decode_lanes(
    engine: Engine, payload: bytes, sizes: NDArray[np.int64], advance: Advance | None
) -> tuple[Tokens, NDArray[np.int64]]:
    """Decode all lanes in lock-step until the bytes of each are complete.

    Args:
        engine: the model.
        payload: the range coder's words.
        sizes: int64 ``[lanes]``, bytes of each lane.
        advance: told about progress, if given.

    Returns:
        Ids int32 ``[raw_size]`` in which each lane's begin where its bytes would, and how many each lane has.

    Raises:
        CorruptData: a token overruns its lane, or the payload is not exactly what was decoded.
    """
    decoder = open_decoder(words_from_bytes(payload))
    lengths = np.array([len(token) for token in engine.predictor.vocabulary], dtype=np.int64)
    total = int(sizes.sum())
    ids = np.zeros(total, dtype=np.int32)  # a token has a byte at least, so this is room enough
    starts = np.cumsum(sizes) - sizes
    left = sizes.copy()
    counts = np.zeros_like(sizes)
    state = engine.predictor.start(len(sizes))
    running = np.arange(len(sizes), dtype=np.int32)
    tokens = np.full(len(sizes), engine.predictor.start_token, dtype=np.int32)
    step = 0
    while running.size:
        tokens = decode_tokens(engine.tree, engine.predictor.step(state, tokens, running), decoder)
        ids[starts[running] + step] = tokens
        left[running] -= lengths[tokens]
        unfinished = left[running] > 0
        step += 1
        if not unfinished.all():
            ended = running[~unfinished]
            if left[ended].any():
                raise CorruptData("the payload of a model-coded block decodes to a token that overruns its lane")
            counts[ended] = step
            running, tokens = running[unfinished], tokens[unfinished]
        if advance is not None and step % _REPORT_STEPS == 0:
            fraction = 1 - int(left.sum()) / total
            advance(fraction, int(fraction * len(payload)))
    if not decoder.at_end():
        raise CorruptData("the payload of a model-coded block has other words than its content")
    return ids, counts


def lanes_for(engine: Engine, raw_size: int, wanted: int | None) -> int:
    """Return the lanes of a block: as wanted, or by its size and, for a large model, what memory allows."""
    lanes = lane_count(raw_size, wanted)
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
            f"{MAX_STATE_BYTES >> 20} MiB"
        )


def _bytes_of(bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> float:
    """Return the ideal cost of decisions, for display: floating point, so nothing coded may depend on it."""
    chosen = np.where(bits, probabilities, (1 << PROBABILITY_BITS) - probabilities.astype(np.int64))
    return (PROBABILITY_BITS * len(bits) - float(np.log2(chosen).sum())) / 8


def _lane_memory(engine: Engine) -> int:
    return engine.predictor.lane_bytes + 4 * (len(engine.predictor.vocabulary) + 1)


def _check_precision(engine: Engine, parameters: CodingParameters) -> None:
    for name, written, ours in (
        ("precision", parameters.precision, engine.predictor.precision),
        ("probability bits", parameters.probability_bits, PROBABILITY_BITS),
    ):
        if written != ours:
            raise UnsupportedData(f"a block was coded with {written} {name}, this version codes with {ours}")
