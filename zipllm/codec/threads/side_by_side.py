"""Pieces of work in several threads, their results in order.

With one worker, a piece runs in the caller's thread when its result is taken. So the same code serves one worker and
many, and neither results nor errors depend on their number.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import Generic, Protocol, TypeVar

from zipllm.codec.threads.work_queue import Task, WorkQueue
from zipllm.progress import Advance

Tick = Callable[[], None]
"""Called now and then by a piece of work; raises to end work whose result nobody needs any more."""


class Work(Protocol):
    """A piece of work that keeps its own result."""

    def run(self, tick: Tick, /) -> None:
        """Do all of it in one thread; may raise anything, and must not catch what ``tick`` raises."""


class _Stopped(Exception):
    """Ends work whose result nobody needs any more."""


W = TypeVar("W", bound=Work)
Mine = TypeVar("Mine")
Other = TypeVar("Other")


def beside(other: Callable[[Advance], Other], mine: Callable[[], Mine]) -> tuple[Other, Mine]:
    """Run ``other`` in another thread while ``mine`` runs here; return both results.

    Args:
        other: reports to the callback it is given, which ends it if ``mine`` fails or is interrupted.
        mine: anything.

    Raises:
        BaseException: what either of them raised, ``mine`` first.
    """
    unwanted = Event()
    tick = _until(unwanted)
    with WorkQueue(1) as queue:
        task = queue.put(lambda: other(lambda _fraction, _coded: tick()))
        try:
            result = mine()
        except BaseException:
            unwanted.set()
            raise
        return queue.wait(task), result


class SideBySide(Generic[W]):
    """Does pieces of work, as many at a time as there are workers and memory allows; belongs to one thread.

    Args:
        workers: at least 1.
        watch: called by the thread that takes results, while it waits for one or computes it itself.
    """

    def __init__(self, workers: int, watch: Tick) -> None:
        self.workers = workers
        self._watch = watch
        self._open()

    def _open(self) -> None:
        self._unwanted = Event()
        self._queue = WorkQueue(self.workers)
        self._pieces: deque[tuple[W, Task[None] | None]] = deque()

    def __len__(self) -> int:
        """Return the number of pieces put and not yet taken."""
        return len(self._pieces)

    def __iter__(self) -> Iterator[W]:
        """Iterate over those pieces in order."""
        return (work for work, _ in self._pieces)

    @property
    def full(self) -> bool:
        """Whether every worker has a piece: take one before putting another."""
        return len(self._pieces) >= self.workers

    def put(self, work: W, *, again: bool = False) -> None:
        """Begin a piece of work.

        Args:
            work: a piece.
            again: a piece that was just taken is done over: it comes first in the order again.
        """
        task = self._queue.put(partial(work.run, _until(self._unwanted))) if self.workers > 1 else None
        if again:
            self._pieces.appendleft((work, task))
        else:
            self._pieces.append((work, task))

    def take(self) -> W:
        """Return the first piece when it is done.

        Raises:
            BaseException: what the piece raised, or ``watch``, or a signal's handler.
        """
        work, task = self._pieces[0]
        try:
            if task is None:
                work.run(self._watch)
            else:
                self._queue.wait(task, self._watch)
        except MemoryError:
            if self.workers == 1:
                raise
            self._one_at_a_time()
            return self.take()
        self._pieces.popleft()
        return work

    def _one_at_a_time(self) -> None:
        """Begin the pieces in work again, one after the other: together they take too much memory."""
        works = list(self)
        self.close()
        self.workers = 1
        for work in works:
            self.put(work)

    def close(self) -> None:
        """Drop the pieces in work; their threads end at the next tick."""
        self._unwanted.set()
        self._queue.close()
        self._open()


def _until(unwanted: Event) -> Tick:
    """Return a tick that ends work once ``unwanted`` is set; it holds no other reference, so readers can be freed."""

    def tick() -> None:
        if unwanted.is_set():
            raise _Stopped

    return tick
