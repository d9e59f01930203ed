"""The decision tree: one unique path per token, asked in byte order, nothing asked twice or in vain."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mixing.vocabularies import BYTES, text_like
from zipllm.mixing.decision_tree import STOP, DecisionTree

# Few letters and lengths make shared prefixes and chains likely.
VOCABULARIES = st.sets(
    st.one_of(
        st.binary(min_size=1, max_size=4),
        st.text("ab\x80\xff", min_size=1, max_size=6).map(lambda s: s.encode("latin-1")),
    ),
    min_size=1,
    max_size=60,
).map(sorted)


def path(tree: DecisionTree, token: int) -> list[tuple[int, int]]:
    """Return (node, bit) from the root to the token's leaf."""
    steps, node = [], tree.root
    while node >= 0:
        bit = int(token >= tree.cut[node])
        steps.append((node, bit))
        node = int(tree.child[node, bit])
    assert node == ~token
    return steps


def questions(token: bytes, vocabulary: list[bytes]) -> list[tuple[int, int, int]]:
    """Return (byte depth, bit number, answer) of every question with more than one answer, straight from the words."""
    asked = []
    rest = vocabulary
    for depth in range(len(token) + 1):
        stops = [other for other in rest if len(other) == depth]
        if stops and len(rest) > 1:
            asked.append((depth, STOP, int(len(token) > depth)))
        if len(token) == depth:
            return asked
        rest = [other for other in rest if len(other) > depth]
        for bit in range(8):
            matches = [other for other in rest if (other[depth] ^ token[depth]) >> (7 - bit) == 0]
            if len(matches) < len(rest):
                asked.append((depth, bit, token[depth] >> (7 - bit) & 1))
            rest = matches
    raise AssertionError("unreachable: the token itself is in the vocabulary")


@given(VOCABULARIES)
def test_paths_ask_what_the_bytes_ask(vocabulary: list[bytes]) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    for token, text in enumerate(vocabulary):
        asked = [(int(tree.byte_depth[node]), int(tree.bit_number[node]), bit) for node, bit in path(tree, token)]
        assert asked == questions(text, vocabulary)
        assert tree.path_length[token] == len(asked)


@given(VOCABULARIES)
def test_paths_are_unique_and_nodes_are_one_fewer_than_tokens(vocabulary: list[bytes]) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    paths = [tuple(path(tree, token)) for token in range(len(vocabulary))]
    assert len(set(paths)) == len(vocabulary)
    assert {node for steps in paths for node, _ in steps} == set(range(len(vocabulary) - 1))


@given(VOCABULARIES)
def test_ranges_of_children_split_the_range_of_their_node(vocabulary: list[bytes]) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)

    def span(node: int) -> tuple[int, int]:
        return (int(tree.low[node]), int(tree.high[node])) if node >= 0 else (~node, ~node + 1)

    assert span(tree.root) == (0, len(vocabulary))
    for node in range(tree.size - 1):
        zero, one = (int(child) for child in tree.child[node])
        assert span(zero) == (tree.low[node], tree.cut[node])
        assert span(one) == (tree.cut[node], tree.high[node])


def test_a_byte_vocabulary_asks_eight_bits_and_never_stops() -> None:
    tree = DecisionTree.from_vocabulary(BYTES)
    assert set(tree.path_length.tolist()) == {8}
    assert STOP not in tree.bit_number
    for token in range(256):
        assert sum(bit << (7 - tree.bit_number[node]) for node, bit in path(tree, token)) == token


def test_a_prefix_token_gets_a_stop_decision() -> None:
    tree = DecisionTree.from_vocabulary([b"a", b"ab", b"abc"])
    assert [
        [(int(tree.bit_number[n]), int(tree.byte_depth[n]), bit) for n, bit in path(tree, t)] for t in range(3)
    ] == [
        [(STOP, 1, 0)],
        [(STOP, 1, 1), (STOP, 2, 0)],
        [(STOP, 1, 1), (STOP, 2, 1)],
    ]


def test_a_chain_with_one_way_on_costs_nothing() -> None:
    tree = DecisionTree.from_vocabulary([b"a very long token", b"b"])
    assert tree.path_length.tolist() == [1, 1]


def test_a_single_token_needs_no_decision() -> None:
    tree = DecisionTree.from_vocabulary([b"only"])
    assert (tree.size, tree.root, tree.path_length.tolist()) == (1, ~0, [0])


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ([], "at least one"),
        ([b""], "empty"),
        ([b"", b"a"], "empty"),
        ([b"b", b"a"], "ascending.*token 1"),
        ([b"a", b"b", b"b", b"c"], "ascending.*token 2"),
        ([b"ab", b"a"], "ascending"),
        ([b"a", b"a\x00", b"a"], "ascending.*token 2"),
        ([b"\x80", b"\x7f"], "ascending"),
    ],
)
def test_refused_vocabularies(vocabulary: list[bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecisionTree.from_vocabulary(vocabulary)


def test_arrays_are_small_and_cannot_be_changed() -> None:
    tree = DecisionTree.from_vocabulary(BYTES)
    for array in (tree.low, tree.cut, tree.high, tree.child, tree.bit_number, tree.byte_depth, tree.path_length):
        assert array.dtype == np.int32
        assert not array.flags.writeable


def test_building_is_fast_enough_to_do_at_every_start() -> None:
    """Target 50 ms for 16384 tokens; the bound leaves room for a busy machine."""
    vocabulary = text_like(16384)
    best = min(timed(vocabulary) for _ in range(5))
    assert best < 0.15


def timed(vocabulary: list[bytes]) -> float:
    start = time.perf_counter()
    DecisionTree.from_vocabulary(vocabulary)
    return time.perf_counter() - start


def test_the_longest_hostile_chains_are_built() -> None:
    """Every prefix of one long token: the deepest tree a vocabulary of bounded tokens can have."""
    tree = DecisionTree.from_vocabulary([b"\xff" * length for length in range(1, 257)])
    assert tree.path_length.max() == 255


@given(VOCABULARIES)
def test_columns_are_the_cuts_on_the_way_to_a_token_and_the_total(vocabulary: list[bytes]) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    assert tree.columns.shape == (len(vocabulary), tree.path_length.max() + 1)
    for token, row in enumerate(tree.columns.tolist()):
        node, cuts = tree.root, []
        while node >= 0:
            cuts.append(int(tree.cut[node]))
            node = int(tree.child[node, int(token > node)])
        assert row == cuts + [len(vocabulary)] * (len(row) - len(cuts))
