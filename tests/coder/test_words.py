"""The words are part of the archive format: pinned exactly, and the same from every form of the coder."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.coder.big_integers import BigIntegerDecoder, BigIntegerEncoder
from tests.coder.streams import ONE, follow, stream
from zipllm.coder import fused
from zipllm.coder.fused import FusedDecoder, FusedEncoder
from zipllm.coder.range_coder import (
    BitDecoder,
    BitEncoder,
    RangeDecoder,
    RangeEncoder,
    words_from_bytes,
    words_to_bytes,
)
from zipllm.jit import compiled

HALF = ONE // 2
CLOSING = 2
"""Words that close a stream, at most."""
Words = NDArray[np.uint32]
ENCODERS: list[Callable[[], BitEncoder]] = [RangeEncoder, FusedEncoder] if compiled.COMPILES else [RangeEncoder]
DECODERS: list[Callable[[Words], BitDecoder]] = [RangeDecoder, FusedDecoder] if compiled.COMPILES else [RangeDecoder]

# name: (bits, probabilities of a 1 in units of 2**-24, words)
PINNED: dict[str, tuple[list[int], list[int], list[int]]] = {
    "nothing": ([], [], []),
    "likely 1": ([1], [ONE - 1], [0x00000100]),
    "unlikely 1": ([1], [1], [0xFFFFFF00]),
    "unlikely 0": ([0], [ONE - 1], [0x00000000]),
    "likely 0": ([0], [1], [0x00000000]),
    "even 1": ([1], [HALF], [0x80000000]),
    "even 0": ([0], [HALF], [0x00000000]),
    "just under even": ([1], [HALF - 1], [0x80000100]),
    "two words of even decisions": ([0, 1] * 32, [HALF] * 64, [0x55555555, 0x4D2AAAAA, 0x55800000]),
    "thirds": ([1, 0, 0] * 10, [ONE // 3] * 30, [0xC8590B75]),
    "the unlikeliest": (
        [1] * 8,
        [1] * 8,
        [0xFFFFFFFF, 0xFE000000, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x00010000],
    ),
}
# (seed, length, sharpness) of a stream: words
PINNED_STREAMS = {
    (1, 40, 0): [0x9B51C838, 0xC4335FDF],
    (2, 60, 6): [0x2D7B0EAD],
    (3, 80, 20): [0x9B781DAB],
}


def coded(encoder: BitEncoder, bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> list[int]:
    encoder.encode(bits, probabilities)
    words: list[int] = encoder.finish().tolist()
    return words


def reference_words(bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> list[int]:
    encoder = BigIntegerEncoder()
    for bit, probability in zip(bits.tolist(), probabilities.tolist(), strict=True):
        encoder.encode(bit, probability)
    return encoder.finish()


@pytest.mark.parametrize("name", PINNED)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_pinned_words(encoder: type[BitEncoder], name: str) -> None:
    bits, probabilities, words = PINNED[name]
    assert coded(encoder(), np.array(bits, np.uint8), np.array(probabilities, np.uint32)) == words


@pytest.mark.parametrize("key", PINNED_STREAMS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_pinned_words_of_streams(encoder: type[BitEncoder], key: tuple[int, int, int]) -> None:
    assert coded(encoder(), *stream(*key)) == PINNED_STREAMS[key]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_carry_runs_back_through_written_words(encoder: type[BitEncoder]) -> None:
    """An interval around 0.5 leaves its first words open; the last decision settles them either way."""
    _, probabilities = stream(4, 200, 0)
    around = follow([0x80000000], probabilities)
    seen = set()
    for length, last in itertools.product(range(60, 200), (0, 1)):
        bits = around[:length].copy()
        bits[-1] = last
        words = coded(encoder(), bits, probabilities[:length])
        assert words == reference_words(bits, probabilities[:length])
        seen.add(tuple(words[:3]))
    assert {(0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (0x80000000, 0, 0)} <= seen


@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(0, 23), st.booleans())
def test_every_form_writes_the_same_words(seed: int, length: int, sharpness: int, drawn: bool) -> None:
    """Including bits that contradict their probabilities."""
    bits, probabilities = stream(seed, length, sharpness)
    bits = bits if drawn else (probabilities & 1).astype(np.uint8)
    words = reference_words(bits, probabilities)
    assert [coded(encoder(), bits, probabilities) for encoder in ENCODERS] == [words] * len(ENCODERS)


@given(st.integers(0, 2**32), st.integers(0, 23), st.lists(st.integers(0, 2**32 - 1), max_size=4), st.integers(1, 90))
def test_words_with_long_runs_of_carries(seed: int, sharpness: int, target: list[int], length: int) -> None:
    _, probabilities = stream(seed, length, sharpness)
    bits = follow(target, probabilities)
    probabilities = probabilities[: bits.size]
    bits[-1:] ^= np.uint8(seed & 1)
    words = reference_words(bits, probabilities)
    assert [coded(encoder(), bits, probabilities) for encoder in ENCODERS] == [words] * len(ENCODERS)


@pytest.mark.parametrize("decoder", DECODERS)
@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(0, 23))
def test_decoders_agree_with_the_reference(decoder: type, seed: int, length: int, sharpness: int) -> None:
    bits, probabilities = stream(seed, length, sharpness)
    words = coded(RangeEncoder(), bits, probabilities)
    opened: BitDecoder = decoder(np.array(words, np.uint32))
    assert opened.decode(probabilities).tolist() == bits.tolist()
    assert opened.at_end()
    reference = BigIntegerDecoder(words)
    assert [reference.decode(k) for k in probabilities.tolist()] == bits.tolist()


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_batches_may_be_cut_anywhere(encoder: type[BitEncoder], decoder: type) -> None:
    bits, probabilities = stream(7, 500, 4)
    cuts = [0, 1, 2, 2, 65, 300, 500]
    opened = encoder()
    for start, stop in itertools.pairwise(cuts):
        opened.encode(bits[start:stop], probabilities[start:stop])
    words = opened.finish()
    assert words.tolist() == coded(RangeEncoder(), bits, probabilities)
    reader: BitDecoder = decoder(words)
    parts = [reader.decode(probabilities[start:stop]) for start, stop in itertools.pairwise(cuts)]
    assert np.concatenate(parts).tolist() == bits.tolist()
    assert reader.at_end()


@pytest.mark.parametrize("probability", [1, 2, HALF - 1, HALF, HALF + 1, ONE - 2, ONE - 1])
@pytest.mark.parametrize("bit", [0, 1])
def test_constriction_works_with_exactly_the_given_frequency(bit: int, probability: int) -> None:
    """The range that is left after one decision is the full range over 2**24, times the frequency."""
    encoder = RangeEncoder()
    encoder.encode(np.array([bit], np.uint8), np.array([probability], np.uint32))
    _, (_, left) = encoder._encoder.pos()
    expected = ((2**64 - 1) >> 24) * (probability if bit else ONE - probability)
    assert left == (expected if expected >= 2**32 else expected << 32)


def test_words_are_stored_in_little_endian_order() -> None:
    words = np.array([0x01020304, 0xA0000000], np.uint32)
    assert words_to_bytes(words) == bytes.fromhex("04030201 000000a0")
    assert words_from_bytes(words_to_bytes(words)).tolist() == words.tolist()


def test_the_fallback_is_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "COMPILES", False)
    assert isinstance(fused.open_encoder(), RangeEncoder)
    assert isinstance(fused.open_decoder(np.empty(0, np.uint32)), RangeDecoder)


@pytest.mark.skipif(not compiled.COMPILES, reason="numba is not installed or told not to compile")
def test_the_fused_form_is_taken_where_numba_compiles() -> None:
    assert isinstance(fused.open_encoder(), FusedEncoder)
    assert isinstance(fused.open_decoder(np.empty(0, np.uint32)), FusedDecoder)


@pytest.mark.parametrize("encoder_type", ENCODERS)
def test_the_position_follows_the_words(encoder_type: type[BitEncoder]) -> None:
    encoder = encoder_type()
    for decisions in (1, 40, 3000, 7):
        before = encoder.position()
        encoder.encode(np.ones(decisions, dtype=np.uint8), np.full(decisions, HALF, dtype=np.uint32))
        assert abs(encoder.position() - before - decisions / 32) <= CLOSING
    assert abs(len(encoder.finish()) - encoder.position()) <= CLOSING
