"""Work handed to other threads; whoever waits for a result does waiting work himself instead of idling.

With one thread nothing is handed to anybody: the work is done where its result is asked for. So the same code runs
alone and in company, and what it computes does not depend on which.
"""

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType
from typing import Self


class Task:
    """Work that may be begun once the work it follows is done."""

    def __init__(self, work: Callable[[], object], after: "Task | None") -> None:
        self.work = work
        self.after = after
        self.done = False
        self.error: BaseException | None = None

    def ready(self) -> bool:
        """Whether nothing stands in its way."""
        return self.after is None or self.after.done


class WorkQueue:
    """Threads that share work out among them. Use it in a ``with`` block, which ends with no thread left.

    Args:
        threads: how many work at most, the one that waits included; at least 1.
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
        """Hand out work, to be begun when ``after`` is done; first come, first served."""
        task = Task(work, after)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify()
        return task

    def wait(self, task: Task) -> None:
        """Return when a task is done; raises what it raised."""
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
        """Return the first task that can be begun and take it from the queue."""
        for task in self._waiting:
            if task.ready():
                self._waiting.remove(task)
                return task
        return None

    def _run(self, task: Task) -> None:
        try:
            task.work()
        except BaseException as error:  # it belongs to whoever waits for the task
            task.error = error
        with self._changed:
            task.done = True
            self._changed.notify_all()

    def _serve(self) -> None:
        while (task := self._next()) is not None:
            self._run(task)

    def _next(self) -> Task | None:
        """Wait for a task that can be begun; None when there will be no more."""
        with self._changed:
            while not self._closed:
                if (task := self._take()) is not None:
                    return task
                self._changed.wait()
        return None
