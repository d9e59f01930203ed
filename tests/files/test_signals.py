"""What happens to unfinished files when a signal ends the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zipllm.files.signals import before_signal_exit, exit_on_signals
from zipllm.temporary import create_temporary

SCRIPT = """
import os, signal, sys
from zipllm.files.signals import before_signal_exit, exit_on_signals
from zipllm.temporary import create_temporary

if sys.argv[2] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
exit_on_signals()
create_temporary(sys.argv[1])
create_temporary(sys.argv[1])

def fail():
    raise ValueError("a failing action must not stop the others")

with before_signal_exit(lambda: print("cleaned", flush=True)), before_signal_exit(fail):
    with before_signal_exit(lambda: print("left over", flush=True)):
        pass
    try:
        os.kill(os.getpid(), int(sys.argv[3]))
        print(len(os.listdir(sys.argv[1])), flush=True)
    finally:
        print("not reached by a signal")
"""


class Ended(BaseException):
    """Stands for the end of the process."""


def test_handler_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[signal.Signals, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_DFL)
    handlers[signal.SIGHUP] = signal.SIG_IGN

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(os, "_exit", end)
    exit_on_signals()
    assert handlers[signal.SIGHUP] is signal.SIG_IGN
    descriptor, path = create_temporary(str(tmp_path))
    os.close(descriptor)
    done: list[str] = []
    with pytest.raises(Ended, match="^143$"), before_signal_exit(lambda: done.append("cleaned")):
        handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert done == ["cleaned"]
    assert not os.path.exists(path)
    assert handlers[signal.SIGINT] is signal.SIG_IGN, "another signal does not disturb the end"
    assert handlers[signal.SIGTERM] is signal.SIG_DFL, "the same once more ends at once"


def run(folder: Path, how: str, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), how, str(number)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_unfinished_files_go_and_the_exit_code_tells_the_signal(tmp_path: Path, number: int) -> None:
    done = run(tmp_path, "handled", number)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "cleaned\n", "")
    assert os.listdir(tmp_path) == []


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    done = run(tmp_path, "ignored", signal.SIGHUP)
    assert (done.returncode, done.stdout) == (0, "2\nnot reached by a signal\n")
    assert len(os.listdir(tmp_path)) == 2
