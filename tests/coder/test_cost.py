"""What coding costs above the entropy of the decisions."""

import numpy as np
import pytest

from tests.coder.streams import ONE, entropy, stream
from zipllm.coder.fused import open_encoder
from zipllm.coder.range_coder import RangeEncoder

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
