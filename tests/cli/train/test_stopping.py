"""A signal ends ``train`` in any stage, even inside a library, and nothing that was learned is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zipllm.model_file.file import load_model_file

LINES = b"".join(b"2026-11-22 10:%02d:00 INFO request %d served\n" % (n % 60, n * 7919 % 1000) for n in range(1500))
COMMAND = (
    "train", "server.log", "--run", "run", "--steps", "20", "--preset", "nano", "--vocabulary", "300", "-T", "1",
    "--set", "train.batch=4", "--set", "train.sequence=32", "--set", "model.layers=1", "--set", "model.width=32",
    "--set", "model.heads=1", "--set", "model.feedforward=32", "--set", "model.window=16",
)  # fmt: skip
CHILD = """
import hashlib, sys
from zipllm.train import corpus, run, trainer

stage = sys.argv.pop(1)

def stuck(real, ready=lambda *arguments: True):
    def work(*arguments, **options):
        if ready(*arguments):
            sys.stderr.write("stuck\\n")
            sys.stderr.flush()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # as a library: minutes in which no Python runs
        return real(*arguments, **options)
    return work

if stage == "prepare":
    corpus.learn_tokenizer = stuck(corpus.learn_tokenizer)
elif stage == "train":
    trainer.Trainer._gradients = stuck(trainer.Trainer._gradients, lambda self, targets: self.state.step == 9)
elif stage == "export":
    run.export_model = stuck(run.export_model)
from zipllm.cli import main
main()
"""


def start(folder: Path, stage: str, *more: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ZIPLLM_KERNELS": "reference"}
    command = [sys.executable, "-c", CHILD, stage, *COMMAND, *more]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def stop(process: "subprocess.Popen[str]", *numbers: signal.Signals) -> tuple[int, str]:
    with process:
        assert process.stderr is not None
        assert any(line == "stuck\n" for line in process.stderr)
        for number in numbers:
            process.send_signal(number)
        rest = process.stderr.read()
    return process.returncode, rest


@pytest.fixture(scope="module")
def model_id(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The id of the model of a run that nothing stops."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "server.log").write_bytes(LINES)
    with start(folder, "none") as process:
        assert process.communicate()[1].count("\n") > 2
    return load_model_file(folder / "run/model.safetensors").model_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "number", "saved"),
    [
        ("prepare", signal.SIGTERM, "while preparing the data; the same command begins again"),
        ("train", signal.SIGINT, "saved in run, go on with the same command and --resume"),
        ("train", signal.SIGHUP, "saved in run, go on with the same command and --resume"),
        ("export", signal.SIGINT, "while exporting; the trained weights are saved in run"),
    ],
)
def test_a_signal_inside_a_library(
    tmp_path: Path, model_id: bytes, stage: str, number: signal.Signals, saved: str
) -> None:
    (tmp_path / "server.log").write_bytes(LINES)
    code, rest = stop(start(tmp_path, stage), number)
    assert code == 128 + number
    assert rest.splitlines()[-1].startswith("zipllm: interrupted")
    assert saved in rest
    assert not list(tmp_path.rglob("*.tmp"))
    with start(tmp_path, "none", *(() if stage == "prepare" else ("--resume",))) as process:
        told = process.communicate()[1]
    assert process.returncode == 0, told
    assert ("step 16 " in told) == (stage != "export")
    assert load_model_file(tmp_path / "run/model.safetensors").model_id == model_id


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_bytes(LINES)
    code, rest = stop(start(tmp_path, "train"), signal.SIGINT, signal.SIGTERM)
    assert code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert "Traceback" not in rest
