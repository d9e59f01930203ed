"""Arguments that constriction would take silently, or panic about, are refused before they reach it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.coder.streams import ONE
from tests.coder.test_words import DECODERS, ENCODERS
from zipllm.coder.range_coder import words_to_bytes

GOOD_BITS = np.array([1, 0], np.uint8)
GOOD = np.array([5, 6], np.uint32)
WRONG_PROBABILITIES: dict[str, Any] = {
    "zero": (np.array([5, 0], np.uint32), ValueError),
    "one": (np.array([5, ONE], np.uint32), ValueError),
    "beyond one": (np.array([5, 2**32 - 1], np.uint32), ValueError),
    "negative": (np.array([5, -1], np.int32), TypeError),
    "signed": (np.array([5, 6], np.int64), TypeError),
    "floats": (np.array([0.5, 0.5]), TypeError),
    "not a number": (np.array([np.nan, 0.5]), TypeError),
    "two-dimensional": (np.array([[5, 6]], np.uint32), ValueError),
}
WRONG_BITS: dict[str, Any] = {
    "a two": (np.array([1, 2], np.uint8), ValueError),
    "signed": (np.array([1, 0], np.int64), TypeError),
    "booleans": (np.array([True, False]), TypeError),
    "one too few": (np.array([1], np.uint8), ValueError),
    "one too many": (np.array([1, 0, 1], np.uint8), ValueError),
    "two-dimensional": (np.array([[1, 0]], np.uint8), ValueError),
}


@pytest.mark.parametrize("name", WRONG_PROBABILITIES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_encode_refuses_probabilities(encoder: type, name: str) -> None:
    probabilities, error = WRONG_PROBABILITIES[name]
    opened = encoder()
    with pytest.raises(error, match="probabilit"):
        opened.encode(GOOD_BITS, probabilities)
    assert opened.finish().size == 0


@pytest.mark.parametrize("name", WRONG_PROBABILITIES)
@pytest.mark.parametrize("decoder", DECODERS)
def test_decode_refuses_probabilities(decoder: type, name: str) -> None:
    probabilities, error = WRONG_PROBABILITIES[name]
    with pytest.raises(error, match="probabilit"):
        decoder(np.array([7], np.uint32)).decode(probabilities)


@pytest.mark.parametrize("name", WRONG_BITS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_encode_refuses_bits(encoder: type, name: str) -> None:
    bits, error = WRONG_BITS[name]
    opened = encoder()
    with pytest.raises(error, match="bit"):
        opened.encode(bits, GOOD)
    assert opened.finish().size == 0


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encode_after_finish(encoder: type) -> None:
    opened = encoder()
    opened.encode(GOOD_BITS, GOOD)
    words = opened.finish()
    with pytest.raises(ValueError, match="after finish"):
        opened.encode(GOOD_BITS, GOOD)
    assert opened.finish().tolist() == words.tolist()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (np.array([1], np.int32), TypeError),
        (np.array([1.0]), TypeError),
        (np.array([[1]], np.uint32), ValueError),
    ],
)
def test_words_of_the_wrong_kind(words: Any, error: type[Exception]) -> None:
    takers: list[Callable[[Any], object]] = [*DECODERS, words_to_bytes]
    for take in takers:
        with pytest.raises(error, match="words must be"):
            take(words)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_callers_words_may_change_afterwards(decoder: type) -> None:
    words = np.array([0x80000000], np.uint32)
    opened = decoder(words)
    words[0] = 0
    assert opened.decode(np.array([ONE // 2], np.uint32)).tolist() == [1]
    assert opened.at_end()
