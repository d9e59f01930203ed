"""Workers side by side: turns in order, failures in the thread that asked."""

import threading
import time

import pytest

from tests.codec.threads.left_threads import few_threads, no_new_threads
from zipllm.codec.threads.turns import Turns


class Counting:
    """Takes ``turns`` turns, each noted in ``log``; fails in the one called ``fails``."""

    def __init__(self, name: str, turns: int, log: list[str], fails: int = -1, pause: float = 0.0) -> None:
        self._name, self._turns, self._log, self._fails, self._pause = name, turns, log, fails, pause
        self._taken = 0

    def prepare(self) -> None:
        time.sleep(self._pause)

    def take_turn(self) -> bool:
        if self._taken == self._fails:
            raise ValueError(self._name)
        self._log.append(f"{self._name}{self._taken}")
        self._taken += 1
        return self._taken < self._turns


def nothing() -> None:
    """Watch nothing."""


@pytest.mark.parametrize("slow", [0, 1, 2, None])
def test_turns_go_round(slow: int | None) -> None:
    log: list[str] = []
    counts = {"a": 3, "b": 1, "c": 5}
    pauses = [0.002 * (number == slow) for number in range(3)]
    workers = [Counting(*item, log, pause=pause) for item, pause in zip(counts.items(), pauses, strict=True)]
    Turns(workers).run(nothing)
    assert log == ["a0", "b0", "c0", "a1", "c1", "a2", "c2", "c3", "c4"]


@pytest.mark.parametrize("started", [0, 1, 2])
def test_fewer_threads_than_workers(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    few_threads(monkeypatch, started)
    log: list[str] = []
    counts = {"a": 3, "b": 1, "c": 5, "d": 2}
    Turns([Counting(*item, log) for item in counts.items()]).run(nothing)
    assert log == ["a0", "b0", "c0", "d0", "a1", "c1", "d1", "a2", "c2", "c3", "c4"]


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("turn", [0, 3])
def test_the_first_failure_stops_all(name: str, turn: int) -> None:
    log: list[str] = []
    workers = [Counting(other, 1000, log, fails=turn if other == name else -1) for other in "abc"]
    with no_new_threads(), pytest.raises(ValueError, match=f"^{name}$"):
        Turns(workers).run(nothing)
    assert log == [f"{other}{step}" for step in range(turn + 1) for other in "abc"][: 3 * turn + "abc".index(name)]


def test_one_worker_has_no_thread() -> None:
    log: list[str] = []
    threads = []
    Turns([Counting("a", 3, log)]).run(lambda: threads.append(threading.active_count()))
    assert log == ["a0", "a1", "a2"]
    assert set(threads) == {threading.active_count()}


def test_an_interruption_while_only_others_are_left() -> None:
    log: list[str] = []
    calls = 0

    def interrupt() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Turns([Counting("a", 2, log), Counting("b", 10**6, log)]).run(interrupt, seconds=0.001)
    assert log[:3] == ["a0", "b0", "a1"]
    assert threading.active_count() == 1 or all(thread.name != "zipllm" for thread in threading.enumerate())
