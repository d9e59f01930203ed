"""The threads that share a call."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event


class Pool:
    """Threads of one network, started when they are needed."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._owner = (0, 0)

    def submit(self, count: int, work: Callable[[], None]) -> "Future[None] | None":
        """Begin work in a pool of ``count`` threads; None where threads cannot be started, or the program is ending."""
        process, size = self._owner
        if process != os.getpid() or size < count:  # a forked process needs a pool of its own
            self._executor, self._owner = _full_pool(count), (os.getpid(), count)
        try:
            return self._executor.submit(work) if self._executor is not None else None
        except RuntimeError:
            return None


def _full_pool(count: int) -> ThreadPoolExecutor | None:
    """Return a pool whose threads all run, so that it never fails with work half accepted; None if one cannot start."""
    pool, together = ThreadPoolExecutor(count, thread_name_prefix="zipllm"), Event()
    try:
        for _ in range(count):
            pool.submit(together.wait)
    except RuntimeError:
        pool.shutdown(wait=False, cancel_futures=True)
        return None
    finally:
        together.set()
    return pool
