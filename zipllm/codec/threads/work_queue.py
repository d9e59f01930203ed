"""Work for several threads; a thread that waits for a result takes on queued work instead of idling.

With one thread, work runs when its result is waited for. So the same code serves one thread and many, and results do
not depend on their number.
"""

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType
from typing import Self


class Task:
    """Work that may begin once the task before it is done."""

    def __init__(self, work: Callable[[], object], after: "Task | None") -> None:
        self.work = work
        self.after = after
        self.done = False
        self.error: BaseException | None = None

    def ready(self) -> bool:
        """Whether it may begin."""
        return self.after is None or self.after.done


class WorkQueue:
    """Threads that share a queue of tasks. Use it in a ``with`` block, whose exit ends the threads.

    Args:
        threads: upper limit on threads at work, including the one that waits; at least 1.
    """

    def __init__(self, threads: int) -> None:
        self._waiting: deque[Task] = deque()
        self._changed = Condition()
        self._closed = False
        self._threads = [Thread(target=self._serve, name="zipllm", daemon=True) for _ in range(threads - 1)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def put(self, work: Callable[[], object], after: Task | None = None) -> Task:
        """Queue work that may begin when ``after`` is done; first come, first served."""
        task = Task(work, after)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify()
        return task

    def wait(self, task: Task) -> None:
        """Return when a task is done; raise what it raised."""
        while not task.done:
            with self._changed:
                other = self._take()
                if other is None and not task.done:
                    self._changed.wait()
            if other is not None:
                self._run(other)
        if task.error is not None:
            raise task.error

    def _take(self) -> Task | None:
        """Remove and return the first task that is ready."""
        for task in self._waiting:
            if task.ready():
                self._waiting.remove(task)
                return task
        return None

    def _run(self, task: Task) -> None:
        try:
            task.work()
        except BaseException as error:  # raised again in the thread that waits for the task
            task.error = error
        with self._changed:
            task.done = True
            self._changed.notify_all()

    def _serve(self) -> None:
        while (task := self._next()) is not None:
            self._run(task)

    def _next(self) -> Task | None:
        """Wait for a task that is ready; None when the queue is closed."""
        with self._changed:
            while not self._closed:
                if (task := self._take()) is not None:
                    return task
                self._changed.wait()
        return None
