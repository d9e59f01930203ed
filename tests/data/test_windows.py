"""Training windows: shares, coverage, and an order that a counter restores."""

from pathlib import Path

import numpy as np
import pytest

from zipllm.data.windows import TokenSource, WindowSampler, open_tokens


def source(name: str, first: int, count: int, weight: float) -> TokenSource:
    return TokenSource(name, np.arange(first, first + count, dtype=np.uint16), weight)


def test_shares_follow_the_weights() -> None:
    sampler = WindowSampler([source("a", 0, 1000, 3.0), source("b", 5000, 1000, 1.0)], 10, seed=1)
    rows = sampler.batch(400)
    assert (rows[:, 0] < 5000).sum() == 300
    assert sampler.position == [300, 100]


def test_a_pass_covers_the_source_without_repeats() -> None:
    sampler = WindowSampler([source("a", 0, 1005, 1.0)], 10, seed=2)
    starts = sampler.batch(99)[:, 0]
    assert len(set(starts.tolist())) == 99
    assert (np.diff(np.sort(starts)) == 10).all()


def test_passes_differ() -> None:
    sampler = WindowSampler([source("a", 0, 1005, 1.0)], 10, seed=3)
    assert sampler.batch(99).tolist() != sampler.batch(99).tolist()


def test_position_restores_the_order() -> None:
    sources = [source("a", 0, 333, 1.0), source("b", 1000, 555, 0.7)]
    one, two = WindowSampler(sources, 8, seed=4), WindowSampler(sources, 8, seed=4)
    one.batch(123)
    two.position = one.position
    assert one.batch(200).tolist() == two.batch(200).tolist()


def test_windows_are_contiguous() -> None:
    rows = WindowSampler([source("a", 7, 64, 1.0)], 16, seed=5).batch(20)
    assert (np.diff(rows, axis=1) == 1).all()


def test_source_of_exactly_one_window() -> None:
    assert WindowSampler([source("a", 7, 16, 1.0)], 16, seed=5).batch(3).tolist() == [list(range(7, 23))] * 3


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ([], "no training data"),
        ([source("short", 0, 7, 1.0)], "short has 7 tokens"),
        ([source("a", 0, 99, 0.0)], "above zero"),
        ([source("a", 0, 99, float("nan"))], "above zero"),
    ],
)
def test_unusable_sources_are_refused(sources: list[TokenSource], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        WindowSampler(sources, 8, seed=0)


def test_impossible_position_is_refused() -> None:
    sampler = WindowSampler([source("a", 0, 99, 1.0)], 8, seed=0)
    for position in ([], [1, 2], [-1]):
        with pytest.raises(ValueError, match="1 counts"):
            sampler.position = position


def test_token_files(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    path.write_bytes(np.array([1, 2, 65_535], dtype="<u2").tobytes())
    assert open_tokens(path).tolist() == [1, 2, 65_535]
    for damage in (b"", b"\x01\x02\x03"):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match="16-bit"):
            open_tokens(path)
