"""Work in several threads: results in order, failures where the result is taken, no thread left."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.codec.threads.left_threads import few_threads, no_new_threads
from zipllm.codec.threads import work_queue
from zipllm.codec.threads.side_by_side import SideBySide, Tick

Action = Callable[[Tick], None]


class Doing:
    """A piece of work: any function."""

    def __init__(self, number: int, action: Action = lambda tick: None) -> None:
        self.number = number
        self._action = action
        self.thread: threading.Thread | None = None

    def run(self, tick: Tick) -> None:
        self.thread = threading.current_thread()
        self._action(tick)


def nothing() -> None:
    """Watch nothing."""


def waiting(event: threading.Event) -> None:
    event.wait(30)


def endless(tick: Tick) -> None:
    while True:
        tick()
        time.sleep(0.001)


def fail_with_memory() -> None:
    raise MemoryError


def fail(tick: Tick) -> None:
    raise ValueError("this piece")


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(work_queue, "LINGER_SECONDS", 0.0)
    with no_new_threads():
        yield


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_in_order(workers: int) -> None:
    pieces: SideBySide[Doing] = SideBySide(workers, nothing)
    taken = []
    for number in range(20):
        pieces.put(Doing(number, lambda tick: time.sleep(0.001 * (number % 3))))  # noqa: B023
        assert len(pieces) <= workers
        if pieces.full:
            taken.append(pieces.take())
    while pieces:
        taken.append(pieces.take())
    assert [piece.number for piece in taken] == list(range(20))
    assert all((piece.thread is threading.main_thread()) == (workers == 1) for piece in taken)


def test_as_many_at_a_time_as_workers() -> None:
    together = threading.Barrier(4, timeout=30)

    def meet(tick: Callable[[], None]) -> None:
        together.wait()

    pieces: SideBySide[Doing] = SideBySide(4, nothing)
    for number in range(4):
        pieces.put(Doing(number, meet))
    assert pieces.full
    assert [piece.number for piece in pieces] == [0, 1, 2, 3]
    assert [pieces.take().number for _ in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_waits_for_the_pieces_before_it(workers: int) -> None:
    pieces: SideBySide[Doing] = SideBySide(workers, nothing)
    for number, action in enumerate([lambda tick: time.sleep(0.02), fail, fail]):
        pieces.put(Doing(number, action))
    assert pieces.take().number == 0
    with pytest.raises(ValueError, match="this piece"):
        pieces.take()
    pieces.close()


def test_what_nobody_wants_ends_at_its_next_tick() -> None:
    pieces: SideBySide[Doing] = SideBySide(3, nothing)
    for number in range(3):
        pieces.put(Doing(number, endless))
    pieces.close()
    assert not pieces
    pieces.put(Doing(3, lambda tick: tick()))
    assert pieces.take().number == 3, "it can be used again"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interruption_by_the_watch(workers: int) -> None:
    calls = []

    def watch() -> None:
        calls.append(threading.current_thread())
        if len(calls) == 3:
            raise KeyboardInterrupt

    pieces: SideBySide[Doing] = SideBySide(workers, watch)
    pieces.put(Doing(0, endless))
    with pytest.raises(KeyboardInterrupt):
        pieces.take()
    pieces.close()
    assert calls == [threading.main_thread()] * 3


def test_a_piece_done_again_is_the_first() -> None:
    pieces: SideBySide[Doing] = SideBySide(2, nothing)
    pieces.put(Doing(0))
    pieces.put(Doing(1))
    assert pieces.take().number == 0
    pieces.put(Doing(7), again=True)
    assert [pieces.take().number for _ in range(2)] == [7, 1]


@pytest.mark.parametrize("started", [0, 1, 2])
def test_fewer_threads_than_workers_give_the_same(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some or all threads cannot start; what a task raises still waits for those before it."""
    monkeypatch.setattr(work_queue, "LINGER_SECONDS", 30.0)
    few_threads(monkeypatch, started)
    pieces: SideBySide[Doing] = SideBySide(4, nothing)
    for number in range(3):
        pieces.put(Doing(number))
    pieces.put(Doing(3, fail))
    taken = [pieces.take() for _ in range(3)]
    assert [piece.number for piece in taken] == [0, 1, 2]
    assert all((piece.thread is threading.main_thread()) == (started == 0) for piece in taken)
    with pytest.raises(ValueError, match="this piece"):
        pieces.take()
    pieces.close()


def test_pieces_that_need_too_much_memory_together_run_alone() -> None:
    """They begin again, one at a time; a piece that is too large even so fails."""
    at_work: list[int] = []

    def greedy(tick: Tick) -> None:
        at_work.append(1)
        try:
            if threading.current_thread() is not threading.main_thread():
                raise MemoryError
            assert len(at_work) == 1
        finally:
            at_work.pop()

    pieces: SideBySide[Doing] = SideBySide(3, nothing)
    for number in range(3):
        pieces.put(Doing(number, greedy))
    assert [pieces.take().number for _ in range(3)] == [0, 1, 2]
    pieces.put(Doing(3, lambda tick: fail_with_memory()))
    with pytest.raises(MemoryError):
        pieces.take()


def test_many_small_pieces_share_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "LINGER_SECONDS", 30.0)
    begun = few_threads(monkeypatch, 1000)
    pieces: SideBySide[Doing] = SideBySide(3, nothing)
    for number in range(3000):
        pieces.put(Doing(number))
        if pieces.full:
            pieces.take()
    pieces.close()
    assert len(begun) <= 3


def test_a_library_that_cannot_be_stopped_delays_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "CLOSE_SECONDS", 0.01)
    finish = threading.Event()
    pieces: SideBySide[Doing] = SideBySide(2, nothing)
    pieces.put(Doing(0, lambda tick: waiting(finish)))
    pieces.close()
    assert not finish.is_set()
    finish.set()
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.name == "zipllm":
            thread.join(30)
