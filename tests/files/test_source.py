"""Opening what is read, and removing it."""

import os
import socket
import threading
from pathlib import Path

import pytest

from tests.files.conftest import CONTENT
from zipllm.files.names import PathError
from zipllm.files.source import open_source, standard_input


def refusal(path: Path | str, *, follow: bool = False, special: bool = False) -> str:
    with pytest.raises(PathError) as caught:
        open_source(str(path), follow=follow, special=special)
    return caught.value.reason


def test_regular_file(file: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        assert source.name == str(file)
        assert source.size == len(CONTENT)
        assert source.is_regular_file
        assert source.stream.read(7) + source.stream.read() == CONTENT


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing") == "No such file or directory"
    assert refusal("") == "No such file or directory"
    assert refusal(tmp_path / ("x" * 300)) == "File name too long"


def test_file_used_as_a_folder(file: Path) -> None:
    assert refusal(f"{file}/") == "Not a directory"


def test_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a directory, skipped"
    (tmp_path / "link").symlink_to(tmp_path)
    assert refusal(tmp_path / "link") == "is a link to a directory, skipped"


def test_link_needs_follow(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert refusal(link) == "is a symbolic link, skipped"
    with open_source(str(link), follow=True, special=False) as source:
        assert source.stream.read() == CONTENT


def test_link_to_nothing_and_loop(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "broken", follow=True) == "No such file or directory"
    assert refusal(tmp_path / "loop", follow=True) == "Too many levels of symbolic links"


def test_pipe_needs_special(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert refusal(fifo) == "is not a regular file, skipped"  # and did not wait for a writer
    writer = threading.Thread(target=fifo.write_bytes, args=(CONTENT,))
    writer.start()
    with open_source(str(fifo), follow=False, special=True) as source:
        assert not source.is_regular_file
        assert source.size is None
        assert source.stream.read() == CONTENT
    writer.join()


def test_device() -> None:
    assert refusal("/dev/null") == "is not a regular file, skipped"
    with open_source("/dev/null", follow=False, special=True) as source:
        assert source.stream.read() == b""


def test_socket_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal("socket", special=True) == "No such device or address"


def test_file_of_unknown_size() -> None:
    with open_source("/proc/self/status", follow=False, special=False) as source:
        assert source.size is None
        assert b"Pid:" in source.stream.read()


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_descriptor: int) -> None:
        raise OSError(9, "Bad file descriptor")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", closed)
        with pytest.raises(PathError) as caught:
            standard_input()
    assert str(caught.value) == "stdin: Bad file descriptor"


def test_read_error_names_the_file() -> None:
    with (
        open_source("/proc/self/mem", follow=False, special=False) as source,
        pytest.raises(PathError, match="^/proc/self/mem: Input/output error$"),
    ):
        source.stream.read(10)


def test_swapped_while_opening(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: real(fifo, flags))
    assert refusal(file) == "replaced by something else while it was opened"


def test_removal(file: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        source.remove()
    assert not file.exists()


def test_removal_of_a_link_leaves_what_it_points_to(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    with open_source(str(link), follow=True, special=False) as source:
        source.remove()
    assert not link.is_symlink()
    assert file.read_bytes() == CONTENT


def test_no_removal_after_a_change(file: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        with file.open("ab") as appended:
            appended.write(b"more")
        with pytest.raises(PathError, match="changed while it was read, not removed"):
            source.remove()
    assert file.read_bytes() == CONTENT + b"more"


def test_no_removal_after_a_change_that_hides(file: Path) -> None:
    """The same size, and the old time of modification."""
    before = file.stat()
    with open_source(str(file), follow=False, special=False) as source:
        file.write_bytes(CONTENT[::-1])
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(PathError, match="changed while it was read, not removed"):
            source.remove()
    assert file.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("read", [0, 1, -1], ids=["before", "while", "after"])
def test_no_removal_of_content_that_was_not_read(file: Path, monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    """Even where the file system's times are too coarse to tell."""
    monkeypatch.setattr("zipllm.files.source._fingerprint", lambda _status: (0,))
    with open_source(str(file), follow=False, special=False) as source:
        source.watch()
        source.stream.read(read)
        file.write_bytes(CONTENT[::-1])
        if read == 1:
            source.stream.read()
        with pytest.raises(PathError, match="changed while it was read, not removed"):
            source.remove()
    assert file.exists()


def test_removal_of_what_was_read_whole(file: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        source.watch()
        assert source.stream.read(3) + source.stream.read() == CONTENT
        source.remove()
    assert not file.exists()


def test_no_removal_of_another_file_of_the_same_name(file: Path, tmp_path: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        other = tmp_path / "other"
        other.write_bytes(CONTENT)
        other.replace(file)
        with pytest.raises(PathError, match="changed while it was read, not removed"):
            source.remove()
    assert file.exists()


def test_removal_of_what_is_gone(file: Path) -> None:
    with open_source(str(file), follow=False, special=False) as source:
        file.unlink()
        with pytest.raises(PathError, match="No such file or directory"):
            source.remove()
