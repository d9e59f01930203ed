"""Generation: draws follow the frequencies, on any machine the same; random bits decode to what they encode from."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any, Unpack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.codec.engines import TEXT, bpe_engine, byte_engine
from zipllm.codec.block.coding import StaticEncoder
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.coder.fused import FusedEncoder
from zipllm.engine.engine import Engine
from zipllm.errors import LimitExceeded, UsageError
from zipllm.generate.generation import MOST_PROMPT, Continuation, RandomBits, from_words, sample
from zipllm.generate.sampling import Randomness, Sampling, draw
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.predictor.base import PredictOptions, Traits, delivered

NONE = np.empty(0, dtype=np.uint32)


def given_words(words: NDArray[np.uint32]) -> Callable[[int], NDArray[np.uint32]]:
    """A source that ends."""
    left = [words]
    return lambda count: left.pop() if left else NONE


class Fixed:
    """Knows the last token only and never learns, so that what it says of random tokens stays random."""

    precision, lane_bytes, traits = 24, 8, Traits()

    def __init__(self, vocabulary: Sequence[bytes]) -> None:
        self.vocabulary, self.start_token = vocabulary, len(vocabulary)
        generator = np.random.default_rng(1)
        shares = generator.dirichlet(np.full(len(vocabulary), 0.1), len(vocabulary) + 1)
        frequencies = 1 + (shares * ((1 << 24) - len(vocabulary))).astype(np.int32)
        frequencies[:, -1] += (1 << 24) - frequencies.sum(axis=1)
        self._cumulative = np.pad(np.cumsum(frequencies, axis=1), ((0, 0), (1, 0))).astype(np.int32)

    def start(self, lanes: int) -> Any:
        return None

    def predict(self, state: Any, tokens: Any, lanes: Any, **how: Unpack[PredictOptions]) -> Any:
        return delivered(self._cumulative[tokens], how)


@cache
def fixed_engine() -> Engine:
    tokenizer = bpe_engine().tokenizer
    predictor: Any = Fixed(tokenizer.vocabulary)
    return Engine(bytes(32), tokenizer, predictor)


# --------------------------------------------------------------------------- drawing
def test_random_words_are_fixed() -> None:
    """These numbers must never change, or a seed would no longer give the same text."""
    assert Randomness(0).words(3).tolist() == [711121951, 1985488561, 1332467411]
    assert [Randomness(7).below(1000) for _ in range(2)] == [186] * 2
    together, apart = Randomness(1), Randomness(1)
    assert together.words(16).tolist() == [*apart.words(8).tolist(), *apart.words(8).tolist()]


def test_draws_follow_the_weights() -> None:
    randomness, weights = Randomness(3), np.array([5, 0, 1, 10, 4], dtype=np.int64)
    counts = np.bincount([draw(weights, randomness) for _ in range(4000)], minlength=5)
    expected = 4000 * weights / weights.sum()
    assert counts[1] == 0
    assert ((counts - expected)[weights > 0] ** 2 / expected[weights > 0]).sum() < 16.3  # chi-square, 3 degrees, 0.1 %


@given(st.lists(st.integers(1, 1 << 24), min_size=1, max_size=40), st.fractions("0.05", 10, max_denominator=100))
def test_temperature_is_a_power(frequencies: list[int], temperature: Fraction) -> None:
    numbers = np.array(frequencies, dtype=np.int64)
    weights = Sampling(temperature=temperature).weights(numbers)
    exact = (numbers / numbers.max()) ** (1 / float(temperature))
    np.testing.assert_allclose(weights / weights.max(), exact, rtol=1e-3, atol=1e-6)


def test_recent_tokens_are_less_probable() -> None:
    numbers = np.array([30, 9, 8, 1], dtype=np.int64)
    penalized = Sampling(repeat_penalty=Fraction(5, 2))
    assert penalized.weights(numbers) is numbers
    assert penalized.weights(numbers, [0, 3, 0]).tolist() == [12, 9, 8, 1]
    assert numbers[0] == 30
    assert Sampling(temperature=Fraction(0), repeat_penalty=Fraction(5)).weights(numbers, [0]).argmax() == 1


def test_temperature_0_and_1() -> None:
    numbers = np.array([3, 9, 9, 2], dtype=np.int64)
    assert Sampling(temperature=Fraction(0)).weights(numbers).tolist() == [0, 1, 0, 0]
    assert Sampling().weights(numbers) is numbers
    assert Sampling(temperature=Fraction(1, 100)).weights(numbers)[[0, 3]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 2}, [1, 2]),
        ({"top_k": 99}, [0, 1, 2, 3]),
        ({"top_p": Fraction(9, 23)}, [1]),
        ({"top_p": Fraction(10, 23)}, [1, 2]),
        ({"top_p": Fraction(1)}, [0, 1, 2, 3]),
        ({"top_k": 2, "top_p": Fraction(1, 2)}, [1]),
    ],
)
def test_what_is_kept(choice: dict[str, Any], kept: list[int]) -> None:
    numbers = np.array([3, 9, 9, 2], dtype=np.int64)
    weights = Sampling(**choice).weights(numbers)
    assert np.flatnonzero(weights).tolist() == kept
    assert (weights[kept] == numbers[kept]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"temperature": Fraction(-1)},
        {"temperature": Fraction(1, 101)},
        {"temperature": Fraction(101)},
        {"top_k": -1},
        {"top_p": Fraction(0)},
        {"top_p": Fraction(11, 10)},
    ],
    ids=str,
)
def test_refusals(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)


# --------------------------------------------------------------------------- continuing
@pytest.mark.parametrize("engine", [byte_engine, bpe_engine])
def test_a_seed_is_a_text(engine: Callable[[], Engine]) -> None:
    first, second = (list(islice(sample(engine(), b"It is", Sampling(seed=4)), 60)) for _ in range(2))
    assert first == second
    assert first != list(islice(sample(engine(), b"It is", Sampling(seed=5)), 60))


def test_a_prompt_counts() -> None:
    """Whatever the length of the pieces in which it is read: its frequencies are those of one step after another."""
    engine = bpe_engine()
    read = Continuation(engine, TEXT * 3).cumulative
    state = engine.predictor.start(1)
    for token in [engine.predictor.start_token, *engine.tokenizer.encode(TEXT * 3).tolist()]:
        stepped = engine.predictor.predict(state, np.array([[token]], np.int32), np.zeros(1, np.int32))[0, 0]
    np.testing.assert_array_equal(read, stepped)
    with pytest.raises(LimitExceeded, match="256 KiB"):
        Continuation(engine, bytes(MOST_PROMPT + 1))


# --------------------------------------------------------------------------- random bits
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_encoding_gives_the_bits_back(seed: int) -> None:
    engine = fixed_engine()
    coder = RandomBits(Randomness(seed).words)
    tokens = np.array(list(islice(from_words(engine, b"", coder), 100)), dtype=np.int32)
    assert coder.restarts == 0
    encoder = StaticEncoder(engine)
    for chunk in predicted_chunks(engine, [tokens], steps=16):
        encoder.encode(chunk)
    again = encoder.finish()
    assert again.size > 8
    assert again[:-2].tolist() == Randomness(seed).words(again.size - 2).tolist()
    assert 0 < 32 * again.size - coder.bits < 65


def test_bits_are_what_the_tokens_cost() -> None:
    engine = fixed_engine()
    coder = RandomBits(Randomness(8).words)
    tokens = list(islice(from_words(engine, TEXT, coder), 150))
    prompt = Continuation(engine, TEXT)
    cost = 0.0
    for token in tokens:
        frequencies = np.diff(prompt.cumulative)
        cost += 24 - np.log2(frequencies[token])
        prompt.add(token)
    assert coder.restarts == 0
    assert coder.bits == pytest.approx(cost, rel=1e-3)


def test_random_bits_follow_the_frequencies() -> None:
    """And so do the draws of ``sample``: chi-square over the first token behind a prompt."""
    engine = byte_engine()
    before = TEXT * 4 + b"th"
    continuation = Continuation(engine, before)
    shares = np.diff(continuation.cumulative) / (1 << 24)
    common = np.argsort(-shares)[:4]
    expected = np.append(shares[common], 1 - shares[common].sum()) * 2000
    for name in ("bits", "draws"):
        randomness = Randomness(9)
        coder = RandomBits(randomness.words)
        weights = np.diff(continuation.cumulative).astype(np.int64)
        tokens = [
            coder.decode(engine.tree, continuation.cumulative) if name == "bits" else draw(weights, randomness)
            for _ in range(2000)
        ]
        counts = [tokens.count(token) for token in common]
        counts.append(2000 - sum(counts))
        assert ((np.array(counts) - expected) ** 2 / expected).sum() < 18.5, name  # 4 degrees of freedom, 0.1 %


def test_impossible_bits_start_anew() -> None:
    """Two words of ones lie in what the coder gives up at its first decision."""
    tree = DecisionTree.from_vocabulary([b"a", b"b"])
    even = np.array([0, 1 << 23, 1 << 24], dtype=np.int32)
    ones = np.full(2, 0xFFFFFFFF, dtype=np.uint32)
    rest = Randomness(1).words(4)
    coder, plain = RandomBits(given_words(np.append(ones, rest))), RandomBits(given_words(rest))
    assert [coder.decode(tree, even) for _ in range(40)] == [plain.decode(tree, even) for _ in range(40)]
    assert (coder.restarts, plain.restarts) == (1, 0)
    assert coder.bits == plain.bits + 64


def test_words_end() -> None:
    """Nothing is decoded from bits that are not there."""
    tree = DecisionTree.from_vocabulary([b"a", b"b"])
    even = np.array([0, 1 << 23, 1 << 24], dtype=np.int32)
    for count in range(6):
        coder = RandomBits(given_words(Randomness(2).words(count)))
        found = []
        while (token := coder.decode(tree, even)) is not None:
            found.append(token)
        assert len(found) == max(0, 32 * (count - 1)), count
        assert coder.bits <= 32 * count
        encoder = FusedEncoder()
        encoder.encode(np.array(found, np.uint8), np.full(len(found), 1 << 23, np.uint32))
        assert encoder.finish()[: max(0, count - 2)].tolist() == Randomness(2).words(max(0, count - 2)).tolist()
