"""One token on its path through the decision tree: each decision predicted, coded and learned before the next.

What happens to a decision depends on the caller: ``adaptive`` codes it with the range coder, ``trial`` adds up its
cost and notes what changes. ``make_token_coder`` compiles the path with the caller's hooks built in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import IMPOSSIBLE
from zipllm.jit.compiled import Integer, inlined, part
from zipllm.mixing.contexts import Style
from zipllm.mixing.decision_tree import STOP, DecisionTree
from zipllm.mixing.memory import BEFORE, BIT_NUMBER, END, HALF, LAST_TOKEN, POSITION, Memory
from zipllm.mixing.prediction import hear_model, learn, predict_stop
from zipllm.mixing.predictions import BROKEN, DAMAGED, OVERRUN
from zipllm.mixing.tables import Tables


class Vocabulary(NamedTuple):
    """A decision tree and the bytes of its tokens, as compiled code takes them: arrays that may be written to.

    Attributes:
        root: see ``DecisionTree``, as for ``low``, ``bit_number``, ``byte_depth`` and ``child``.
        letters: uint8, the bytes of all tokens, one token after another.
        starts: int64 ``[V + 1]``, where each token begins in ``letters``.
        longest: the largest number of decisions of a token.
    """

    root: int
    low: NDArray[np.int32]
    bit_number: NDArray[np.int32]
    byte_depth: NDArray[np.int32]
    child: NDArray[np.int32]
    letters: NDArray[np.uint8]
    starts: NDArray[np.int64]
    longest: int

    @classmethod
    def of(cls, tree: DecisionTree, tokens: tuple[bytes, ...]) -> "Vocabulary":
        """Return the tree of ``tokens`` in this form."""
        return cls(
            root=tree.root,
            low=tree.low.copy(),
            bit_number=tree.bit_number.copy(),
            byte_depth=tree.byte_depth.copy(),
            child=tree.child.copy(),
            letters=np.frombuffer(b"".join(tokens), dtype=np.uint8).copy(),
            starts=np.cumsum([0, *map(len, tokens)], dtype=np.int64),
            longest=tree.longest,
        )


@inlined
def _begin_token(memory: Memory, lane: NDArray[np.int64]) -> None:
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


def make_token_coder(
    append: Callable[..., None], predict_bit: Callable[..., Integer], code: Callable[..., Integer]
) -> Callable[..., Integer]:
    """Compile the path of a token with these hooks, themselves parts of compiled code.

    Args:
        append: ``(memory, lane, byte, style, tape)`` lets a lane see a byte that is known now.
        predict_bit: ``(memory, constants, lane, letter, style, tape)`` returns a bit's probability of a 1; see
            ``prediction.predict_bit``.
        code: ``(tape, wanted, node, probability)`` returns the bit of the decision, or ``IMPOSSIBLE``. When encoding,
            the bit is 1 if the token ``wanted`` is greater than ``node``; when decoding, ``wanted`` is -1.

    Returns:
        ``(memory, constants, vocabulary, lane, cumulative, selected, style, wanted, tape)``, which codes one token of a
        lane and returns it, or a failure (``predictions.check_result``). ``cumulative`` is empty without a model.
        ``tape`` is the caller's own value, handed to the hooks.
    """

    @part
    def append_up_to(
        memory: Memory,
        vocabulary: Vocabulary,
        lane: NDArray[np.int64],
        token: Integer,
        depth: Integer,
        end: Integer,
        style: Style,
        tape: Any,
    ) -> Integer:
        """Append bytes ``depth`` to ``end`` of a token, as far as the lane has room; returns where it stopped."""
        start = vocabulary.starts[token]
        while depth < end and lane[POSITION] < lane[END]:
            append(memory, lane, np.int64(vocabulary.letters[start + depth]), style, tape)
            depth += 1
        return depth

    @part
    def code_token(
        memory: Memory,
        constants: Tables,
        vocabulary: Vocabulary,
        lane: NDArray[np.int64],
        cumulative: NDArray[np.int32],
        selected: bool,
        style: Style,
        wanted: Integer,
        tape: Any,
    ) -> Integer:
        _begin_token(memory, lane)
        node: Integer = np.int64(vocabulary.root)
        depth: Integer = np.int64(0)
        low, high = _all_tokens(cumulative, selected)
        decided = np.int64(0)
        while node >= 0:
            token, bit_number = np.int64(vocabulary.low[node]), np.int64(vocabulary.bit_number[node])
            known = np.int64(vocabulary.byte_depth[node])
            depth = append_up_to(memory, vocabulary, lane, token, depth, known, style, tape)
            if depth < known:
                return OVERRUN
            middle = hear_model(memory, constants, cumulative, decided if selected else node + 1, low, high)
            if middle < 0:
                return BROKEN
            memory.now[BIT_NUMBER] = bit_number
            if bit_number == STOP:
                probability = predict_stop(memory, constants, lane, node, depth)
            else:
                letter = np.int64(vocabulary.letters[vocabulary.starts[token] + depth])
                probability = predict_bit(memory, constants, lane, letter, style, tape)
            bit = np.int64(code(tape, wanted, node, probability))
            if bit == IMPOSSIBLE:
                return DAMAGED
            learn(memory, constants, lane, bit)
            low, high = _branch(low, middle, high, bit)
            decided += 1
            node = np.int64(vocabulary.child[node, bit])
        length = vocabulary.starts[~node + 1] - vocabulary.starts[~node]
        if append_up_to(memory, vocabulary, lane, ~node, depth, length, style, tape) < length:
            return OVERRUN
        lane[LAST_TOKEN] = ~node
        return ~node

    return code_token
