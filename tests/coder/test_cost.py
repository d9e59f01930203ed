"""What coding costs above the entropy of the decisions."""

import numpy as np
import pytest

from tests.coder.streams import ONE, entropy, stream
from zipllm.coder.fused import FusedDecoder, FusedEncoder, open_encoder
from zipllm.coder.range_coder import RangeEncoder
from zipllm.jit.compiled import COMPILES

CLOSING_BITS = 64


@pytest.mark.parametrize("sharpness", [0, 3, 10, 20])
def test_cost_above_entropy(sharpness: int) -> None:
    """The coder gives up ``range mod 2**24`` at each decision: 1e-4 to 3e-4 bit, whatever the decision costs."""
    bits, probabilities = stream(9, 50_000, sharpness)
    encoder = open_encoder()
    encoder.encode(bits, probabilities)
    assert encoder.finish().size * 32 <= entropy(bits, probabilities) + 3e-4 * bits.size + CLOSING_BITS


def test_even_decisions_cost_a_hundredth_of_a_percent() -> None:
    bits = np.tile(np.array([0, 1, 1], np.uint8), 100_000)
    encoder = RangeEncoder()
    encoder.encode(bits, np.full(bits.size, ONE // 2, np.uint32))
    assert encoder.finish().size * 32 <= bits.size * 1.0001 + CLOSING_BITS


def test_the_likeliest_decisions_cost_next_to_nothing() -> None:
    """A million certain decisions: 2**-24 each from the model, the rest is the coder's truncation."""
    bits = np.ones(1_000_000, np.uint8)
    encoder = RangeEncoder()
    encoder.encode(bits, np.full(bits.size, ONE - 1, np.uint32))
    assert encoder.finish().size * 32 <= 3e-4 * bits.size


needs_compiling = pytest.mark.skipif(not COMPILES, reason="numba is not installed or told not to compile")


@needs_compiling
def test_nothing_is_spent_before_the_first_decision() -> None:
    assert FusedEncoder().spent() == 0
    assert FusedDecoder(np.array([7, 8, 9], np.uint32)).spent() == 0


@needs_compiling
@pytest.mark.parametrize("sharpness", [0, 10])
def test_both_sides_spend_what_the_decisions_cost(sharpness: int) -> None:
    """At every point, not only at the end: a fraction of a bit above the entropy so far."""
    bits, probabilities = stream(12, 3000, sharpness)
    encoder = FusedEncoder()
    encoder.encode(bits, probabilities)
    decoder, writer = FusedDecoder(encoder.finish()), FusedEncoder()
    for end in range(100, bits.size + 1, 100):
        part = slice(end - 100, end)
        writer.encode(bits[part], probabilities[part])
        decoder.decode(probabilities[part])
        above = writer.spent() - entropy(bits[:end], probabilities[:end])
        assert 0 <= above <= 3e-4 * end
        assert decoder.spent() == writer.spent()
