"""zipllm leaves no thread behind; other libraries may keep theirs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_new_threads() -> Iterator[None]:
    before = _own()
    yield
    new = [thread for thread in _own() if thread not in before]
    for thread in new:
        thread.join(5)
    assert [thread for thread in new if thread.is_alive()] == []


def _own() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("zipllm")]


def few_threads(monkeypatch: pytest.MonkeyPatch, count: int) -> list[threading.Thread]:
    """Let only ``count`` threads start, as under a limit of the system; return those that did."""
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(begun) >= count:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    return begun
