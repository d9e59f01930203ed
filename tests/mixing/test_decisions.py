"""Tokens to decisions and back: order, probabilities, cost, both forms of everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.mixing.test_decision_tree import VOCABULARIES
from tests.mixing.vocabularies import BYTES, PRECISION, draw, peaked, text_like, token_bits
from zipllm.coder.fused import FusedDecoder, open_encoder
from zipllm.coder.range_coder import RangeDecoder, RangeEncoder
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.mixing import decisions
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.decisions import Walk, decode_tokens
from zipllm.mixing.predictions import Predictions

DECODERS = [RangeDecoder, FusedDecoder] if COMPILES else [RangeDecoder]
Ragged = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
TREE = DecisionTree.from_vocabulary(text_like(600))


@pytest.fixture(params=["compiled", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with the compiled kernels, and as on a machine without numba."""
    if request.param == "compiled" and not COMPILES:
        pytest.skip("numba is not installed or told not to compile")
    monkeypatch.setattr(decisions, "COMPILES", request.param == "compiled")
    return str(request.param)


def chunk_decisions(
    tree: DecisionTree, cumulative: NDArray[np.int32], tokens: NDArray[np.int32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return the decisions of whole predictions."""
    return decisions.chunk_decisions(tree, Predictions(cumulative), tokens, counts)


def ragged(seed: int, lanes: int, steps: int, size: int, spread: float = 3.0) -> Ragged:
    """Return frequencies ``[lanes, steps, size+1]``, tokens, and counts that differ between lanes."""
    rng = np.random.default_rng(seed)
    cumulative = peaked(rng, lanes * steps, size, spread).reshape(lanes, steps, size + 1)
    return cumulative, draw(rng, cumulative), rng.integers(0, steps + 1, lanes)


def walked(
    tree: DecisionTree, cumulative: NDArray[np.int32], tokens: NDArray[np.int32], counts: NDArray[np.int64]
) -> tuple[list[int], list[int]]:
    """Return bits and probabilities by the definition of the order: step by step, one ``Walk`` each."""
    bits, probabilities = [], []
    for step in range(tokens.shape[1]):
        lanes = np.flatnonzero(step < counts)
        walk = Walk(tree, Predictions(cumulative[lanes, step]))
        while walk.active.size:
            probabilities.extend(walk.probabilities().tolist())
            batch = walk.bits_of(tokens[lanes, step])
            bits.extend(batch.tolist())
            walk.advance(batch)
        assert walk.tokens().tolist() == tokens[lanes, step].tolist()
    return bits, probabilities


def test_order_is_step_then_depth_then_lane(form: str) -> None:
    """Three tokens with paths 00, 01 and 1; step 0 codes all three, step 1 the lanes 0 and 2 only."""
    tree = DecisionTree.from_vocabulary([b"\x10", b"\x20", b"\x80"])
    cumulative = np.tile(np.array([0, 4, 8, 16], np.int32), (3, 2, 1))
    tokens = np.array([[0, 2], [1, 0], [2, 1]], np.int32)
    bits, probabilities = chunk_decisions(tree, cumulative, tokens, np.array([2, 1, 2]))
    assert bits.tolist() == [0, 0, 1, 0, 1, 1, 0, 1]
    assert bits.dtype == np.uint8
    assert probabilities.tolist() == [2**23] * 8
    assert probabilities.dtype == np.uint32


def test_probability_is_the_share_of_the_upper_branch_rounded_down(form: str) -> None:
    tree = DecisionTree.from_vocabulary([b"a", b"b", b"c"])  # 0x61, 0x62, 0x63: first a against b and c
    cumulative = np.array([[[0, 1, 3, 2**PRECISION]]], np.int32)
    _, probabilities = chunk_decisions(tree, cumulative, np.array([[1]], np.int32), np.array([1]))
    below = 2**PRECISION - 1
    assert probabilities.tolist() == [2**PRECISION - 1, ((below - 2) << 24) // below]


def test_probability_is_kept_inside_its_bounds(form: str) -> None:
    """Frequencies beyond 2**24 can ask for less than 2**-24."""
    tree = DecisionTree.from_vocabulary([b"a", b"b"])
    for cumulative, expected in (([0, 1, 2**30], 2**24 - 1), ([0, 2**30 - 1, 2**30], 1)):
        rows = np.array([[cumulative]], np.int32)
        _, probabilities = chunk_decisions(tree, rows, np.array([[0]], np.int32), np.array([1]))
        assert probabilities.tolist() == [expected]


@pytest.mark.parametrize(("lanes", "steps"), [(1, 1), (1, 9), (5, 4), (13, 2)])
def test_chunks_follow_the_definition(form: str, lanes: int, steps: int) -> None:
    chunk = ragged(lanes, lanes, steps, TREE.size)
    bits, probabilities = chunk_decisions(TREE, *chunk)
    assert (bits.tolist(), probabilities.tolist()) == walked(TREE, *chunk)


@given(VOCABULARIES, st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 4))
def test_both_forms_agree_on_any_vocabulary(vocabulary: list[bytes], seed: int, lanes: int, steps: int) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    cumulative, tokens, counts = ragged(seed, lanes, steps, tree.size)
    bits, probabilities = chunk_decisions(tree, cumulative, tokens, counts)
    plain_bits, plain_probabilities = decisions.plain_chunk_decisions(tree, Predictions(cumulative), tokens, counts)
    assert bits.tolist() == plain_bits.tolist()
    assert probabilities.tolist() == plain_probabilities.tolist()


@given(VOCABULARIES, st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 4))
def test_the_columns_of_its_tokens_are_all_that_a_chunk_needs(
    vocabulary: list[bytes], seed: int, lanes: int, steps: int
) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    cumulative, tokens, counts = ragged(seed, lanes, steps, tree.size)
    expected = [array.tolist() for array in chunk_decisions(tree, cumulative, tokens, counts)]
    selected = Predictions(np.take_along_axis(cumulative, tree.columns[tokens], axis=2), tree.columns)
    for function in (decisions.chunk_decisions, decisions.plain_chunk_decisions):
        assert [array.tolist() for array in function(tree, selected, tokens, counts)] == expected


def test_columns_of_another_tree_are_refused(form: str) -> None:
    cumulative, tokens, counts = ragged(1, 2, 3, TREE.size)
    with pytest.raises(ValueError, match="cumulative frequencies of shape"):
        decisions.chunk_decisions(TREE, Predictions(cumulative, TREE.columns), tokens, counts)


def test_consecutive_chunks_give_the_same_decisions_as_one(form: str) -> None:
    cumulative, tokens, counts = ragged(5, 6, 9, TREE.size)
    bits, probabilities = chunk_decisions(TREE, cumulative, tokens, counts)
    parts = [
        chunk_decisions(TREE, cumulative[:, a:b], tokens[:, a:b], np.clip(counts - a, 0, b - a))
        for a, b in ((0, 1), (1, 1), (1, 5), (5, 9))
    ]
    assert np.concatenate([part[0] for part in parts]).tolist() == bits.tolist()
    assert np.concatenate([part[1] for part in parts]).tolist() == probabilities.tolist()


def test_what_lies_behind_a_lanes_end_is_not_looked_at(form: str) -> None:
    cumulative, tokens, counts = ragged(6, 4, 5, TREE.size)
    expected = [array.tolist() for array in chunk_decisions(TREE, cumulative, tokens, counts)]
    behind = np.arange(5) >= counts[:, None]
    tokens[behind], cumulative[behind] = -7, 0
    assert [array.tolist() for array in chunk_decisions(TREE, cumulative, tokens, counts)] == expected


def test_read_only_and_strided_arrays_are_taken(form: str) -> None:
    cumulative, tokens, counts = ragged(7, 4, 6, TREE.size)
    expected = chunk_decisions(TREE, cumulative[:, ::2].copy(), tokens[:, ::2].copy(), counts // 2)
    cumulative.setflags(write=False)
    got = chunk_decisions(TREE, cumulative[:, ::2], tokens[:, ::2].astype(np.int64), counts // 2)
    assert [array.tolist() for array in got] == [array.tolist() for array in expected]


def test_the_product_along_a_path_is_the_tokens_share() -> None:
    """Chain rule, up to the rounding of each decision to 2**-24."""
    rng = np.random.default_rng(8)
    cumulative = np.repeat(peaked(rng, 1, TREE.size, 1.0)[:, None], TREE.size, axis=0)
    tokens = np.arange(TREE.size, dtype=np.int32)[:, None]
    bits, probabilities = chunk_decisions(TREE, cumulative, tokens, np.ones(TREE.size, np.int64))
    order = np.concatenate([np.flatnonzero(TREE.path_length > depth) for depth in range(TREE.path_length.max())])
    ones = probabilities / 2**24
    cost = np.bincount(order, weights=-np.log2(np.where(bits == 1, ones, 1 - ones)))
    assert np.abs(cost - token_bits(cumulative, tokens)[:, 0]).max() < 1e-3
    assert abs(np.exp2(-cost).sum() - 1) < 1e-12


@pytest.mark.parametrize("spread", [0.5, 2.0, 3.0])
def test_coded_size_is_within_a_thousandth_of_the_cross_entropy(spread: float) -> None:
    """A whole block of tokens drawn from peaked distributions, as real words: 0.1 % and the coder's last words."""
    cumulative, tokens, _ = ragged(9, 16, 80, TREE.size, spread)
    tokens = np.tile(tokens, (1, 4))
    encoder = open_encoder()
    for start in range(0, 320, 80):
        chunk = tokens[:, start : start + 80]
        encoder.encode(*chunk_decisions(TREE, cumulative, chunk, np.full(16, 80)))
    ideal = 4 * token_bits(cumulative, tokens[:, :80]).sum()
    assert ideal < encoder.finish().size * 32 <= ideal * 1.001 + 64


def encoded(
    cumulative: NDArray[np.int32], tokens: NDArray[np.int32], counts: NDArray[np.int64], tree: DecisionTree = TREE
) -> NDArray[np.uint32]:
    encoder = RangeEncoder()
    encoder.encode(*chunk_decisions(tree, cumulative, tokens, counts))
    return encoder.finish()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("lanes", "steps"), [(1, 12), (7, 6), (64, 2)])
def test_decoding_gives_the_tokens_back(form: str, decoder: type, lanes: int, steps: int) -> None:
    cumulative, tokens, counts = ragged(lanes, lanes, steps, TREE.size)
    opened = decoder(encoded(cumulative, tokens, counts))
    for step in range(steps):
        running = np.flatnonzero(step < counts)
        found = decode_tokens(TREE, cumulative[running, step], opened)
        assert found.tolist() == tokens[running, step].tolist()
        assert found.dtype == np.int32
    assert opened.at_end()


@pytest.mark.parametrize("decoder", DECODERS)
@given(VOCABULARIES, st.integers(0, 2**32), st.integers(1, 4))
def test_round_trip_of_any_vocabulary(decoder: type, vocabulary: list[bytes], seed: int, steps: int) -> None:
    tree = DecisionTree.from_vocabulary(vocabulary)
    cumulative, tokens, _ = ragged(seed, 3, steps, tree.size)
    opened = decoder(encoded(cumulative, tokens, np.full(3, steps), tree))
    for step in range(steps):
        assert decode_tokens(tree, cumulative[:, step], opened).tolist() == tokens[:, step].tolist()
    assert opened.at_end()


@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_words_give_tokens_of_the_vocabulary_or_an_error(form: str, decoder: type) -> None:
    cumulative, tokens, counts = ragged(10, 8, 6, TREE.size)
    words = encoded(cumulative, tokens, counts)
    for position in range(0, words.size, 3):
        damaged = words.copy()
        damaged[position] ^= np.uint32(0x00100000)
        opened, same = decoder(damaged), True
        for step in range(6):
            running = np.flatnonzero(step < counts)
            found = decode_tokens(TREE, cumulative[running, step], opened)
            assert ((found >= 0) & (found < TREE.size)).all()
            same &= bool((found == tokens[running, step]).all())
        assert not (same and opened.at_end())


@pytest.mark.parametrize("decoder", DECODERS)
def test_words_no_encoder_writes(form: str, decoder: type) -> None:
    cumulative, _, _ = ragged(11, 3, 1, TREE.size)
    with pytest.raises(CorruptData, match="impossible"):
        decode_tokens(TREE, cumulative[:, 0], decoder(np.full(2, 0xFFFFFFFF, np.uint32)))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_vocabulary_of_one_token_needs_no_words(form: str, decoder: type) -> None:
    tree = DecisionTree.from_vocabulary([b"only"])
    cumulative = np.tile(np.array([0, 2**24], np.int32), (2, 3, 1))
    words = encoded(cumulative, np.zeros((2, 3), np.int32), np.array([3, 1]), tree)
    assert words.size == 0
    opened = decoder(words)
    assert decode_tokens(tree, cumulative[:, 0], opened).tolist() == [0, 0]
    assert opened.at_end()


def test_no_lanes_and_no_steps(form: str) -> None:
    for lanes, steps in ((0, 3), (2, 0)):
        cumulative = np.zeros((lanes, steps, TREE.size + 1), np.int32)
        bits, probabilities = chunk_decisions(
            TREE, cumulative, np.zeros((lanes, steps), np.int32), np.zeros(lanes, np.int64)
        )
        assert (bits.size, probabilities.size) == (0, 0)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("row", [[0, 5, 5, 16], [0, 9, 4, 16], [0, 20, 24, 16], [16, 12, 8, 0], [0, 0, 0, 0]])
def test_frequencies_that_do_not_ascend_are_refused(form: str, decoder: type, row: list[int]) -> None:
    tree = DecisionTree.from_vocabulary([b"\x01", b"\x02", b"\x03"])
    cumulative = np.array([row], np.int32)
    with pytest.raises(ValueError, match="not strictly ascending"):
        chunk_decisions(tree, cumulative[None], np.array([[1]], np.int32), np.array([1]))
    with pytest.raises(ValueError, match="not strictly ascending"):
        decode_tokens(tree, cumulative, decoder(np.array([0xC0000000], np.uint32)))


def test_arguments_of_the_wrong_kind_are_refused(form: str) -> None:
    tree = DecisionTree.from_vocabulary(BYTES)
    cumulative, tokens, counts = ragged(12, 2, 3, 256)
    for wrong, message in (
        ((cumulative.astype(np.int64), tokens, counts), "int32"),
        ((cumulative[..., :-1], tokens, counts), "shape"),
        ((cumulative[0], tokens, counts), "shape"),
        ((cumulative, tokens[:, :2], counts), "tokens"),
        ((cumulative, tokens, counts[:1]), "counts"),
        ((cumulative, tokens.astype(float), counts), "integers"),
        ((cumulative, tokens, counts.astype(float)), "integers"),
        ((cumulative, tokens, counts - 9), "counts outside"),
        ((cumulative, tokens, counts + 9), "counts outside"),
        ((cumulative, tokens + 256, np.array([3, 3])), "outside the vocabulary"),
        ((cumulative, tokens - 256, np.array([3, 3])), "outside the vocabulary"),
    ):
        with pytest.raises(ValueError, match=message):
            chunk_decisions(tree, *wrong)
    for rows in (cumulative, cumulative[0, :, :-1], cumulative[0].astype(np.uint32)):
        with pytest.raises(ValueError, match="cumulative"):
            decode_tokens(tree, rows, RangeDecoder(np.zeros(1, np.uint32)))
