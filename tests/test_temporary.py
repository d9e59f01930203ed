"""Files that replace others in one step: models, corpora, reports. Whole or as before, and nothing else stays."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zipllm import temporary
from zipllm.temporary import replacing

OLD, NEW = b"what was there before", bytes(range(256)) * 4096
WRITER = """
import os, signal, sys
from pathlib import Path
from zipllm.files.signals import exit_on_signals
from zipllm.temporary import replacing

exit_on_signals()
with replacing(Path(sys.argv[1])) as (stream, _):
    stream.write(bytes(100_000))
    stream.flush()
    os.kill(os.getpid(), int(sys.argv[2]))
"""


def test_replaced_with_the_mode_of_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(0o600)
    with replacing(path) as (stream, unfinished):
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600, "private while it is written"
        stream.write(NEW)
        assert path.read_bytes() == OLD
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~temporary.umask()
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with pytest.raises(ValueError, match="half way"), replacing(path) as (stream, _):
        stream.write(NEW)
        raise ValueError("half way")
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(OLD)
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as (stream, _):
        stream.write(NEW)
    assert (tmp_path / "target").read_bytes() == OLD
    assert (tmp_path / "link").read_bytes() == NEW


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "absent" / "file"):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_nothing_that_the_next_run_does_not_remove(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), str(int(number))], check=False)
    assert done.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert path.read_bytes() == OLD
    left = [name for name in os.listdir(tmp_path) if name != "file"]
    assert len(left) == (number == signal.SIGKILL)
    monkeypatch.setattr(temporary, "ABANDONED_SECONDS", 0)
    with replacing(path) as (stream, _):
        stream.write(NEW)
    assert os.listdir(tmp_path) == ["file"]
