"""Advice before and while a run trains: few steps, little data, a network too large for them."""

import itertools

import numpy as np
import pytest

from zipllm.data.windows import TokenSource
from zipllm.model.architecture import preset
from zipllm.tokenizer import ByteTokenizer
from zipllm.train.config import TrainConfig
from zipllm.train.enough import advice, noting_slow_steps


def advise(size: int, shape: str = "nano", **budget: float) -> str:
    source = TokenSource("data", np.zeros(size, dtype=np.uint16), 1.0)
    return "\n".join(advice(TrainConfig(**budget), preset(shape, 256), [source], ByteTokenizer()))  # type: ignore[arg-type]


def test_a_sensible_run_needs_no_advice() -> None:
    assert advise(5_000_000, steps=1000) == ""
    assert advise(5_000_000, minutes=10) == ""


@pytest.mark.parametrize(
    ("size", "shape", "budget", "words"),
    [
        (5_000_000, "nano", {"steps": 4}, "the budget allows about 4 steps of 8,192 tokens"),
        (5_000_000, "nano", {"tokens": 40_000}, "the budget allows about 5 steps"),
        (3_000, "nano", {"minutes": 1}, "3,000 bytes are little to learn from"),
        (99_999, "base", {"minutes": 1}, "a smaller --preset or --vocabulary learns as much"),
    ],
)
def test_advice(size: int, shape: str, budget: dict[str, float], words: str) -> None:
    assert words in advise(size, shape, **budget)


@pytest.mark.parametrize(("seconds", "told"), [(15.0, 1), (0.5, 0)])
def test_slow_steps_are_told_once(monkeypatch: pytest.MonkeyPatch, seconds: float, told: int) -> None:
    clock = itertools.count(0.0, seconds)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    notes = list[str]()
    ask = noting_slow_steps(lambda: True, 1.0, notes.append)
    assert all(ask() for _ in range(5))
    assert len(notes) == told
    if told:
        assert notes[0].startswith("the budget allows about 4 steps of 15 s")
