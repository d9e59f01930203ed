"""The last value on each side of every comparison that the coder makes, in all of its forms."""

import numpy as np
import pytest

from tests.coder.big_integers import BigIntegerDecoder
from tests.coder.streams import ONE
from tests.coder.test_words import DECODERS, ENCODERS, coded, reference_words
from zipllm.coder.fused import FusedEncoder
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES

HALF = ONE // 2
SCALE = (2**64 - 1) >> 24
ROOM = 1024
"""Words that a new encoder has room for."""

needs_compiling = pytest.mark.skipif(not COMPILES, reason="numba is not installed or told not to compile")


def first_bits(number: int, probability: int) -> list[int | None]:
    """The first bit that each decoder reads from a number of 64 bits, None where it refuses."""
    words = [number >> 32, number & 0xFFFFFFFF]
    found: list[int | None] = []
    for decoder in DECODERS:
        opened = decoder(np.array(words, np.uint32))
        try:
            found.append(int(opened.decode(np.array([probability], np.uint32))[0]))
        except CorruptData:
            found.append(None)
    try:
        return [*found, BigIntegerDecoder(words).decode(probability)]
    except CorruptData:
        return [*found, None]


@pytest.mark.parametrize("probability", [1, HALF - 1, HALF, ONE - 1])
def test_the_number_at_the_split_is_a_one_and_the_number_before_it_a_zero(probability: int) -> None:
    split = SCALE * (ONE - probability)
    assert set(first_bits(split, probability)) == {1}
    assert set(first_bits(split - 1, probability)) == {0}


def test_the_first_number_past_the_interval_is_refused_and_the_last_inside_is_not() -> None:
    assert set(first_bits(SCALE << 24, HALF)) == {None}
    assert set(first_bits((SCALE << 24) - 1, HALF)) == {1}


def test_an_interval_one_short_of_a_word_is_widened() -> None:
    """A one of probability 1 leaves 2**40 - 1; of that, 65537 parts of 65535 are 2**32 - 1: below a word, just."""
    rest = np.arange(40)
    bits = np.append([1, 1], rest % 3 == 0).astype(np.uint8)
    probabilities = np.append([1, 65537], np.full(rest.size, HALF)).astype(np.uint32)
    words = reference_words(bits, probabilities)
    assert [coded(encoder(), bits, probabilities) for encoder in ENCODERS] == [words] * len(ENCODERS)
    for decoder in DECODERS:
        assert decoder(np.array(words, np.uint32)).decode(probabilities).tolist() == bits.tolist()


@needs_compiling
@pytest.mark.parametrize(("lower", "words"), [(0xFFFFFFFF << 32, [5, 0xFFFFFFFF]), (0xFFFFFFFF << 32 | 1, [6, 0])])
def test_the_last_number_without_a_carry_and_the_first_with_one(lower: int, words: list[int]) -> None:
    encoder = FusedEncoder()
    encoder.state[:] = lower, 1 << 40, 0, 1
    encoder.words[0] = 5
    assert encoder.finish().tolist() == words


@needs_compiling
def test_room_is_made_only_when_it_is_needed_and_then_at_least_doubled() -> None:
    encoder = FusedEncoder()
    encoder.words[:3] = 7, 8, 9
    first = encoder.words
    encoder.reserve(ROOM - 2)
    assert encoder.words is first
    encoder.reserve(ROOM - 1)
    assert encoder.words.size == 2 * ROOM
    assert encoder.words[:3].tolist() == [7, 8, 9]
    encoder.state[3] = 100  # words written
    encoder.reserve(5 * ROOM)
    assert encoder.words.size == 5 * ROOM + 102
