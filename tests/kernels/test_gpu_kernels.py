"""What can be known of the GPU's kernels without a GPU: their logic, and that they compile for it."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import pytest
import torch

from tests.kernels.test_equality import random_model
from tests.model.conftest import shaped

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


def run(module: str, argument: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-m", module, argument]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("which", ["some", pytest.param("all", marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_interpreted_kernels_give_the_reference_s_integers(which: str) -> None:
    done = run("tests.kernels.interpreted", which, TRITON_INTERPRET="1")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "90"])
def test_they_compile_for_a_gpu(capability: str, tmp_path: Path) -> None:
    done = run("tests.kernels.compiled_for", capability, TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == [
        "embed", "add_and_norm", "activate", "split_heads", "attend", "attend", "attend_step", "cumulate"
    ]  # fmt: skip
    assert {root for _, _, *roots in lines for root in roots} == {"sqrt.rn.f64"}


def test_few_threads_pass_at_a_time_and_steps_wait_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits inside until as many are there as there should be, so that fewer would never come out."""
    from zipllm.kernels.cuda import PASSES, CudaTransformer

    config, lock, threads = shaped(), Lock(), 8
    together = {True: Barrier(PASSES, timeout=60), False: Barrier(threads, timeout=60)}
    inside, most = 0, 0

    def computed(_network: Any, _memory: Any, tokens: Any, _lanes: Any) -> torch.Tensor:
        nonlocal inside, most
        passing = tokens.shape[1] > 1
        with lock:
            inside += 1
            most = max(most, inside if passing else 0)
        together[passing].wait()
        with lock:
            inside -= 1
        return torch.zeros((tokens.size, config.vocabulary_size + 1), dtype=torch.int32)

    monkeypatch.setattr(CudaTransformer, "_any", computed)
    network = CudaTransformer(random_model(config, 1), "cpu")

    def feed(length: int) -> None:
        network.predict(network.start(1), np.zeros((1, length), dtype=np.int32))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(feed, [3] * threads))
        list(pool.map(feed, [1] * threads))
    assert most == PASSES
