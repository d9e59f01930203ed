"""Threads that take turns: each prepares in parallel with the others, then waits for its turn to act."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition
from typing import Protocol

from zipllm.machine import start_thread


class Worker(Protocol):
    """Works in rounds: first a part that runs in parallel, then a part that runs in turn."""

    def prepare(self) -> None:
        """Do the parallel part."""

    def take_turn(self) -> bool:
        """Do the ordered part, after the previous worker's and before the next worker's; return whether to go on."""


class Turns:
    """Runs workers in parallel, their turns round-robin in the order given.

    Args:
        workers: at least one. The first runs in the thread that calls ``run``, and so do all that get no other.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._order = deque(workers)
        self._changed = Condition()
        self._error: BaseException | None = None

    def run(self, watch: Callable[[], None], seconds: float = 0.5) -> None:
        """Return when all workers are done.

        Args:
            watch: called after each turn of the first worker and, once that is done, at intervals.
            seconds: the longest interval.

        Raises:
            BaseException: the first error of a worker, ``watch`` or a signal handler; all workers have stopped.
        """
        threads = [start_thread(partial(self._work, [worker])) for worker in self._workers[1:]]
        rest = [worker for worker, thread in zip(self._workers[1:], threads, strict=True) if thread is None]
        try:
            self._work([self._workers[0], *rest], watch)
            while self._order and self._error is None:
                with self._changed:
                    self._changed.wait(seconds)
                watch()
        except BaseException as error:
            self._fail(error)
        for thread in filter(None, threads):
            thread.join()
        if self._error is not None:
            raise self._error

    def _work(self, workers: list[Worker], watch: Callable[[], None] = lambda: None) -> None:
        try:
            while workers := [worker for worker in workers if self._step(worker)]:
                watch()
        except BaseException as error:  # raised again in the thread that called run
            self._fail(error)

    def _step(self, worker: Worker) -> bool:
        worker.prepare()
        with self._changed:
            while self._order[0] is not worker and self._error is None:
                self._changed.wait()
            if self._error is not None:
                return False
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
