"""Tasks for several threads, in the order they were put.

Threads are a speed-up, never a requirement. Where none can be started, because the system refuses or the program is
ending, a task runs in the thread that waits for it. So the same code serves one thread and many, and results do not
depend on their number.
"""

import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread, current_thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from zipllm.machine import start_thread

WATCH_SECONDS = 0.1
"""Interval at which a thread that waits for a task calls ``watch``."""

LINGER_SECONDS = 2.0
"""A thread without a task ends after this time, so that many small tasks share few threads."""

CLOSE_SECONDS = 1.0
"""``close`` waits this long for threads. One inside a library's codec cannot be stopped; it ends by itself."""

R = TypeVar("R")


class Task(Generic[R]):
    """Work that may begin once the task before it is done."""

    result: R

    def __init__(self, work: Callable[[], R], after: "Task[Any] | None") -> None:
        self.work = work
        self.after = after
        self.done = False
        self.error: BaseException | None = None

    def ready(self) -> bool:
        """Whether it may begin."""
        return self.after is None or self.after.done

    def run(self) -> None:
        """Do the work; an error waits for the thread that waits for the task."""
        try:
            self.result = self.work()
        except BaseException as error:
            self.error = error


class WorkQueue:
    """Threads that share a queue of tasks; they start when tasks come. The exit of a ``with`` block ends them.

    Args:
        threads: upper limit on threads, at least 0.
        helps: a thread that waits for a task takes on queued tasks; otherwise it does so only if no thread runs.
    """

    def __init__(self, threads: int, *, helps: bool = False) -> None:
        self._most = threads
        self._helps = helps
        self._waiting: deque[Task[Any]] = deque()
        self._changed = Condition()
        self._closed = False
        self._threads: list[Thread] = []
        self._running = self._idle = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, work: Callable[[], R], after: Task[Any] | None = None) -> Task[R]:
        """Queue work that may begin when ``after`` is done; first come, first served."""
        task = Task(work, after)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify_all()
            if self._running == self._most or len(self._waiting) <= self._idle:
                return task
            self._running += 1
        thread = start_thread(self._serve)
        if thread is None:
            with self._changed:
                self._running -= 1
        else:
            self._threads = [*filter(Thread.is_alive, self._threads), thread]
        return task

    def wait(self, task: Task[R], watch: Callable[[], object] = lambda: None) -> R:
        """Return a task's result when it is done.

        Args:
            task: of this queue.
            watch: called at intervals meanwhile.

        Raises:
            BaseException: what the task raised, or ``watch``, or a signal's handler.
        """
        while not task.done:
            with self._changed:
                mine = self._task_of_waiter(task)
                if mine is None and not task.done:
                    self._changed.wait(WATCH_SECONDS)
            if mine is not None:
                self._run(mine)
            watch()
        if task.error is not None:
            raise task.error
        return task.result

    def close(self) -> None:
        """Drop the tasks that nobody has begun, and end the threads."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        end = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            if thread is not current_thread() and not sys.is_finalizing():
                thread.join(max(0.0, end - time.monotonic()))

    def _task_of_waiter(self, task: Task[Any]) -> Task[Any] | None:
        if sys.is_finalizing():  # threads stand still for ever, perhaps in the middle of this task
            return task
        return self._take() if self._helps or not self._running else None

    def _take(self) -> Task[Any] | None:
        """Remove and return the first task that is ready."""
        for task in self._waiting:
            if task.ready():
                self._waiting.remove(task)
                return task
        return None

    def _run(self, task: Task[Any]) -> None:
        task.run()
        with self._changed:
            task.done = True
            self._changed.notify_all()

    def _serve(self) -> None:
        while (task := self._next()) is not None:
            self._run(task)

    def _next(self) -> Task[Any] | None:
        """Wait for a task that is ready; None when there is no more for this thread."""
        end = time.monotonic() + LINGER_SECONDS
        with self._changed:
            while not self._closed:
                if (task := self._take()) is not None:
                    return task
                if time.monotonic() >= end:
                    break
                self._idle += 1
                self._changed.wait(LINGER_SECONDS)
                self._idle -= 1
            self._running -= 1
        return None
