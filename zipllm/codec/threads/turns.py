"""Threads that take turns: each works by itself, then waits until what must happen in order is its own to do."""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import Protocol


class Worker(Protocol):
    """Does something in steps, each with a part that may be done at any time and one that is done in turn."""

    def prepare(self) -> None:
        """Do the first part of a step, while others do theirs."""

    def take_turn(self) -> bool:
        """Do the second part, after that of the worker before and before that of the next; whether to go on."""


class _Stopped(Exception):
    """Another worker has failed."""


class Turns:
    """Runs workers side by side, their turns one after the other in the order given, round and round.

    Args:
        workers: at least one. The first runs in the thread that calls ``run``, every other in one of its own.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._order = deque(workers)
        self._changed = Condition()
        self._error: BaseException | None = None

    def run(self, watch: Callable[[], None], seconds: float = 0.5) -> None:
        """Return when all workers are done.

        Args:
            watch: called after each turn of the first worker, and now and then when only others are left.
            seconds: how often then.

        Raises:
            BaseException: what a worker or ``watch`` raised first, or a signal's handler; the others have stopped.
        """
        threads = [
            Thread(target=self._work, args=(worker,), name="zipllm", daemon=True) for worker in self._workers[1:]
        ]
        for thread in threads:
            thread.start()
        try:
            self._work(self._workers[0], watch)
            while self._order and self._error is None:
                with self._changed:
                    self._changed.wait(seconds)
                watch()
        except BaseException as error:
            self._fail(error)
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _work(self, worker: Worker, watch: Callable[[], None] = lambda: None) -> None:
        try:
            while self._step(worker):
                watch()
        except _Stopped:
            pass
        except BaseException as error:  # it belongs to the thread that runs them all
            self._fail(error)

    def _step(self, worker: Worker) -> bool:
        worker.prepare()
        with self._changed:
            while self._order[0] is not worker and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise _Stopped
        goes_on = worker.take_turn()
        with self._changed:
            self._order.popleft()
            if goes_on:
                self._order.append(worker)
            self._changed.notify_all()
        return goes_on

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
