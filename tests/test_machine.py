"""How many threads are used, and where: without torch for as long as nobody needs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.codec.threads.left_threads import few_threads
from zipllm import machine
from zipllm.jit.compiled import COMPILES


@pytest.mark.parametrize(("value", "count"), [("1", 1), ("3", 3), ("0", 64), ("", 64), ("many", 64), ("-2", 64)])
def test_threads_follow_the_environment(value: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 64)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert machine.threads() == count


def test_threads_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    assert machine.threads() == machine.MOST_THREADS
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")  # for nested levels
    assert machine.threads() == 3


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000\n", 8), ("150000 100000\n", 2), ("1000 100000", 1), ("", 8), (None, 8)]
)
def test_a_container_grants_less_than_there_is(
    quota: str | None, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    machine.cores.cache_clear()
    assert machine.cores() == most
    machine.cores.cache_clear()


def test_no_thread_starts_where_none_can(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = machine.start_thread(lambda: None)
    assert thread is not None
    thread.join()
    few_threads(monkeypatch, 0)
    assert machine.start_thread(lambda: None) is None


def test_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    machine.cores.cache_clear()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert machine.cores() == 1
    machine.cores.cache_clear()
    monkeypatch.setattr(machine, "_quota", lambda: 0)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == os.cpu_count()
    machine.cores.cache_clear()


def test_chosen_threads_hold_for_kernels_and_for_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # put back afterwards
    try:
        machine.choose_threads(2)
        assert (machine.threads(), torch.get_num_threads()) == (2, 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("driver", "available", "device"), [(False, True, "cpu"), (True, False, "cpu"), (True, True, "cuda")]
)
def test_a_gpu_is_used_if_torch_can(
    driver: bool, available: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_has_gpu_driver", lambda: driver)
    monkeypatch.setattr("torch.cuda.is_available", lambda: available)
    assert machine.best_device() == device


def test_a_machine_on_which_torch_sees_a_gpu_has_a_driver() -> None:
    assert machine._has_gpu_driver() or not torch.cuda.is_available()


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_kernels_code_without_torch() -> None:
    """It takes a second to import, which is a good part of what a small file takes."""
    program = (
        "import sys, zipllm\n"
        "assert zipllm.decompress(zipllm.compress(b'Nothing is lost. ' * 9)) == b'Nothing is lost. ' * 9\n"
        "print('numba' in sys.modules, 'torch' in sys.modules)"
    )
    variables = {**os.environ, "ZIPLLM_KERNELS": "cpu"}
    run = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]
