"""What happens to unfinished files when a signal ends the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from zipllm.files.signals import before_signal_exit, exit_on_signals
from zipllm.files.temporary import create_temporary

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


def run(folder: Path, how: str, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), how, str(number)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_unfinished_files_go_and_the_exit_code_tells_the_signal(tmp_path: Path, number: int):
    done = run(tmp_path, "handled", number)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "cleaned\n", "")
    assert os.listdir(tmp_path) == []


def test_an_ignored_signal_stays_ignored(tmp_path: Path):
    done = run(tmp_path, "ignored", signal.SIGHUP)
    assert (done.returncode, done.stdout) == (0, "2\nnot reached by a signal\n")
    assert len(os.listdir(tmp_path)) == 2
