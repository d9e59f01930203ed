"""Corners of the Python API, where it behaves as ``gzip`` does or says clearly that it does not."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zipllm

LINES = b"first line\nsecond line\r\nthird \xff\x00 line without an end"


def written(path: Any, data: Any = LINES) -> Any:
    with zipllm.open(path, "wb", level=1) as file:
        assert file.write(data) == memoryview(data).nbytes
    return path


@pytest.mark.parametrize("empty", [np.zeros((0, 3), "f4"), np.zeros((3, 0)), np.zeros(0)], ids=str)
def test_empty_arrays(tmp_path: Path, empty: Any) -> None:
    """Of several dimensions, which ``memoryview.cast`` refuses."""
    assert zipllm.decompress(zipllm.compress(empty, level=1)) == b""
    with zipllm.open(written(tmp_path / "a.zllm", empty)) as file:
        assert file.read() == b""
        assert file.readinto(empty) == 0
    with pytest.raises(zipllm.CorruptData):
        zipllm.decompress(empty)


def test_arrays() -> None:
    ones: Any = np.ones((2, 2), "u1")
    assert zipllm.decompress(zipllm.compress(ones, level=1)) == b"\1" * 4
    with pytest.raises(TypeError):
        zipllm.compress(ones[:, :1], level=1)


def test_path_as_bytes(tmp_path: Path) -> None:
    path = written(bytes(tmp_path) + b"/\xff.zllm")
    assert zipllm.open(path).read() == zipllm.ZipllmFile(path).read() == LINES
    assert zipllm.open(path).name == path


@pytest.mark.parametrize("device", ["mps", "CPU", "cuda:1", "", "cuda"])
def test_unknown_or_missing_device(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr("zipllm.machine.best_device", lambda: "cpu")
    with pytest.raises(zipllm.UsageError, match="device"):
        zipllm.load_model("small", device=device)


@pytest.mark.parametrize("whence", [3, 4, -1, 77])
def test_unknown_whence(tmp_path: Path, whence: int) -> None:
    """Such as ``os.SEEK_DATA``."""
    with zipllm.open(written(tmp_path / "a.zllm")) as file, pytest.raises(ValueError, match="whence"):
        file.seek(1, whence)


@pytest.mark.parametrize("encoding", ["utf-16", "U16", "utf-32", "utf-8-sig", "utf-16-be", "utf-8"])
def test_text_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """The mark stands at the beginning of the content, once, also when an archive is added."""
    path = tmp_path / "a.zllm"
    zipllm.open(path, "at", encoding=encoding, level=1).close()
    assert zipllm.open(path, "rt", encoding=encoding).read() == ""
    path.unlink()
    for mode, line in (("wt", "größer\n"), ("at", "天下\n")):
        with zipllm.open(path, mode, encoding=encoding, level=1) as text:
            assert isinstance(text, io.TextIOWrapper)
            text.write(line)
    with zipllm.open(path, "rt", encoding=encoding) as text:
        assert text.read() == "größer\n天下\n"
    assert zipllm.open(path).read() == "größer\n天下\n".encode(encoding)
    assert b"".join(zipllm.open(io.BytesIO(path.read_bytes()))) == "größer\n天下\n".encode(encoding)


def test_appended_to_an_archive_without_content(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zllm", b"")
    with zipllm.open(path, "at", encoding="utf-16", level=1) as text:
        text.write("x")
    assert zipllm.open(path, "rt", encoding="utf-16").read() == "x"


def test_forked_process() -> None:
    """A reader's threads stay with the parent; of a writer there is only one, in the process that opened it."""
    program = """
import io, os, zipllm
data = bytes(range(250)) * 40
file = zipllm.open(io.BytesIO(zipllm.compress(data, level=1, block_size=1000, history=False)))
assert file.read(1500) == data[:1500]
child = os.fork()
if not child:
    os._exit(0 if file.read() == data[1500:] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert file.read() == data[1500:]
sink = io.BytesIO()
file = zipllm.open(sink, "wb", level=1, history=False)
size = len(sink.getvalue())
child = os.fork()
if not child:
    try:
        file.write(data)
    except ValueError:
        file.close()
        os._exit(len(sink.getvalue()) - size)
    os._exit(77)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
file.write(data)
file.close()
assert zipllm.decompress(sink.getvalue()) == data
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=120)
