"""Signals, full disks, closed pipes and lost rights: no partial file, no traceback, the right exit code."""

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, CommandLine, Outcome, Running, closed_pipe, wait_until

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def start_slow(zipllm: CommandLine, command: str, given: bytes, *arguments: str) -> tuple[Running, int]:
    """Start a command that waits for the rest of its input, its result begun; also the end to write more to."""
    fifo = zipllm.folder / "fifo"
    os.mkfifo(fifo)
    running = zipllm.start(command, "fifo", "-o", "result", *arguments)
    writer = os.open(fifo, os.O_WRONLY)
    os.write(writer, given)
    wait_until(lambda: any(name.startswith(".zipllm-") for name in zipllm.names()))
    return running, writer


@pytest.mark.parametrize("command", ["compress", "decompress"])
@pytest.mark.parametrize("number", SIGNALS)
def test_signal_removes_the_partial_file(zipllm: CommandLine, number: int, command: str) -> None:
    before = zipllm.names()
    running, writer = start_slow(zipllm, command, ARCHIVE[:-10])
    done = running.signal(number)
    os.close(writer)
    assert done.error == (SIGNALS[signal.Signals(number)], "")
    assert zipllm.names() == {*before, "fifo"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_threads_have_blocks_in_work(zipllm: CommandLine, number: int) -> None:
    before = zipllm.names()
    running, writer = start_slow(zipllm, "compress", CONTENT * 10, "-1", "-T", "4", "--block-size", "2000")
    done = running.signal(number)
    os.close(writer)
    assert done.error == (SIGNALS[signal.Signals(number)], "")
    assert zipllm.names() == {*before, "fifo"}


def test_damage_and_a_closed_pipe_while_threads_have_blocks_in_work(zipllm: CommandLine) -> None:
    """As with one thread, in the same words; nothing is left."""
    (zipllm.folder / "c").write_bytes(CONTENT)
    assert zipllm("compress", "c", "-q", "-1", "-T", "4", "--block-size", "300").code == 0
    archive = bytearray((zipllm.folder / "c.zllm").read_bytes())
    with closed_pipe() as writer:
        assert zipllm("decompress", "-c", "-T", "4", "c.zllm", stdout=writer).error == (141, "")
    archive[len(archive) // 2] ^= 8
    (zipllm.folder / "c.zllm").write_bytes(archive)
    before = zipllm.names()
    said = {zipllm("decompress", "c.zllm", "-o", "out", "-T", threads).error for threads in ("1", "2", "4")}
    ((code, words),) = said
    assert code == 3
    assert "block" in words
    assert zipllm.names() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_keeps_the_file_that_was_to_be_replaced(zipllm: CommandLine, number: signal.Signals) -> None:
    (zipllm.folder / "result").write_bytes(b"older")
    running, writer = start_slow(zipllm, "compress", CONTENT, "-f", "--rm")
    assert running.signal(number).code == SIGNALS[number]
    os.close(writer)
    assert (zipllm.folder / "result").read_bytes() == b"older"
    assert zipllm.names() == {"a", "b.zllm", "fifo", "result"}


def test_signal_while_waiting_for_a_pipe_to_open(zipllm: CommandLine) -> None:
    os.mkfifo(zipllm.folder / "fifo")
    running = zipllm.start("compress", "-c", "a", "fifo")
    wait_until(lambda: os.fstat(running.out.fileno()).st_size)  # a is done, fifo is next
    assert running.signal(signal.SIGINT).code == 130


def test_kill_leaves_nothing_but_a_temporary_file(zipllm: CommandLine) -> None:
    running, writer = start_slow(zipllm, "compress", CONTENT)
    assert running.signal(signal.SIGKILL).code == -signal.SIGKILL
    os.close(writer)
    (left,) = zipllm.names() - {"a", "b.zllm", "fifo"}
    assert left.startswith(".zipllm-")
    assert left.endswith(".tmp")
    assert zipllm("compress", "-rqf", ".").code == 0
    assert f"{left}.zllm" not in zipllm.names(), "a later run does not take it for a file of the user's"


def test_pipe_that_goes_on_is_read_to_its_end(zipllm: CommandLine) -> None:
    running, writer = start_slow(zipllm, "compress", CONTENT[:100])
    os.write(writer, CONTENT[100:])
    os.close(writer)
    assert running.wait().code == 0
    assert (zipllm.folder / "result").read_bytes() == ARCHIVE


# --------------------------------------------------------------------------- nobody reads
@pytest.mark.parametrize(
    "arguments",
    [("compress", "-c", "a"), ("decompress", "-c", "b.zllm"), ("list", "b.zllm"), ("test", "--json", "b.zllm")],
    ids=" ".join,
)
def test_closed_pipe_ends_in_silence(zipllm: CommandLine, arguments: tuple[str, ...]) -> None:
    with closed_pipe() as writer:
        assert zipllm(*arguments, stdout=writer).error == (141, "")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("list", "--help")], ids=" ".join)
def test_closed_pipe_of_help(zipllm: CommandLine, arguments: tuple[str, ...]) -> None:
    with closed_pipe() as writer:
        assert zipllm(*arguments, stdout=writer).error == (141, "")


def has_open(process: int, file: Path) -> bool:
    """Whether a process has a file open; others that it closes meanwhile do not matter."""
    for path in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.path.samefile(path, file):
                return True
    return False


def test_closed_pipe_behind_an_output_name(zipllm: CommandLine) -> None:
    fifo = zipllm.folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    source, feed = os.pipe()
    running = zipllm.start("compress", "-o", "fifo", stdin=source)
    os.close(source)
    os.write(feed, CONTENT)
    wait_until(lambda: has_open(running.pid, fifo))
    os.close(reader)
    os.close(feed)
    assert running.wait().error == (141, "")


def test_unreadable_stderr_does_not_stop_the_work(zipllm: CommandLine) -> None:
    with closed_pipe() as writer:
        assert zipllm("compress", "a", stderr=writer).code == 0
    assert (zipllm.folder / "a.zllm").read_bytes() == ARCHIVE


# --------------------------------------------------------------------------- no room
def test_full_disk(zipllm: CommandLine) -> None:
    (zipllm.folder / "big").write_bytes(random.Random(2).randbytes(200_000))
    before = zipllm.names()
    done = zipllm("compress", "--rm", "big", file_size=100_000)
    assert done.error == (1, "zipllm: big.zllm: File too large\n")
    assert zipllm.names() == before


def test_full_disk_when_the_last_buffer_is_written(zipllm: CommandLine) -> None:
    before = zipllm.names()
    assert zipllm("compress", "a", file_size=1000).error == (1, "zipllm: a.zllm: File too large\n")
    assert zipllm("decompress", "b.zllm", file_size=1000).error == (1, "zipllm: b: File too large\n")
    assert zipllm.names() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compress", "-c", "a"), "stdout: No space left on device"),
        (("decompress", "-c", "b.zllm"), "stdout: No space left on device"),
        (("list", "b.zllm"), "stdout: No space left on device"),
        (("test", "--json", "b.zllm"), "stdout: No space left on device"),
        (("--version",), "stdout: No space left on device"),
    ],
    ids=str,
)
def test_full_standard_output(zipllm: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    with open("/dev/full", "wb") as full:
        assert zipllm(*arguments, stdout=full.fileno()).error == (1, f"zipllm: {message}\n")


def test_full_device_as_output(zipllm: CommandLine) -> None:
    done = zipllm("compress", "--rm", "a", "-o", "/dev/full")
    assert done.error == (1, "zipllm: /dev/full: No space left on device\n")
    assert "a" in zipllm.names()


def test_device_as_output_never_removes_the_source(zipllm: CommandLine) -> None:
    assert zipllm("compress", "-q", "--rm", "a", "-o", "/dev/null").error == (0, "")
    assert zipllm("compress", "-q", "--rm", "-c", "a").code == 0
    assert "a" in zipllm.names()


# --------------------------------------------------------------------------- closed descriptors, real processes
def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHON": sys.executable}
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, timeout=120, check=False
    )


def test_closed_descriptors_never_become_the_output(folder: Path) -> None:
    done = shell(folder, '"$PYTHON" -m zipllm compress -v a <&- >&- 2>&-')
    assert done.returncode == 0
    assert (folder / "a.zllm").read_bytes() == ARCHIVE, "no message went into it"


def test_closed_standard_streams_are_errors(folder: Path) -> None:
    done = shell(folder, '"$PYTHON" -m zipllm compress -c a >&-')
    assert (done.returncode, done.stderr) == (1, b"zipllm: stdout: Bad file descriptor\n")
    done = shell(folder, '"$PYTHON" -m zipllm compress -o x <&-')
    assert (done.returncode, done.stderr) == (1, b"zipllm: stdin: Bad file descriptor\n")
    done = shell(folder, '"$PYTHON" -m zipllm list b.zllm >&-')
    assert (done.returncode, done.stderr) == (1, b"zipllm: stdout: is closed\n")


def test_closed_pipe_and_full_disk_of_a_whole_interpreter(folder: Path) -> None:
    done = shell(folder, '{ "$PYTHON" -m zipllm compress -c a; echo $? >&2; } | true')
    assert done.stderr == b"141\n"
    for arguments in ("--version", "compress --help"):
        done = shell(folder, f'"$PYTHON" -m zipllm {arguments} >/dev/full')
        assert (done.returncode, done.stderr) == (1, b"zipllm: stdout: No space left on device\n")


# --------------------------------------------------------------------------- terminals
@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    yield master, slave
    os.close(master)
    os.close(slave)


def test_no_compressed_data_to_a_terminal(zipllm: CommandLine, terminal: tuple[int, int]) -> None:
    master, slave = terminal
    hint = "(use -o FILE or > FILE, or -f)"
    expected = (1, f"zipllm: stdout: is a terminal, compressed data not written {hint}\n")
    assert zipllm("compress", "-c", "a", stdout=slave).error == expected
    assert zipllm("compress", stdin=CONTENT, stdout=slave).error == expected
    with pytest.raises(BlockingIOError):
        os.read(master, 1)
    assert zipllm("compress", "-cf", "a", stdout=slave).code == 0
    assert os.read(master, 4) == ARCHIVE[:4]


def test_original_data_may_go_to_a_terminal(zipllm: CommandLine, terminal: tuple[int, int]) -> None:
    master, slave = terminal
    assert zipllm("decompress", "-c", "b.zllm", stdout=slave, stderr=slave).code == 0
    assert os.read(master, 1)


@pytest.mark.parametrize("command", ["decompress", "test", "list"])
def test_no_compressed_data_from_a_terminal(zipllm: CommandLine, terminal: tuple[int, int], command: str) -> None:
    done = zipllm(command, stdin=terminal[1])
    expected = "zipllm: stdin: is a terminal, compressed data not read (name a file or use < FILE)\n"
    assert done.error == (1, expected)


def test_bar_on_a_terminal_is_gone_at_the_end(zipllm: CommandLine, terminal: tuple[int, int]) -> None:
    master, slave = terminal
    zipllm.environment["TERM"] = "xterm"
    assert zipllm("decompress", "b.zllm", stderr=slave).code == 0
    shown = os.read(master, 1 << 16)
    assert b"b.zllm : 5000 bytes (b)" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h"), "a hidden cursor is shown again"


# --------------------------------------------------------------------------- rights and memory
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without rights")
def test_read_only_folder_and_unreadable_file(folder: Path) -> None:
    (folder / "a").chmod(0o600)
    folder.chmod(0o755)
    for parent in folder.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    (folder / "open").write_bytes(CONTENT)
    (folder / "open").chmod(0o644)
    script = (
        "import os, sys; from zipllm.cli.app import run; run(['compress', '-q', 'b.zllm', '-o', '/dev/null']); "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "print([run(['compress', name]) for name in sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "a", "open"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == b"zipllm: a: Permission denied\nzipllm: open.zllm: Permission denied\n"
    assert done.stdout == b"[1, 1]\n"
    assert set(os.listdir(folder)) == {"a", "b.zllm", "open"}


def test_out_of_memory(inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_arguments: object, **_named: object) -> None:
        raise MemoryError

    monkeypatch.setattr("zipllm.codec.encoder.compress_stream", exhausted)
    hint = "(a smaller --block-size, fewer --lanes or --threads need less)"
    assert inside("compress", "a").error == (1, f"zipllm: a: out of memory {hint}\n")
    assert set(os.listdir()) == {"a", "b.zllm"}


def test_failed_verification(inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    from zipllm.errors import VerificationFailed

    def wrong(source: object, sink: BinaryIO, **_named: object) -> None:
        sink.write(b"half")
        raise VerificationFailed("block 1 does not decode to what was read")

    monkeypatch.setattr("zipllm.codec.encoder.compress_stream", wrong)
    assert inside("compress", "--rm", "a").error == (6, "zipllm: a: block 1 does not decode to what was read\n")
    assert set(os.listdir()) == {"a", "b.zllm"}
