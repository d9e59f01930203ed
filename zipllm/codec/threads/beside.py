"""Two pieces of work at the same time, one of them in another thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from zipllm.progress import Advance

Mine = TypeVar("Mine")
Other = TypeVar("Other")


class _Stopped(Exception):
    """Nobody wants the result any more."""


def beside(other: Callable[[Advance], Other], mine: Callable[[], Mine]) -> tuple[Other, Mine]:
    """Run ``other`` in a thread of its own while ``mine`` runs here; return what both return.

    Args:
        other: given what it is to tell its progress to; ends there if ``mine`` fails or is interrupted.
        mine: anything.

    Raises:
        BaseException: what either of them raised, ``mine`` first.
    """
    unwanted = Event()

    def report(fraction: float, coded: int) -> None:
        if unwanted.is_set():
            raise _Stopped

    with ThreadPoolExecutor(1, thread_name_prefix="zipllm") as pool:
        future = pool.submit(other, report)
        try:
            result = mine()
        except BaseException:
            unwanted.set()
            raise
        return future.result(), result
