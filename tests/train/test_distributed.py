"""Two processes under torchrun train the model that one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from zipllm.errors import UsageError
from zipllm.train.distributed import Group, joined

LINES = b"".join(b"2026-11-22 10:%02d:00 INFO request %d served\n" % (n % 60, n * 7919 % 1000) for n in range(1500))
SETTINGS = (
    "--vocabulary", "300", "--steps", "18", "--precision", "float32", "--compile", "off", "--device", "cpu", "-T", "1",
    "--set", "train.batch=8", "--set", "train.rounding=0.0",
    "--set", "train.sequence=32", "--set", "train.evaluate_every=0.0",
    "--set", "model.width=32", "--set", "model.heads=2", "--set", "model.feedforward=64", "--set", "model.window=16",
)  # fmt: skip


def train(folder: Path, launcher: tuple[str, ...], *more: str) -> None:
    command = [
        sys.executable,
        "-m",
        *launcher,
        "zipllm",
        "train",
        "server.log",
        "--run-dir",
        str(folder),
        *SETTINGS,
        *more,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ZIPLLM_KERNELS": "reference"}
    done = subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "server.log").write_bytes(LINES)
    train(folder / "run", ())
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["false", "true"])
def test_two_processes_equal_one(alone: Path, tmp_path: Path, shard: str) -> None:
    (tmp_path / "server.log").write_bytes(LINES)
    train(tmp_path / "two", TORCHRUN, "--set", "train.accumulate=2", "--set", f"train.shard={shard}")
    one, two = metrics(alone), metrics(tmp_path / "two")
    assert len(one) == len(two) == 2
    for single, shared in zip(one, two, strict=True):
        assert (shared["step"], shared["tokens"]) == (single["step"], single["tokens"])
        for key in ("train_bpb", "valid_bpb"):
            assert shared[key] == pytest.approx(single[key], rel=1e-5)
    weights = [load_file(folder / "step-000018/model.safetensors") for folder in (alone, tmp_path / "two")]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=1e-4), name
    assert (tmp_path / "two/model.safetensors").exists()


@pytest.mark.slow
def test_a_sharded_run_rounds_is_exported_and_goes_on_alone(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_bytes(LINES)
    settings = ("--set", "train.shard=true", "--set", "train.rounding=0.5")
    train(tmp_path / "two", TORCHRUN, *settings, "--steps", "12")
    assert (tmp_path / "two/model.safetensors").exists()
    (tmp_path / "two/config.toml").unlink()
    train(tmp_path / "two", (), *settings, "--resume", "--steps", "18")
    assert [row["step"] for row in metrics(tmp_path / "two")] == [12, 16, 18]


def test_alone_without_torchrun() -> None:
    with joined("cpu", {}) as group:
        assert group == Group(0, 1, "cpu")
        assert group.largest(1.0, 2.0) == (1.0, 2.0)
        assert group.total(3.0) == (3.0,)
        group.wait()


def test_a_group_that_cannot_form_is_a_usage_error() -> None:
    with (
        pytest.raises(UsageError, match="cannot reach each other"),
        joined("cpu", {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}),
    ):
        pass


def test_every_window_belongs_to_one_process() -> None:
    windows = torch.arange(24).view(8, 3)
    shares = [Group(rank, 4).share(windows) for rank in range(4)]
    assert sorted(torch.cat(shares)[:, 0].tolist()) == windows[:, 0].tolist()
    assert {len(share) for share in shares} == {2}
