"""Streams that wait, write everything and name their file."""

import errno
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from zipllm.files.names import PathError
from zipllm.files.stream import NamedFile


def test_reads_of_any_size() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"0123456789")
    os.close(writer)
    with NamedFile(reader, "r", "pipe") as raw:
        assert raw.read(3) == b"012"
        assert raw.read(0) == b""
        assert raw.read() == b"3456789"
        assert raw.read(None) == b""


def before_waiting(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> None:
    """Have one more action done whenever a stream is about to wait, then let it wait."""
    left, wait = list(actions), NamedFile._wait

    def act(self: NamedFile, event: int) -> None:
        left.pop(0)()
        wait(self, event)

    monkeypatch.setattr(NamedFile, "_wait", act)


def test_reading_waits_on_a_non_blocking_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    parts = (b"first", b"second")
    before_waiting(monkeypatch, *(partial(os.write, writer, part) for part in parts), partial(os.close, writer))
    with io.BufferedReader(NamedFile(reader, "r", "pipe")) as stream:
        assert stream.read(100) == b"firstsecond"


def test_writing_waits_on_a_non_blocking_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received: list[bytes] = []

    def drain() -> None:
        received.append(os.read(reader, 1 << 20))

    before_waiting(monkeypatch, *[drain] * 1000)
    data = bytes(1 << 20)  # more than a pipe holds
    with io.BufferedWriter(NamedFile(writer, "w", "pipe")) as stream:
        stream.write(data)
    assert received, "it waited"
    while part := os.read(reader, 1 << 20):
        received.append(part)
    os.close(reader)
    assert b"".join(received) == data


def test_short_writes_are_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(NamedFile, "write", lambda self, data: os.write(self.fileno(), bytes(data[:7])))
    with io.BufferedWriter(NamedFile(writer, "w", "pipe"), 16) as stream:
        stream.write(bytes(range(100)))
    with NamedFile(reader, "r", "pipe") as raw:
        assert raw.read() == bytes(range(100))


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(PathError, match="^stdin: Is a directory$"):
        NamedFile(descriptor, "r", "stdin")
    os.close(descriptor)


def test_errors_are_named() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(PathError, match=f"^pipe: {os.strerror(errno.EBADF)}$"):
        NamedFile(reader, "r", "pipe")
