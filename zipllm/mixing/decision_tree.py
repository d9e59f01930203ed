"""The byte trie of a vocabulary as a binary tree of decisions.

In a vocabulary sorted by byte string the tokens that share a prefix are one contiguous range of ids, so every
question "which way on?" splits a range ``[low, high)`` at one id ``cut``: bit 0 leads to ``[low, cut)``, bit 1
to ``[cut, high)``. The questions come in the order of the bytes: at each byte depth first "does the token stop
here?" (a token that is a prefix of others sorts before them, so bit 0 means stop), then the eight bits of the
next byte, high bit first. A question with one possible answer is never asked.

So the tree has one node for every gap between neighboring tokens, and the node of the gap between ``i`` and
``i + 1`` asks the first question that tells these two apart. The tree over the gaps is therefore the Cartesian
tree of the questions' positions (the root is the earliest question; Vuillemin, "A unifying look at data
structures", 1980), and one pass with a stack builds it. Node ``i`` has ``cut[i] == i + 1``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

STOP = 8  # the bit_number of a "stop here?" decision; kinds 0..7 are bits of a byte, 0 the highest
_QUESTIONS_PER_BYTE = 9
_END = -1  # stands after the last byte of a token; sorts before every byte

# Number of leading zeros of a byte: the question (0..7) that tells two bytes with this XOR apart.
_FIRST_BIT = np.array([8 - value.bit_length() for value in range(256)], dtype=np.int32)


@dataclass(frozen=True, eq=False)
class DecisionTree:
    """A binary tree with a leaf per token and ``size - 1`` nodes; all arrays are int32 and read-only.

    Attributes:
        size: number of tokens, ``V``.
        root: index of the first node; ``~0`` (the leaf of token 0) when there is one token only.
        low: ``[V-1]`` first token below the node.
        cut: ``[V-1]`` first token of the branch of bit 1.
        high: ``[V-1]`` one past the last token below the node.
        child: ``[V-1, 2]`` what bit 0 and bit 1 lead to: a node, or ``~token`` (negative) for a leaf.
        bit_number: ``[V-1]`` number of the bit within its byte (0 the highest), or ``STOP``.
        byte_depth: ``[V-1]`` how many bytes of the token are settled before this decision's byte.
        path_length: ``[V]`` number of decisions of each token.
    """

    size: int
    root: int
    low: NDArray[np.int32]
    cut: NDArray[np.int32]
    high: NDArray[np.int32]
    child: NDArray[np.int32]
    bit_number: NDArray[np.int32]
    byte_depth: NDArray[np.int32]
    path_length: NDArray[np.int32]

    @classmethod
    def from_vocabulary(cls, vocabulary: Sequence[bytes]) -> "DecisionTree":
        """Build the tree of a vocabulary sorted by byte string.

        Raises:
            ValueError: the vocabulary is empty, holds an empty token, or is not strictly ascending.
        """
        byte_depth, bit_number = _first_differences(vocabulary)
        low, high, child, root = _cartesian_tree(
            byte_depth * _QUESTIONS_PER_BYTE + (bit_number + 1) % _QUESTIONS_PER_BYTE
        )
        cut = np.arange(1, len(vocabulary), dtype=np.int32)
        path_length = _path_lengths(root, child, len(vocabulary))
        for array in (low, cut, high, child, bit_number, byte_depth, path_length):
            array.setflags(write=False)
        return cls(len(vocabulary), root, low, cut, high, child, bit_number, byte_depth, path_length)

    @cached_property
    def columns(self) -> NDArray[np.int32]:
        """The cumulative frequencies that each token's decisions look at: all of a prediction that its coding needs.

        Returns:
            int32 ``[V, longest path + 1]``, the cuts in the order of the decisions, filled up with ``V``, the total.
        """
        tokens = np.arange(self.size, dtype=np.int32)
        columns = np.full((self.size, self.longest + 1), self.size, dtype=np.int32)
        node = np.full(self.size, self.root, dtype=np.int32)
        for depth in range(self.longest):
            inside = np.flatnonzero(node >= 0)
            here = node[inside]
            columns[inside, depth] = self.cut[here]
            node[inside] = self.child[here, (tokens[inside] > here).astype(np.int8)]
        columns.setflags(write=False)
        return columns

    @property
    def longest(self) -> int:
        """Decisions of the token that has most."""
        return int(self.path_length.max())


def _first_differences(vocabulary: Sequence[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return byte depth and bit number of the question that separates each token from the next, ``[V-1]`` each."""
    lengths = np.array([len(token) for token in vocabulary], dtype=np.int64)
    if not lengths.size or not lengths.min():
        raise ValueError("a vocabulary needs at least one token, and no empty ones")
    letters = np.full((lengths.size, int(lengths.max())), _END, dtype=np.int16)
    letters[np.arange(letters.shape[1]) < lengths[:, None]] = np.frombuffer(b"".join(vocabulary), dtype=np.uint8)
    depth = (letters[:-1] != letters[1:]).argmax(axis=1)
    gaps = np.arange(lengths.size - 1)
    left, right = letters[gaps, depth], letters[gaps + 1, depth]
    if (left >= right).any():
        wrong = int((left >= right).argmax())
        raise ValueError(f"vocabulary is not strictly ascending by byte string at token {wrong + 1}")
    bit_number = np.where(left == _END, STOP, _FIRST_BIT[left.astype(np.uint8) ^ right.astype(np.uint8)])
    return depth.astype(np.int32), bit_number.astype(np.int32)


def _cartesian_tree(
    positions: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], int]:
    """Return ``low``, ``high``, ``child`` and root of the tree with the smallest position on top.

    Equal positions never compete: between two gaps with the same question lies one that asks earlier.
    """
    nodes, asked = positions.size, positions.tolist()
    low, high = [0] * nodes, [nodes + 1] * nodes
    zero, one = [~token for token in range(nodes)], [~token for token in range(1, nodes + 1)]
    open_nodes: list[int] = []  # the rightmost path, positions ascending
    for node, position in enumerate(asked):
        below = -1
        while open_nodes and asked[open_nodes[-1]] > position:
            below = open_nodes.pop()
            high[below] = node + 1
        if below >= 0:
            zero[node] = below
        if open_nodes:
            one[open_nodes[-1]] = node
            low[node] = open_nodes[-1] + 1
        open_nodes.append(node)
    child = np.array([zero, one], dtype=np.int32).T.copy()
    return np.array(low, dtype=np.int32), np.array(high, dtype=np.int32), child, open_nodes[0] if nodes else ~0


def _path_lengths(root: int, child: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Return the depth of every leaf, ``[V]``, level by level."""
    lengths = np.zeros(size, dtype=np.int32)
    level = np.array([root] if root >= 0 else [], dtype=np.int32)
    depth = 0
    while level.size:
        depth += 1
        below = child[level].ravel()
        lengths[~below[below < 0]] = depth
        level = below[below >= 0]
    return lengths
