"""A folder with a file ``a`` and an archive ``b.zllm``, and two ways to run commands in it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, CommandLine, Outcome
from zipllm.cli.app import run

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a").write_bytes(CONTENT)
    (folder / "b.zllm").write_bytes(ARCHIVE)
    return folder


@pytest.fixture(scope="session")
def zygote() -> Iterator[str]:
    """The path of a socket on which runs of the command line can be ordered."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's: a socket's path must be short
        path = f"{folder}/zygote"
        environment = {**os.environ, "PYTHONPATH": ROOT}
        command = [sys.executable, "-m", "tests.cli.zygote", path]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                yield path
            finally:
                process.kill()


@pytest.fixture
def zipllm(zygote: str, folder: Path, tmp_path: Path) -> CommandLine:
    """The command as a process: exact exit codes and streams."""
    kept = {name: os.environ[name] for name in ("PATH", "NUMBA_CACHE_DIR", "OMP_WAIT_POLICY")}
    environment = kept | {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    return CommandLine(zygote, folder, environment)


@pytest.fixture
def inside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Callable[..., Outcome]]:
    """The command in this process: as exact, without starting an interpreter. ``stdin`` is content."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("ZIPLLM_MODEL_PATH", raising=False)
    saved = os.dup(0)

    def call(*arguments: str | Path, stdin: bytes = b"") -> Outcome:
        content = tmp_path / "stdin"
        content.write_bytes(stdin)
        descriptor = os.open(content, os.O_RDONLY)
        os.dup2(descriptor, 0)
        os.close(descriptor)
        capfdbinary.readouterr()
        code = run([os.fspath(argument) for argument in arguments])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Outcome(code, captured.out, captured.err.decode())

    yield call
    os.dup2(saved, 0)
    os.close(saved)
