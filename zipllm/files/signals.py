"""What happens on SIGINT, SIGTERM and SIGHUP: nothing half-written stays, and the exit code says which it was.

The handler ends the process itself instead of raising an exception. An exception would have to travel through code
that waits for worker threads, or be lost in a callback of a compiled library; gzip, xz and zstd do it this way too.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from zipllm.temporary import discard_all

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_before_exit: list[Callable[[], object]] = []


def exit_on_signals() -> None:
    """Install the handlers. A signal that is ignored (nohup, background jobs of sh) stays ignored."""
    for number in _HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


@contextlib.contextmanager
def before_signal_exit(action: Callable[[], object]) -> Iterator[None]:
    """Run ``action`` if a signal ends the process inside the ``with`` block, say to give the terminal back."""
    _before_exit.append(action)
    try:
        yield
    finally:
        _before_exit.remove(action)


def _exit(number: int, _frame: FrameType | None) -> None:
    discard_all()
    for other in _HANDLED:
        signal.signal(
            other, signal.SIG_IGN if other != number else signal.SIG_DFL
        )  # the same signal twice ends at once
    for action in reversed(_before_exit):
        with contextlib.suppress(Exception):
            action()
    os._exit(128 + number)
