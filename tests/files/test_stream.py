"""Streams that wait, write everything and name their file."""

import errno
import io
import os
import threading
import time

import pytest

from zipllm.files.names import PathError
from zipllm.files.stream import NamedFile


def test_reads_of_any_size():
    reader, writer = os.pipe()
    os.write(writer, b"0123456789")
    os.close(writer)
    with NamedFile(reader, "r", "pipe") as raw:
        assert raw.read(3) == b"012"
        assert raw.read(0) == b""
        assert raw.read() == b"3456789"
        assert raw.read(None) == b""


def test_reading_waits_on_a_non_blocking_pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def feed() -> None:
        for part in (b"first", b"second"):
            time.sleep(0.05)
            os.write(writer, part)
        os.close(writer)

    thread = threading.Thread(target=feed)
    thread.start()
    with io.BufferedReader(NamedFile(reader, "r", "pipe")) as stream:
        assert stream.read(100) == b"firstsecond"
    thread.join()


def test_writing_waits_on_a_non_blocking_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received: list[bytes] = []

    def drain() -> None:
        time.sleep(0.05)
        while part := os.read(reader, 1 << 16):
            received.append(part)

    thread = threading.Thread(target=drain)
    thread.start()
    data = bytes(1 << 20)  # more than a pipe holds
    with io.BufferedWriter(NamedFile(writer, "w", "pipe")) as stream:
        stream.write(data)
    thread.join()
    os.close(reader)
    assert b"".join(received) == data


def test_short_writes_are_continued(monkeypatch: pytest.MonkeyPatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(NamedFile, "write", lambda self, data: os.write(self.fileno(), bytes(data[:7])))
    with io.BufferedWriter(NamedFile(writer, "w", "pipe"), 16) as stream:
        stream.write(bytes(range(100)))
    with NamedFile(reader, "r", "pipe") as raw:
        assert raw.read() == bytes(range(100))


def test_folder_in_place_of_a_file(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(PathError, match="^stdin: Is a directory$"):
        NamedFile(descriptor, "r", "stdin")
    os.close(descriptor)


def test_errors_are_named():
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(PathError, match=f"^pipe: {os.strerror(errno.EBADF)}$"):
        NamedFile(reader, "r", "pipe")
