"""``zipllm train``: a toy model end to end, and every wrong input one clear line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zipllm.cli.app import run
from zipllm.cli.train.flags import TrainOptions
from zipllm.cli.train.recipe import origin

LINES = b"2026-11-22 10:00:00 INFO request served in 12 ms for /index.html\n"
QUICK = ("--preset", "nano", "--vocabulary", "300", "--compile", "off", "-T", "1")
SMALL = ("--set", "train.batch=4", "--set", "train.sequence=64", "--set", "model.layers=1")


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    path = tmp_path / "server.log"
    path.write_bytes(LINES * 2000)
    return path


def zipllm(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "zipllm", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ZIPLLM_KERNELS": "reference"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_train_then_compress_with_the_new_model(tmp_path: Path, log_file: Path) -> None:
    done = zipllm("train", log_file, "-o", "log.safetensors", "--steps", 20, *QUICK, *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "log.safetensors: " in done.stderr
    assert (tmp_path / "runs/log/metrics.jsonl").exists()
    coded = zipllm("compress", log_file, "--model", "log.safetensors", cwd=tmp_path)
    assert coded.returncode == 0, coded.stderr
    back = zipllm("decompress", "server.log.zllm", "-o", "back", "--model", "log.safetensors", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "back").read_bytes() == log_file.read_bytes()


def test_the_recorded_command_names_no_place_of_a_file() -> None:
    options = TrainOptions(
        config=Path("/home/me/family.toml"), start="/home/me/runs/first", minutes=5.0, settings=["train.batch=4"]
    )
    assert origin(options) == "zipllm train --config family.toml --from first --minutes 5.0 --set train.batch=4"


@pytest.mark.slow
def test_interrupt_saves_and_says_how_to_go_on(tmp_path: Path, log_file: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "zipllm",
        "train",
        str(log_file),
        "-o",
        "log.safetensors",
        "--minutes",
        "30",
        *QUICK,
        *SMALL,
    ]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.startswith("step ") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "--resume" in rest
    assert "Traceback" not in rest
    assert list((tmp_path / "runs/log").glob("step-*/state.json"))
    again = zipllm("train", log_file, "-o", "log.safetensors", "--steps", 1, *QUICK, *SMALL, cwd=tmp_path)
    assert again.returncode == 2
    assert "--resume goes on" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "m"), 2, "no training data"),
        (("{empty}", "-o", "m", "--steps", "1"), 1, "no files in"),
        (("{missing}", "-o", "m", "--steps", "1"), 1, "no such file"),
        (("{log}", "-o", "m", "--steps", "1", "--preset", "smal"), 2, "did you mean 'small'"),
        (("{log}", "-o", "m", "--steps", "1", "--vocabulary", "100"), 2, "256 to 65536"),
        (("{log}", "-o", "m", "--config", "{log}"), 2, "either --config or DATA"),
        (("-o", "m", "--config", "{missing}"), 1, "No such file"),
        (("-o", "m", "--config", "{log}"), 2, "not valid TOML"),
        (("{tiny}", "-o", "m", "--steps", "1", "--vocabulary", "256"), 2, "fewer than one window"),
        (("{nothing}", "-o", "m", "--steps", "1", "--vocabulary", "256"), 2, "every source is empty"),
    ],
)
def test_wrong_input_is_one_clear_line(
    tmp_path: Path,
    log_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "tiny.txt").write_bytes(b"too short")
    (tmp_path / "nothing.txt").write_bytes(b"")
    names = {
        "empty": "empty",
        "missing": "missing.txt",
        "log": "server.log",
        "tiny": "tiny.txt",
        "nothing": "nothing.txt",
    }
    assert run(["train", *(argument.format(**names) for argument in arguments), "--compile", "off"]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "m").exists()
