"""Tokens coded with history: the adaptive predictor joined with the decisions of a vocabulary and the range coder.

Order, part of the format: step by step, within a step lane by lane, and each lane's token as a whole: decision by
decision from the root. Every decision is predicted, coded and learned before the next, so all lanes of a block learn
from each other. A branch of the trie with one possible outcome is no decision here either; its bytes become context.

The same code serves a block without a model: then the vocabulary is the 256 bytes and the model's inputs are 0.
Without numba the same functions run as plain Python, slowly, with the same results.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import IMPOSSIBLE, SOURCE, FusedDecoder, FusedEncoder, decode_bit, encode_bit
from zipllm.errors import CorruptData
from zipllm.jit.compiled import Integer, entry, inlined, part, source_digest
from zipllm.mixing.contexts import remember_byte
from zipllm.mixing.decision_tree import STOP, DecisionTree
from zipllm.mixing.matches import follow_matches
from zipllm.mixing.memory import BEFORE, BIT_NUMBER, END, HALF, LAST_TOKEN, POSITION, Memory
from zipllm.mixing.prediction import hear_model, hear_no_model, learn, predict_bit, predict_stop
from zipllm.mixing.tables import Tables, tables

MIXER_VERSION = 1
"""Names everything in this package that a coded bit depends on, the prior included."""

BROKEN, DAMAGED, OVERRUN = -1, -2, -3
"""What can go wrong: frequencies do not ascend, words are impossible, a token goes past its lane's end."""


class Vocabulary(NamedTuple):
    """A decision tree and the letters of its tokens, as compiled code takes them.

    Attributes:
        root: see ``DecisionTree``, as are ``low``, ``high``, ``bit_number``, ``byte_depth`` and ``child``.
        letters: uint8, all tokens one after the other.
        starts: int64 ``[V + 1]``, where each begins.
        longest: decisions of the token that has most.
    """

    root: int
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    bit_number: NDArray[np.int32]
    byte_depth: NDArray[np.int32]
    child: NDArray[np.int32]
    letters: NDArray[np.uint8]
    starts: NDArray[np.int64]
    longest: int

    @classmethod
    def of(cls, tree: DecisionTree, tokens: tuple[bytes, ...]) -> "Vocabulary":
        """Return the tree of ``tokens`` in this form; compiled code wants arrays that may be written to."""
        low, high, bit_number, depth, child = (
            array.copy() for array in (tree.low, tree.high, tree.bit_number, tree.byte_depth, tree.child)
        )
        starts = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
        letters = np.frombuffer(b"".join(tokens), dtype=np.uint8).copy()
        return cls(tree.root, low, high, bit_number, depth, child, letters, starts, tree.longest)


class Chunk(NamedTuple):
    """Some steps of some lanes.

    Attributes:
        lanes: int64 ``[n]``, ascending.
        counts: int64 ``[n]``, how many of the steps a lane has.
        tokens: int32 ``[n, steps]``, given when encoding, filled when decoding.
        cumulative: int32 ``[n, steps, V + 1]``, the model's frequencies; ``[1, 1, 0]`` without a model.
        selected: ``cumulative`` has of each prediction only what ``DecisionTree.columns`` names for the token.
    """

    lanes: NDArray[np.int64]
    counts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    cumulative: NDArray[np.int32]
    selected: bool = False


class Style(NamedTuple):
    """Attributes: ``family`` of contexts, ``contexts.TEXT`` or ``ROWS``; ``row`` length in bytes, at least 1."""

    family: int
    row: int


@inlined
def _append(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    remember_byte(memory, lane, byte)
    follow_matches(memory, lane, byte)
    memory.now[HALF] = -1


@part
def _append_up_to(
    memory: Memory, vocabulary: Vocabulary, lane: NDArray[np.int64], token: Integer, depth: Integer, end: Integer
) -> Integer:
    """Append bytes ``depth`` to ``end`` of a token, as far as the lane has room; returns where it stopped."""
    start = vocabulary.starts[token]
    while depth < end and lane[POSITION] < lane[END]:
        _append(memory, lane, np.int64(vocabulary.letters[start + depth]))
        depth += 1
    return depth


@inlined
def begin_token(memory: Memory, lane: NDArray[np.int64]) -> None:
    """Note that a token begins here."""
    begin = lane[POSITION]
    memory.begins[begin] = 1
    memory.now[BEFORE] = np.int64(memory.seen[begin - 1]) if begin > 0 else np.int64(0)
    memory.now[HALF] = -1


@inlined
def _all_tokens(cumulative: NDArray[np.int32], selected: bool) -> tuple[Integer, Integer]:
    """Return the cumulative frequencies between which all tokens lie; 0 and 0 without a model."""
    if cumulative.size == 0:
        return np.int64(0), np.int64(0)
    return np.int64(0 if selected else cumulative[0]), np.int64(cumulative[cumulative.size - 1])


@inlined
def _branch(low: Integer, middle: Integer, high: Integer, bit: Integer) -> tuple[Integer, Integer]:
    """Return the cumulative frequencies between which the tokens behind a decision lie."""
    return (middle, high) if bit else (low, middle)


@part
def _code_token(
    memory: Memory,
    constants: Tables,
    vocabulary: Vocabulary,
    lane: NDArray[np.int64],
    cumulative: NDArray[np.int32],
    style: Style,
    state: NDArray[np.uint64],
    words: NDArray[np.uint32],
    wanted: Integer,
    selected: bool,
) -> Integer:
    """Code one token of a lane, ``wanted`` or, decoding, -1; returns it, or what was wrong."""
    begin_token(memory, lane)
    node: Integer = np.int64(vocabulary.root)
    depth: Integer = np.int64(0)
    low, high = _all_tokens(cumulative, selected)
    decided = np.int64(0)
    while node >= 0:
        token, bit_number = np.int64(vocabulary.low[node]), np.int64(vocabulary.bit_number[node])
        depth = _append_up_to(memory, vocabulary, lane, token, depth, np.int64(vocabulary.byte_depth[node]))
        if depth < vocabulary.byte_depth[node]:
            return OVERRUN
        hear_no_model(memory)
        middle = np.int64(0)
        if cumulative.size > 0:
            middle = np.int64(cumulative[decided if selected else node + 1])
            if not low < middle < high:
                return BROKEN
            hear_model(memory, constants, low, middle, high)
        memory.now[BIT_NUMBER] = bit_number
        if bit_number == STOP:
            probability = predict_stop(memory, constants, lane, node, depth)
        else:
            letter = np.int64(vocabulary.letters[vocabulary.starts[token] + depth])
            probability = predict_bit(memory, constants, lane, letter, style.family, style.row)
        if wanted >= 0:
            bit = np.int64(1) if wanted > node else np.int64(0)
            encode_bit(state, words, bit, probability)
        else:
            bit = np.int64(decode_bit(state, words, probability))
            if bit == IMPOSSIBLE:
                return DAMAGED
        learn(memory, constants, lane, bit)
        low, high = _branch(low, middle, high, bit)
        decided += 1
        node = np.int64(vocabulary.child[node, bit])
    length = vocabulary.starts[~node + 1] - vocabulary.starts[~node]
    if _append_up_to(memory, vocabulary, lane, ~node, depth, length) < length:
        return OVERRUN
    lane[LAST_TOKEN] = ~node
    return ~node


def _build(version: int) -> Any:
    """Return the entry point; the number of its sources' version is a part of it, and of its place in the cache."""

    def code_chunk(
        memory: Memory,
        constants: Tables,
        vocabulary: Vocabulary,
        chunk: Chunk,
        style: Style,
        state: NDArray[np.uint64],
        words: NDArray[np.uint32],
        encoding: bool,
    ) -> Integer:
        """Code some steps; returns 0, or what was wrong."""
        for step in range(chunk.tokens.shape[1]):
            for row in range(chunk.lanes.size):
                if step < chunk.counts[row]:
                    lane = memory.registers[chunk.lanes[row]]
                    wanted = np.int64(chunk.tokens[row, step]) if encoding else np.int64(-1)
                    # Without a model there is one row of no frequencies.
                    cumulative = chunk.cumulative[row % chunk.cumulative.shape[0], step % chunk.cumulative.shape[1]]
                    token = _code_token(
                        memory, constants, vocabulary, lane, cumulative, style, state, words, wanted, chunk.selected
                    )
                    if token < 0:
                        return token
                    chunk.tokens[row, step] = token
        return version * 0

    return entry(code_chunk)


_HERE = Path(__file__)
_code_chunk = _build(source_digest([*_HERE.parent.glob("*.py"), SOURCE]))


def encode_chunk(memory: Memory, vocabulary: Vocabulary, chunk: Chunk, style: Style, encoder: FusedEncoder) -> None:
    """Append the decisions of some steps to an encoder, and learn them.

    Raises:
        ValueError: the frequencies do not ascend.
    """
    encoder.reserve(int(chunk.counts.sum()) * vocabulary.longest)
    _check(_run(memory, vocabulary, chunk, style, encoder.state, encoder.words, encoding=True))


def decode_chunk(memory: Memory, vocabulary: Vocabulary, chunk: Chunk, style: Style, decoder: FusedDecoder) -> None:
    """Decode some steps into ``chunk.tokens``, and learn them.

    Raises:
        CorruptData: the words are impossible, or a token goes past its lane's end.
        ValueError: the frequencies do not ascend.
    """
    _check(_run(memory, vocabulary, chunk, style, decoder.state, decoder.words, encoding=False))


def _run(
    memory: Memory,
    vocabulary: Vocabulary,
    chunk: Chunk,
    style: Style,
    state: NDArray[np.uint64],
    words: NDArray[np.uint32],
    encoding: bool,
) -> int:
    with np.errstate(over="ignore"):  # the coder's uint64 wraps on purpose, which plain numpy would warn of
        status: int = _code_chunk(memory, tables(), vocabulary, chunk, style, state, words, encoding)
    return status


def _check(status: int) -> None:
    if status == BROKEN:
        raise ValueError("cumulative frequencies are not strictly ascending: the predictor is broken")
    if status == DAMAGED:
        raise CorruptData("coded words are impossible: the payload is damaged")
    if status == OVERRUN:
        raise CorruptData("the payload of a block decodes to a token that overruns its lane")
