"""zipllm leaves no thread behind; other libraries may keep theirs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_new_threads() -> Iterator[None]:
    before = _own()
    yield
    assert [thread for thread in _own() if thread not in before] == []


def _own() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("zipllm")]
