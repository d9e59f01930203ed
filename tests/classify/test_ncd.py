"""Normalized compression distance."""

import zlib

import numpy as np
import pytest

from zipllm.classify.ncd import distances

DAY, NIGHT = (
    b"the sun rose over the hills and the day began " * 3,
    b"stars, and a moon; owls called in dark woods. " * 3,
)


def test_the_formula() -> None:
    """The number of different bytes serves as a compressor whose distances are easy to check by hand."""
    train, texts = [b"abcd", b"xy"], [b"ab", b"zxyw"]
    seen: list[float] = []
    found = distances(lambda data: len(set(data)), train, texts, seen.append)
    # C(ab)=2, C(abcd)=4, C(xy)=2, C(zxyw)=4; a space joins, and counts as a byte of its own
    assert found.tolist() == [[(5 - 2) / 4, (5 - 2) / 2], [(9 - 4) / 4, (5 - 2) / 4]]
    assert seen == [0.5, 1.0]


def test_alike_is_near() -> None:
    found = distances(
        lambda data: len(zlib.compress(data, 9)), [DAY, NIGHT], [DAY[10:90], NIGHT[10:90]], lambda _: None
    )
    assert found.argmin(1).tolist() == [0, 1]


def test_equal_fractions_are_equal() -> None:
    """1/3 and 2/6 are equal distances, so they tie."""
    sizes = {b"a": 3, b"b": 6, b"t": 3, b"a t": 4, b"b t": 5}
    found = distances(sizes.__getitem__, [b"a", b"b"], [b"t"], lambda _: None)
    assert found[0, 0] == found[0, 1] == pytest.approx(1 / 3)
    assert found.dtype == np.float64
