"""Archives that nobody closes, errors inside ``with``, and work while the program ends."""

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import zipllm
from zipllm.codec.reading import archive_file
from zipllm.errors import CorruptData

TEXT = "some words that come again and again, " * 2000


def write(path: Path, mode: str = "wb") -> "zipllm.ZipllmFile | io.TextIOWrapper":
    file = zipllm.open(path, mode, level=1)
    file.write(TEXT if "t" in mode else TEXT.encode())  # type: ignore[arg-type]
    return file


PROGRAM = f"""
    import atexit, io, threading, zipllm

    TEXT = {TEXT!r}

    def opened(name, mode="wb"):
        file = zipllm.open(name, mode, level=1, block_size=1 << 14)
        file.write(TEXT if "t" in mode else TEXT.encode())
        return file

    def after_main():
        threading.main_thread().join()
        with opened("thread"):
            pass

    unclosed, text = opened("unclosed"), opened("text", "wt")
    wrapped = io.BufferedWriter(io.TextIOWrapper(opened("wrapped")).detach(), 1 << 20)
    wrapped.write(TEXT.encode())
    atexit.register(opened("atexit").close)
    appended = [opened("appended", "ab").close(), opened("appended", "ab")]
    reader = zipllm.open("appended.before")
    reader.read(1)
    threading.Thread(target=after_main).start()
"""


def test_a_program_that_closes_nothing_leaves_whole_archives(tmp_path: Path) -> None:
    """Gzip and lzma do; a program at its end can neither start threads nor import modules late."""
    write(tmp_path / "appended.before").close()
    program = [sys.executable, "-W", "always::ResourceWarning", "-c", textwrap.dedent(PROGRAM)]
    environment = os.environ | {"OMP_NUM_THREADS": "3", "PYTHONPATH": str(Path(zipllm.__file__).parents[1])}
    done = subprocess.run(program, cwd=tmp_path, env=environment, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0
    names = {"unclosed": 1, "text": 1, "wrapped": 2, "atexit": 1, "appended": 2, "thread": 1}
    for name, times in names.items():
        assert zipllm.open(tmp_path / name).read() == TEXT.encode() * times, name
        assert (f"nobody closed the archive '{name}'" in done.stderr) == (name not in ("atexit", "thread")), name
    assert "Traceback" not in done.stderr


def test_an_archive_that_cannot_be_ended_says_so(tmp_path: Path) -> None:
    path = tmp_path / "full"
    file = write(path)
    os.close(file.fileno())
    with pytest.warns(ResourceWarning, match="full"), pytest.raises(ExceptionGroup, match="could not be ended"):
        archive_file._close_writers()


def test_a_writer_that_is_freed_is_whole(tmp_path: Path) -> None:
    with pytest.warns(ResourceWarning, match="nobody closed the archive"):
        write(tmp_path / "freed")
    assert zipllm.open(tmp_path / "freed").read() == TEXT.encode()


@pytest.mark.parametrize("mode", ["wb", "wt", "xb"])
def test_an_error_leaves_no_archive_that_looks_whole(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="mine"), write(tmp_path / "torn", mode):
        raise ValueError("mine")
    with pytest.raises(CorruptData):
        zipllm.open(tmp_path / "torn").read()


@pytest.mark.parametrize("mode", ["ab", "at"])
def test_an_error_while_appending_leaves_the_file_as_it_was(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "kept").close()
    before = (tmp_path / "kept").read_bytes()
    with pytest.raises(KeyboardInterrupt), write(tmp_path / "kept", mode):
        raise KeyboardInterrupt
    assert (tmp_path / "kept").read_bytes() == before


def test_an_error_after_close_changes_nothing(tmp_path: Path) -> None:
    for name in ("w", "a"):
        with pytest.raises(ValueError, match="mine"), write(tmp_path / "closed", name + "b") as file:
            file.close()
            raise ValueError("mine")
    assert zipllm.open(tmp_path / "closed").read() == TEXT.encode() * 2
