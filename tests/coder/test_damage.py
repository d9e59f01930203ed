"""Damaged words give an error or other bits, never a crash, and the end check finds what the bits do not show."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.coder.streams import stream
from tests.coder.test_words import DECODERS, Words
from zipllm.coder.range_coder import BitDecoder, RangeEncoder, words_from_bytes
from zipllm.errors import CorruptData

BITS, PROBABILITIES = stream(11, 400, 3)


def encoded() -> NDArray[np.uint32]:
    encoder = RangeEncoder()
    encoder.encode(BITS, PROBABILITIES)
    return encoder.finish()


WORDS = encoded()


def outcome(decoder: Callable[[Words], BitDecoder], words: NDArray[np.uint32]) -> tuple[list[int], bool] | None:
    """Return the decoded bits and whether the end was right, or None for ``CorruptData``."""
    opened: BitDecoder = decoder(words)
    try:
        return opened.decode(PROBABILITIES).tolist(), opened.at_end()
    except CorruptData:
        return None


@pytest.mark.parametrize("decoder", DECODERS)
def test_undamaged(decoder: Callable[[Words], BitDecoder]) -> None:
    assert outcome(decoder, WORDS) == (BITS.tolist(), True)


@pytest.mark.parametrize("decoder", DECODERS)
def test_any_truncation_is_found(decoder: Callable[[Words], BitDecoder]) -> None:
    for length in range(WORDS.size):
        result = outcome(decoder, WORDS[:length])
        assert result is None or result[1] is False


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("extra", [[0], [1], [0xFFFFFFFF], [0, 0]])
def test_any_extension_is_found(decoder: Callable[[Words], BitDecoder], extra: list[int]) -> None:
    assert outcome(decoder, np.append(WORDS, np.array(extra, np.uint32))) == (BITS.tolist(), False)


@pytest.mark.parametrize("decoder", DECODERS)
def test_any_flip_shows_in_the_bits_or_at_the_end(decoder: Callable[[Words], BitDecoder]) -> None:
    for position in range(WORDS.size):
        for bit in range(0, 32, 3):
            words = WORDS.copy()
            words[position] ^= np.uint32(1 << bit)
            assert outcome(decoder, words) != (BITS.tolist(), True)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_all_forms_judge_random_words_alike(words: list[int]) -> None:
    assume(words != WORDS.tolist())
    results = [outcome(decoder, np.array(words, np.uint32)) for decoder in DECODERS]
    assert results[1:] == results[:-1]


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_number_no_encoder_writes(decoder: Callable[[Words], BitDecoder]) -> None:
    with pytest.raises(CorruptData, match="impossible"):
        decoder(np.array([0xFFFFFFFF, 0xFFFFFFFF], np.uint32)).decode(PROBABILITIES[:1])


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_decisions_need_no_words(decoder: Callable[[Words], BitDecoder]) -> None:
    assert decoder(np.empty(0, np.uint32)).at_end()
    assert not decoder(np.zeros(1, np.uint32)).at_end()


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_payload_that_is_not_whole_words(length: int) -> None:
    with pytest.raises(CorruptData, match="whole number"):
        words_from_bytes(bytes(length))


@pytest.mark.parametrize("decoder", DECODERS)
def test_nothing_is_printed(decoder: Callable[[Words], BitDecoder], capfd: pytest.CaptureFixture[str]) -> None:
    """The coder beneath prints by default, from where Python cannot catch it."""
    encoded()
    outcome(decoder, WORDS)
    outcome(decoder, WORDS[:3])
    outcome(decoder, np.full(5, 0xFFFFFFFF, np.uint32))
    assert capfd.readouterr() == ("", "")
