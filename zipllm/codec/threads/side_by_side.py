"""Pieces of work in several threads, their results in order.

With one worker there is no thread: a piece is done where its result is taken. So the same code runs alone and in
company, and what comes out, errors included, does not depend on which.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Generic, Protocol, TypeVar

WATCH_SECONDS = 0.1
"""So often whoever waits for a result looks how far the work is."""

Tick = Callable[[], None]
"""What a piece of work calls now and then, so that it can be watched, and ended when nobody wants it any more."""


class Work(Protocol):
    """Something that takes a while and keeps its result."""

    def run(self, tick: Tick, /) -> None:
        """Do all of it in one thread; may raise anything, and lets through what ``tick`` raises."""


class _Stopped(Exception):
    """Nobody wants the result any more."""


W = TypeVar("W", bound=Work)


class SideBySide(Generic[W]):
    """Does pieces of work, as many at a time as there are workers; belongs to one thread.

    Args:
        workers: at least 1.
        watch: called by the thread that takes results, while it waits for one or works on it itself.
    """

    def __init__(self, workers: int, watch: Tick) -> None:
        self.workers = workers
        self._watch = watch
        self._unwanted = Event()
        self._pieces: deque[_Piece[W]] = deque()

    def __len__(self) -> int:
        """How many pieces have been put and not been taken."""
        return len(self._pieces)

    def __iter__(self) -> Iterator[W]:
        """Those pieces, the first first."""
        return (piece.work for piece in self._pieces)

    @property
    def full(self) -> bool:
        """Whether as many pieces are in work as there are workers: take one before putting another."""
        return len(self._pieces) >= self.workers

    def put(self, work: W, *, again: bool = False) -> None:
        """Begin a piece of work.

        Args:
            work: of any kind.
            again: it has just been taken and is to be done anew; it is the next to be taken once more.
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
        """Forget the pieces in work and return when their threads have ended, each at its next tick."""
        self._unwanted.set()
        for piece in self._pieces:
            piece.end()
        self._pieces.clear()
        self._unwanted = Event()


def _until(unwanted: Event) -> Tick:
    """Return what ends a piece of work; it knows no more, so that no thread keeps a forgotten reader alive."""

    def tick() -> None:
        if unwanted.is_set():
            raise _Stopped

    return tick


class _Piece(Generic[W]):
    """Work, its thread, and what it raised."""

    def __init__(self, work: W) -> None:
        self.work = work
        self.error: BaseException | None = None
        self._thread: Thread | None = None

    def begin(self, tick: Tick) -> None:
        thread = Thread(target=self._run, args=(tick,), name="zipllm", daemon=True)
        thread.start()
        self._thread = thread

    def wait(self, watch: Tick) -> None:
        assert self._thread is not None, "what is waited for has begun"
        while self._thread.is_alive():
            self._thread.join(WATCH_SECONDS)
            watch()

    def end(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _run(self, tick: Tick) -> None:
        try:
            self.work.run(tick)
        except BaseException as error:  # it belongs to the thread that takes the result
            self.error = error
