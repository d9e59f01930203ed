"""SIGINT, SIGTERM and SIGHUP during ``zipllm train``: every stage ends within two seconds and says what is saved."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock, Thread

from zipllm.cli.messages import complain
from zipllm.errors import ZipllmError
from zipllm.temporary import discard_all

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_SECONDS = 1.0
"""A trainer that has not finished its step by then is saved as it was before that step."""


class Stopping:
    """Ends a run on a signal, and at once on a second one.

    Threads do this, because the main thread may be inside a library for many seconds.

    Args:
        folder: of the run, for messages.
        give_back: returns the terminal to its usual state.
        speaks: whether this process says what is saved.
    """

    def __init__(self, folder: Path, give_back: Callable[[], None], *, speaks: bool) -> None:
        self.number = 0
        self._folder, self._give_back, self._speaks = folder, give_back, speaks
        self._over, self._ending = Event(), Lock()
        self.stage("prepare", None)

    def stage(self, name: str, save: Callable[[], None] | None) -> None:
        """Take the stage of the run, ``prepare``, ``train`` or ``export``, and what saves it from another thread.

        In ``train``, the run asks between steps whether to stop; without ``save`` it has all the time it needs.
        """
        self._stage, self._save = name, save

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """React to signals inside the ``with`` block; ignored ones stay ignored."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in handled}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        Thread(target=self._watch, args=(reader,), daemon=True).start()
        try:
            yield
        finally:
            self._ending.acquire()  # waits for ever if the other thread is ending the process
            self._over.set()
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            writer.close()

    def say_what_is_saved(self) -> None:
        """Write one line to stderr."""
        lines = {
            "prepare": "interrupted while preparing the data; the same command begins again",
            "train": f"interrupted; saved in {self._folder}, go on with the same command and --resume",
            "export": f"interrupted while exporting; the trained weights are saved in {self._folder}, "
            "the same command and --resume export them",
        }
        if self._speaks:
            complain(lines[self._stage])

    def _watch(self, reader: socket.socket) -> None:
        with reader:
            for number in iter(lambda: reader.recv(1), b""):
                if self.number:
                    discard_all()
                    os._exit(128 + number[0])
                self.number = number[0]
                Thread(target=self._end, args=(self._stage == "train",), daemon=True).start()

    def _end(self, asked: bool) -> None:
        """End the process, unless the main thread leaves the ``with`` block when asked."""
        if (asked and self._over.wait(PATIENCE_SECONDS if self._save else None)) or not self._ending.acquire(False):
            return
        self._give_back()
        try:
            if self._save:
                self._save()
            self.say_what_is_saved()
        except ZipllmError as error:
            complain(str(error))
        discard_all()
        os._exit(128 + self.number)
