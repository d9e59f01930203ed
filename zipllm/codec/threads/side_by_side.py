"""Pieces of work in several threads, their results in order.

With one worker, a piece runs in the caller's thread when its result is taken. So the same code serves one worker and
many, and neither results nor errors depend on their number.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

from zipllm.progress import Advance

WATCH_SECONDS = 0.1
"""Interval at which a thread that waits for a result calls ``watch``."""

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
    with ThreadPoolExecutor(1, thread_name_prefix="zipllm") as pool:
        future = pool.submit(other, lambda _fraction, _coded: tick())
        try:
            result = mine()
        except BaseException:
            unwanted.set()
            raise
        return future.result(), result


class SideBySide(Generic[W]):
    """Does pieces of work, as many at a time as there are workers; belongs to one thread.

    Args:
        workers: at least 1.
        watch: called by the thread that takes results, while it waits for one or computes it itself.
    """

    def __init__(self, workers: int, watch: Tick) -> None:
        self.workers = workers
        self._watch = watch
        self._unwanted = Event()
        self._pieces: deque[_Piece[W]] = deque()

    def __len__(self) -> int:
        """Return the number of pieces put and not yet taken."""
        return len(self._pieces)

    def __iter__(self) -> Iterator[W]:
        """Iterate over those pieces in order."""
        return (piece.work for piece in self._pieces)

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
        piece = _Piece(work)
        if again:
            self._pieces.appendleft(piece)
        else:
            self._pieces.append(piece)
        if self.workers > 1:
            piece.begin(_until(self._unwanted))

    def take(self) -> W:
        """Return the first piece when it is done.

        Raises:
            BaseException: what the piece raised, or ``watch``, or a signal's handler.
        """
        piece = self._pieces[0]
        if self.workers > 1:
            piece.wait(self._watch)
        else:
            piece.work.run(self._watch)
        self._pieces.popleft()
        if piece.error is not None:
            raise piece.error
        return piece.work

    def close(self) -> None:
        """Drop the pieces in work; return when their threads have ended, each at its next tick."""
        self._unwanted.set()
        for piece in self._pieces:
            piece.end()
        self._pieces.clear()
        self._unwanted = Event()


def _until(unwanted: Event) -> Tick:
    """Return a tick that ends work once ``unwanted`` is set; it holds no other reference, so readers can be freed."""

    def tick() -> None:
        if unwanted.is_set():
            raise _Stopped

    return tick


class _Piece(Generic[W]):
    """Work, its thread and the error it raised."""

    def __init__(self, work: W) -> None:
        self.work = work
        self.error: BaseException | None = None
        self._thread: Thread | None = None

    def begin(self, tick: Tick) -> None:
        thread = Thread(target=self._run, args=(tick,), name="zipllm", daemon=True)
        thread.start()
        self._thread = thread

    def wait(self, watch: Tick) -> None:
        assert self._thread is not None, "a piece begins before it is waited for"
        while self._thread.is_alive():
            self._thread.join(WATCH_SECONDS)
            watch()

    def end(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _run(self, tick: Tick) -> None:
        try:
            self.work.run(tick)
        except BaseException as error:  # raised again in the thread that takes the result
            self.error = error
