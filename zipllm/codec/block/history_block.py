"""One block by its own history alone: every byte as eight decisions, predicted by what came before in the block.

Without a Transformer this is ten to twenty times faster, and for tables, executables, images and sound as good: a
model of text has nothing to say about them.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coders import AdaptiveDecoder, AdaptiveEncoder, block_memory
from zipllm.codec.block.lanes import lane_sizes
from zipllm.coder.range_coder import PROBABILITY_BITS, words_from_bytes, words_to_bytes
from zipllm.container import CodingParameters
from zipllm.errors import CorruptData, UnsupportedData
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.token_path import Vocabulary
from zipllm.progress import Advance

_CHUNK = 1 << 15
"""Bytes of each lane between two reports of progress."""

NO_MODEL = np.zeros((1, 1, 0), dtype=np.int32)
"""Frequencies where there is no model."""


def byte_tokens() -> tuple[bytes, ...]:
    """Return the 256 tokens of a vocabulary of bytes."""
    return tuple(bytes([value]) for value in range(256))


@lru_cache(maxsize=1)
def byte_vocabulary() -> Vocabulary:
    """Return the vocabulary of the 256 bytes: eight decisions each, no stops."""
    tokens = byte_tokens()
    return Vocabulary.of(DecisionTree.from_vocabulary(tokens), tokens)


def encode_history_block(raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Code one block; arguments and result as ``model_block.encode_model_block``."""
    sizes = np.array(lane_sizes(len(raw), parameters.lanes), dtype=np.int64)
    coder = AdaptiveEncoder(byte_vocabulary(), block_memory(sizes, parameters, with_model=False), parameters)
    table = byte_table(raw, sizes)
    lanes = np.arange(len(sizes), dtype=np.int32)
    for begin in range(0, table.shape[1], _CHUNK):
        piece = table[:, begin : begin + _CHUNK]
        counts = np.clip(sizes - begin, 0, piece.shape[1])
        coder.encode(NO_MODEL, piece, lanes, counts)
        if advance is not None:
            advance(min(1.0, (begin + _CHUNK) / table.shape[1]), coder.written_bytes())
    return words_to_bytes(coder.finish())


def decode_history_block(payload: bytes, raw_size: int, parameters: CodingParameters, advance: Advance | None) -> bytes:
    """Undo ``encode_history_block``.

    Raises:
        CorruptData: the payload does not decode to a block of this size.
        UnsupportedData: probabilities are of another precision.
    """
    if parameters.probability_bits != PROBABILITY_BITS:
        raise UnsupportedData(f"a block was coded with {parameters.probability_bits} probability bits")
    sizes = np.array(lane_sizes(raw_size, parameters.lanes), dtype=np.int64)
    memory = block_memory(sizes, parameters, with_model=False)
    coder = AdaptiveDecoder(byte_vocabulary(), memory, parameters, words_from_bytes(payload))
    shortest, done = int(sizes.min()), 0
    lanes = np.arange(len(sizes), dtype=np.int32)
    while done < shortest:
        steps = min(_CHUNK, shortest - done)
        coder.decode_steps(NO_MODEL, lanes, steps)
        done += steps
        if advance is not None:
            advance(done / shortest, coder.read_bytes())
    longer = np.flatnonzero(sizes > shortest).astype(np.int32)  # by one byte
    if longer.size:
        coder.decode_steps(NO_MODEL, longer, 1)
    if not coder.at_end():
        raise CorruptData("the payload of a block coded by its history has other words than its content")
    return memory.seen.tobytes()


def byte_table(raw: bytes, sizes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the bytes of each lane as a row, zeros behind the end of shorter ones."""
    table = np.zeros((len(sizes), int(sizes.max())), dtype=np.int32)
    begin = 0
    for row, size in zip(table, sizes.tolist(), strict=True):
        row[:size] = np.frombuffer(raw, dtype=np.uint8, count=size, offset=begin)
        begin += size
    return table
