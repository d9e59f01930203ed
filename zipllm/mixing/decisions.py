"""Tokens as binary decisions, with the probability of each from integer frequencies.

A token is coded as its path through the ``DecisionTree``. The probability of bit 1 at a node is the share of
the node's tokens that lie behind it, a ratio of two differences of cumulative frequencies ``C``:

    k = floor((C[high] - C[cut]) * 2**24 / (C[high] - C[low])), kept within 1 .. 2**24 - 1

By the chain rule a path costs what its token costs. The floor changes a probability by less than ``2**-24``,
and the expected cost only in second order of that. Frequencies that sum to ``2**24`` or less never reach
either bound.

Order, part of the format. All lanes of a block share one coder and go in lock-step: for each step, for each
depth of the tree from the root, for each lane in ascending order whose token of this step is not settled yet.
So one batch holds one decision of every such lane; a stage that replaces probabilities (history, mixing) can
predict for the whole batch, then learn from the whole batch, in the encoder as in the decoder. ``Walk`` is
this order in its plainest form; ``chunk_decisions`` and ``decode_tokens`` are the fast ways to the same.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import FusedDecoder
from zipllm.coder.range_coder import PROBABILITY_BITS, PROBABILITY_ONE, BitDecoder
from zipllm.jit.compiled import COMPILES
from zipllm.mixing import lockstep
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.predictions import BROKEN, Predictions, check_result


class Walk:
    """One step of some lanes, all going down the tree together, one decision each at a time.

        walk = Walk(tree, Predictions(cumulative))
        while walk.active.size:
            bits = decoder.decode(walk.probabilities())     # or, encoding: walk.bits_of(tokens)
            walk.advance(bits)
        tokens = walk.tokens()

    Attributes:
        active: int64 ``[m]`` rows whose token is not settled yet, ascending.
        node: int32 ``[m]`` the node where each of them stands; ``tree.bit_number`` and ``tree.byte_depth`` describe it.
    """

    def __init__(self, tree: DecisionTree, predictions: Predictions) -> None:
        """Start at the root; predictions ``[n, V+1]``, or ``[n, d]`` with the columns of the tokens to reach."""
        check_predictions(tree, predictions, 2)
        cumulative, selected = predictions.cumulative, predictions.selected
        self._tree = tree
        self._cumulative = cumulative
        self._depth = 0 if selected else -1
        rows = cumulative.shape[0]
        self._leaf = np.full(rows, tree.root, dtype=np.int32)
        self.active = np.arange(rows if tree.root >= 0 else 0)
        self.node = self._leaf[self.active]
        self._low = cumulative[self.active, 0].astype(np.int64)
        if selected:
            self._low[:] = 0
        self._high = cumulative[self.active, -1].astype(np.int64)
        self._middle = self._look()

    def probabilities(self) -> NDArray[np.uint32]:
        """Return the probability of a 1 in each active row's decision, uint32 ``[m]``."""
        share = ((self._high - self._middle) << PROBABILITY_BITS) // (self._high - self._low)
        kept: NDArray[np.uint32] = np.clip(share, 1, PROBABILITY_ONE - 1).astype(np.uint32)
        return kept

    def bits_of(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return the bits, uint8 ``[m]``, that lead the active rows towards ``tokens`` (``[n]``, all rows)."""
        return (tokens[self.active] > self.node).astype(np.uint8)

    def advance(self, bits: NDArray[np.uint8]) -> None:
        """Follow one bit in each active row; rows that reach a leaf stop being active."""
        ones = bits.astype(bool)
        self._low = np.where(ones, self._middle, self._low)
        self._high = np.where(ones, self._high, self._middle)
        self._leaf[self.active] = below = self._tree.child[self.node, bits]
        kept = below >= 0
        self.active, self.node = self.active[kept], below[kept]
        self._low, self._high = self._low[kept], self._high[kept]
        if self._depth >= 0:
            self._depth += 1
        self._middle = self._look()

    def tokens(self) -> NDArray[np.int32]:
        """Return the token of every row, int32 ``[n]``, once no row is active."""
        assert not self.active.size, "the walk is not over"
        return ~self._leaf

    def _look(self) -> NDArray[np.int64]:
        columns = self._tree.cut[self.node] if self._depth < 0 else np.full_like(self.node, self._depth)
        middle: NDArray[np.int64] = self._cumulative[self.active, columns].astype(np.int64)
        if not ((self._low < middle) & (middle < self._high)).all():
            check_result(BROKEN)
        return middle


def chunk_decisions(
    tree: DecisionTree, predictions: Predictions, tokens: NDArray[np.int32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return the decisions of a chunk of steps of all lanes, in coding order.

    Chunks of consecutive steps, one after the other, give the same decisions as all steps at once.

    Args:
        tree: of the predictor's vocabulary.
        predictions: ``[lanes, steps, V+1]``, or ``[lanes, steps, d]`` with ``tree.columns``.
        tokens: integers ``[lanes, steps]``.
        counts: integers ``[lanes]``, how many of the steps a lane has.

    Returns:
        Bits uint8 ``[n]`` and probabilities of a 1, uint32 ``[n]`` in units of ``2**-24``.

    Raises:
        ValueError: shapes do not match, a token is not in the vocabulary, or frequencies do not ascend.
    """
    check_predictions(tree, predictions, 3)
    within = _check_chunk(tree, predictions.cumulative, tokens, counts)
    if not COMPILES:
        return plain_chunk_decisions(tree, predictions, tokens, counts)
    total = int(tree.path_length[tokens[within]].sum())
    bits, probabilities = np.empty(total, dtype=np.uint8), np.empty(total, dtype=np.uint32)
    written = lockstep.chunk_kernel(
        tree.root,
        tree.child,
        np.require(predictions.cumulative, np.int32, ["C", "W"]),
        np.require(tokens, np.int32, ["C", "W"]),
        np.require(counts, np.int64, ["C", "W"]),
        bits,
        probabilities,
        predictions.selected,
    )
    check_result(written)
    assert written == total
    return bits, probabilities


def plain_chunk_decisions(
    tree: DecisionTree, predictions: Predictions, tokens: NDArray[np.int32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Do what ``chunk_decisions`` does in numpy alone: all steps go down the tree at once, then are sorted."""
    within = np.arange(tokens.shape[1]) < counts[:, None]
    lane, step = np.nonzero(within)
    # The usual chunk is complete, and then needs no copy of its frequencies, which are most of its memory.
    cumulative = predictions.cumulative
    rows = cumulative.reshape(-1, cumulative.shape[-1]) if within.all() else cumulative[lane, step]
    walk = Walk(tree, Predictions(rows, predictions.columns))
    wanted = tokens[within].astype(np.int32)
    levels: list[tuple[NDArray[np.uint8], NDArray[np.uint32], NDArray[np.int64]]] = []
    while walk.active.size:
        levels.append((walk.bits_of(wanted), walk.probabilities(), walk.active))
        walk.advance(levels[-1][0])
    if not levels:
        return np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.uint32)
    bits, probabilities, row = (np.concatenate(column) for column in zip(*levels, strict=True))
    depth = np.repeat(np.arange(len(levels)), [level[0].size for level in levels])
    order = np.lexsort((lane[row], depth, step[row]))
    return bits[order], probabilities[order]


def decode_tokens(tree: DecisionTree, cumulative: NDArray[np.int32], decoder: BitDecoder) -> NDArray[np.int32]:
    """Decode one token for each row: int32 ``[n, V+1]``, the lanes still running in ascending order.

    Returns:
        Token ids, int32 ``[n]``.

    Raises:
        CorruptData: the coded words are impossible.
        ValueError: the frequencies do not ascend or have the wrong shape.
    """
    if not (COMPILES and isinstance(decoder, FusedDecoder)):
        walk = Walk(tree, Predictions(cumulative))
        while walk.active.size:
            walk.advance(decoder.decode(walk.probabilities()))
        return walk.tokens()
    check_predictions(tree, Predictions(cumulative), 2)
    tokens = np.empty(cumulative.shape[0], dtype=np.int32)
    rows = np.require(cumulative, np.int32, ["C", "W"])
    check_result(lockstep.decode_kernel(tree.root, tree.child, rows, decoder.state, decoder.words, tokens))
    return tokens


def check_predictions(tree: DecisionTree, predictions: Predictions, dimensions: int) -> None:
    """Refuse predictions that are not int32, or that do not have these dimensions and the tree's columns."""
    cumulative = predictions.cumulative
    if cumulative.dtype != np.int32:
        raise ValueError(f"cumulative frequencies must be int32, not {cumulative.dtype}")
    if (
        cumulative.ndim != dimensions
        or cumulative.shape[-1] != (tree.longest if predictions.selected else tree.size) + 1
    ):
        raise ValueError(f"cumulative frequencies of shape {cumulative.shape} for a vocabulary of {tree.size}")


def _check_chunk(
    tree: DecisionTree, cumulative: NDArray[np.int32], tokens: NDArray[np.int32], counts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Check tokens and counts against the frequencies; return which ``[lanes, steps]`` are to be coded."""
    if tokens.shape != cumulative.shape[:2] or counts.shape != tokens.shape[:1]:
        raise ValueError(f"tokens {tokens.shape} and counts {counts.shape} for frequencies {cumulative.shape}")
    if tokens.dtype.kind != "i" or counts.dtype.kind != "i":
        raise ValueError(f"tokens and counts must be integers, not {tokens.dtype} and {counts.dtype}")
    if counts.size and not 0 <= counts.min() <= counts.max() <= tokens.shape[1]:
        raise ValueError(f"counts outside 0..{tokens.shape[1]}")
    within: NDArray[np.bool_] = np.arange(tokens.shape[1]) < counts[:, None]
    coded = tokens[within]
    if coded.size and not 0 <= coded.min() <= coded.max() < tree.size:
        raise ValueError(f"a token is outside the vocabulary of {tree.size}")
    return within
