"""What can be known of the GPU's kernels without a GPU: their logic, and that they compile for it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
