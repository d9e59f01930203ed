"""Bytes drawn by the lengths that a codec gives them."""

from collections import Counter
from itertools import islice

from zipllm.generate.by_codec import _drawn
from zipllm.generate.sampling import Randomness


def test_each_byte_of_the_archive_halves_the_chance_eight_times() -> None:
    """A codec for which one byte is shortest, eight others one byte longer, and all the rest very long."""

    def lengths(text: bytes) -> bytes:
        value = text[-1]
        return bytes(10 + (value > 0) + 20 * (value > 8))

    counts: Counter[bytes] = Counter()
    randomness = Randomness(1)
    for _ in range(600):
        counts[next(_drawn(lengths, b"", randomness))] += 1
    assert counts[b"\0"] + sum(counts[bytes([value])] for value in range(1, 9)) == 600
    assert 600 * 8 / 264 * 0.4 < 600 - counts[b"\0"] < 600 * 8 / 264 * 2


def test_the_text_goes_on() -> None:
    """What was drawn is part of what the next byte is tried with."""
    seen: list[int] = []

    def lengths(text: bytes) -> bytes:
        seen.append(len(text))
        return bytes(8)

    drawn = list(islice(_drawn(lengths, b"abc", Randomness(1)), 3))
    assert [len(byte) for byte in drawn] == [1, 1, 1]
    assert seen == [4] * 256 + [5] * 256 + [6] * 256
