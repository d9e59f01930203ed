"""Files that replace others in one step: models, corpora, reports. Whole or as before, and nothing else stays."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zipllm import temporary
from zipllm.temporary import private_as, replacing

OLD, NEW = b"what was there before", bytes(range(256)) * 4096
WRITER = """
import os, signal, sys
from pathlib import Path
from zipllm.files.signals import exit_on_signals
from zipllm.temporary import private_as, replacing

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


@pytest.mark.parametrize(
    ("modes", "file", "folder"),
    [
        ([0o644], 0o644, 0o755),
        ([0o600], 0o600, 0o700),
        ([0o640], 0o640, 0o750),
        ([0o644, 0o400], 0o600, 0o700),
        ([0o604], 0o604, 0o705),
        ([], 0o644, 0o755),
    ],
)
def test_derived_files_are_as_private_as_their_sources(
    tmp_path: Path, modes: list[int], file: int, folder: int
) -> None:
    sources = [tmp_path / str(number) for number in range(len(modes))]
    for source, mode in zip(sources, modes, strict=True):
        source.touch()
        source.chmod(mode)
    read, write = os.pipe()
    before = os.umask(0o022)
    try:
        with pytest.raises(KeyError), private_as([*sources, tmp_path / "missing", read, write]):
            with replacing(tmp_path / "derived") as (stream, _):
                stream.write(NEW)
            (tmp_path / "folder").mkdir()
            raise KeyError
    finally:
        assert os.umask(before) == 0o022
        os.close(read)
        os.close(write)
    assert stat.S_IMODE((tmp_path / "derived").stat().st_mode) == file
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_group_does_not_read_more(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()
    source.chmod(0o640)
    os.chown(source, -1, os.getegid() + 1)
    with private_as([source]):
        (tmp_path / "derived").touch()
    assert stat.S_IMODE((tmp_path / "derived").stat().st_mode) == 0o600
