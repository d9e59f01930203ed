"""Killed, or failed by the system, before and after every step of writing a file: nothing half-done appears."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from zipllm import temporary
from zipllm.errors import FileError
from zipllm.files.names import PathError
from zipllm.files.output import create_output
from zipllm.files.source import open_source
from zipllm.files.stream import NamedFile

CONTENT = bytes(range(256)) * 1024  # four buffers
OLD = b"what was there before"
STEPS = ("open", "write", "link", "replace", "unlink", "fsync", "fchmod", "fchown", "utime", "close", "lstat", "stat")
MOST_POINTS = 100


def write_result(folder: Path, force: bool) -> None:
    with (
        open_source(str(folder / "source"), follow=False, special=False) as source,
        create_output(str(folder / "result"), source, force=force) as output,
    ):
        output.stream.write(source.stream.read())
        output.commit()


def interrupted_at(point: int, action: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ``action`` happen at a point: before step 0, after step 0, before step 1, ... Returns the steps taken."""
    taken: list[str] = []

    def watch(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            number = len(taken)
            taken.append(name)
            if point == 2 * number:
                action(name)
            try:
                return real(*arguments, **named)
            finally:
                if point == 2 * number + 1:
                    action(name)

        return step

    for name in STEPS:
        if name == "write":
            monkeypatch.setattr(NamedFile, "write", watch(name, NamedFile.write))
        else:
            monkeypatch.setattr(os, name, watch(name, getattr(os, name)))
    return taken


def killed(folder: Path, force: bool, point: int) -> bool:
    """Write in a process that kills itself at a point; False when it came to its end before."""
    process = os.fork()
    if process == 0:
        _die_at(folder, force, point)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}
    return code != 0


def _die_at(folder: Path, force: bool, point: int) -> NoReturn:
    try:
        with pytest.MonkeyPatch.context() as patches:
            interrupted_at(point, lambda name: os.kill(os.getpid(), signal.SIGKILL), patches)
            write_result(folder, force)
        os._exit(0)
    finally:
        os._exit(1)


def prepare(folder: Path, force: bool) -> None:
    folder.mkdir()
    (folder / "source").write_bytes(CONTENT)
    if force:
        (folder / "result").write_bytes(OLD)


def unfinished(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name not in {"source", "result"}]


def check(folder: Path, force: bool) -> None:
    """The source is untouched; the result is whole, or as before."""
    assert (folder / "source").read_bytes() == CONTENT
    found = (folder / "result").read_bytes() if (folder / "result").exists() else None
    assert found in (CONTENT, OLD if force else None)


@pytest.mark.parametrize("force", [False, True], ids=["new file", "replaced file"])
def test_kill_at_every_point(tmp_path: Path, force: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "ABANDONED_SECONDS", 0)
    assert 30 <= kill_points_survived(tmp_path, force) < MOST_POINTS


def kill_points_survived(parent: Path, force: bool) -> int:
    """Kill at one point after another until none is left; returns how many there were."""
    for point in range(MOST_POINTS):
        folder = parent / str(point)
        prepare(folder, force)
        if not killed(folder, force, point):
            return point
        check(folder, force)
        assert len(unfinished(folder)) <= 1
        write_result(folder, force=True)  # the next run
        assert unfinished(folder) == [], "it removes what the killed one left"
        assert (folder / "result").read_bytes() == CONTENT
    return MOST_POINTS


@pytest.mark.parametrize("force", [False, True], ids=["new file", "replaced file"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=["EIO", "ENOSPC", "EDQUOT"])
def test_error_of_the_system_at_every_point(tmp_path: Path, force: bool, number: int) -> None:
    """Some steps may fail without harm (times, owner, the lock of a folder); otherwise a `FileError`, never another."""
    for point in range(0, MOST_POINTS, 2):
        folder = tmp_path / str(point)
        prepare(folder, force)

        def fail(name: str) -> NoReturn:
            error = OSError(number, os.strerror(number))
            raise PathError.from_os("result", error) if name == "write" else error  # streams name their file themselves

        with pytest.MonkeyPatch.context() as patches:
            taken = interrupted_at(point, fail, patches)
            try:
                write_result(folder, force)
                failed = False
            except FileError:
                failed = True
        check(folder, force)
        if point >= 2 * len(taken):
            assert not failed
            return
        step = taken[point // 2]
        assert unfinished(folder) == [] or step in {"unlink", "close"}, step
    raise AssertionError("the steps never ended")


def test_file_of_a_living_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "ABANDONED_SECONDS", 0)
    descriptor, path = temporary.create_temporary(str(tmp_path))
    monkeypatch.setattr(temporary, "_cleaned", set())
    temporary.remove_abandoned(str(tmp_path))
    assert os.path.exists(path)
    os.close(descriptor)
    monkeypatch.setattr(temporary, "_cleaned", set())
    temporary.remove_abandoned(str(tmp_path))
    assert not os.path.exists(path)
    temporary.discard_temporary(path)


def test_what_only_looks_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, pipes, folders, other names and fresh files stay."""
    target = tmp_path / "precious"
    target.write_bytes(b"x")
    (tmp_path / ".zipllm-link.tmp").symlink_to(target)
    os.mkfifo(tmp_path / ".zipllm-pipe.tmp")
    (tmp_path / ".zipllm-folder.tmp").mkdir()
    (tmp_path / ".zipllm-notes.txt").write_bytes(b"x")
    before = set(os.listdir(tmp_path))
    with monkeypatch.context() as patches:
        patches.setattr(temporary, "ABANDONED_SECONDS", 0)
        temporary.remove_abandoned(str(tmp_path))
    assert set(os.listdir(tmp_path)) == before
    (tmp_path / ".zipllm-fresh.tmp").write_bytes(b"x")
    monkeypatch.setattr(temporary, "_cleaned", set())
    temporary.remove_abandoned(str(tmp_path))
    assert (tmp_path / ".zipllm-fresh.tmp").exists()
    temporary.remove_abandoned(str(tmp_path / "absent"))
