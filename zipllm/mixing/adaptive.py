"""Tokens coded with history: the adaptive predictor joined with the decisions of a vocabulary and the range coder.

Order, part of the format: step by step, within a step lane by lane, and each lane's token as a whole: decision by
decision from the root. Every decision is predicted, coded and learned before the next, so all lanes of a block learn
from each other. A branch of the trie with one possible outcome is no decision here either; its bytes become context.

The same code serves a block without a model: then the vocabulary is the 256 bytes and the model's inputs are 0.
Without numba the same functions run as plain Python, slowly, with the same results.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import Coder, FusedDecoder, FusedEncoder, decode_bit, encode_bit
from zipllm.jit.compiled import Integer, entry_from, inlined
from zipllm.mixing.contexts import Style, remember_byte
from zipllm.mixing.matches import follow_matches
from zipllm.mixing.memory import HALF, Memory
from zipllm.mixing.prediction import predict_bit
from zipllm.mixing.predictions import check_result
from zipllm.mixing.tables import Tables, tables
from zipllm.mixing.token_path import Vocabulary, make_token_coder


class Chunk(NamedTuple):
    """Some steps of some lanes.

    Attributes:
        lanes: int64 ``[n]``, ascending.
        counts: int64 ``[n]``, how many of the steps a lane has.
        tokens: int32 ``[n, steps]``, given when encoding, filled when decoding; before that they may hold guesses.
        cumulative: int32 ``[n, steps, V + 1]``, the model's frequencies; ``[1, 1, 0]`` without a model.
        selected: ``cumulative`` has of each prediction only what ``DecisionTree.columns`` names for the token.
    """

    lanes: NDArray[np.int64]
    counts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    cumulative: NDArray[np.int32]
    selected: bool = False


@inlined
def _append(memory: Memory, lane: NDArray[np.int64], byte: Integer, style: Style, coder: Coder) -> None:
    remember_byte(memory, lane, byte, style)
    follow_matches(memory, lane, byte)
    memory.now[HALF] = -1


@inlined
def _predict_bit(
    memory: Memory, constants: Tables, lane: NDArray[np.int64], letter: Integer, style: Style, coder: Coder
) -> Integer:
    return predict_bit(memory, constants, lane, letter, style)


@inlined
def _code(coder: Coder, wanted: Integer, node: Integer, probability: Integer) -> Integer:
    if wanted < 0:
        return np.int64(decode_bit(coder.state, coder.words, probability))
    bit = np.int64(1) if wanted > node else np.int64(0)
    encode_bit(coder.state, coder.words, bit, probability)
    return bit


_code_token = make_token_coder(_append, _predict_bit, _code)


@entry_from("zipllm.mixing", "zipllm.coder.fused")
def _code_chunk(
    memory: Memory,
    constants: Tables,
    vocabulary: Vocabulary,
    chunk: Chunk,
    style: Style,
    coder: Coder,
    encoding: bool,
    guessed: bool,
) -> Integer:
    """Code some steps, up to the first with a wrong guess; returns their number, or a failure."""
    for step in range(chunk.tokens.shape[1]):
        right = True
        for row in range(chunk.lanes.size):
            if step < chunk.counts[row]:
                lane = memory.registers[chunk.lanes[row]]
                wanted = np.int64(chunk.tokens[row, step]) if encoding else np.int64(-1)
                # Without a model there is one row of no frequencies.
                cumulative = chunk.cumulative[row % chunk.cumulative.shape[0], step % chunk.cumulative.shape[1]]
                token = _code_token(
                    memory, constants, vocabulary, lane, cumulative, chunk.selected, style, wanted, coder
                )
                if token < 0:
                    return token
                right = right and token == chunk.tokens[row, step]
                chunk.tokens[row, step] = token
        if guessed and not right:
            return np.int64(step + 1)
    return np.int64(chunk.tokens.shape[1])


def encode_chunk(memory: Memory, vocabulary: Vocabulary, chunk: Chunk, style: Style, encoder: FusedEncoder) -> None:
    """Append the decisions of some steps to an encoder, and learn them.

    Raises:
        ValueError: the frequencies do not ascend.
    """
    encoder.reserve(int(chunk.counts.sum()) * vocabulary.longest)
    _run(memory, vocabulary, chunk, style, Coder(encoder.state, encoder.words), encoding=True)


def decode_chunk(
    memory: Memory, vocabulary: Vocabulary, chunk: Chunk, style: Style, decoder: FusedDecoder, *, guessed: bool = False
) -> int:
    """Decode some steps into ``chunk.tokens``, and learn them.

    Args:
        memory: of the block.
        vocabulary: of the tokens.
        chunk: which steps.
        style: of the contexts.
        decoder: of the block.
        guessed: the tokens hold guesses; decoding stops behind the first step that has a wrong one.

    Returns:
        The number of steps decoded.

    Raises:
        CorruptData: the words are impossible, or a token goes past its lane's end.
        ValueError: the frequencies do not ascend.
    """
    return _run(memory, vocabulary, chunk, style, Coder(decoder.state, decoder.words), guessed=guessed)


def _run(
    memory: Memory,
    vocabulary: Vocabulary,
    chunk: Chunk,
    style: Style,
    coder: Coder,
    *,
    encoding: bool = False,
    guessed: bool = False,
) -> int:
    with np.errstate(over="ignore"):  # uncompiled, the coder's uint64 wraps on purpose; numpy would warn
        status = int(_code_chunk(memory, tables(), vocabulary, chunk, style, coder, encoding, guessed))
    check_result(status)
    return status
