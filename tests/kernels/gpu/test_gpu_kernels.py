"""What can be known of the GPU's kernels without a GPU: their logic, and that they compile for it."""

import importlib.util
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import cast

import numpy as np
import pytest
import torch

from tests.model.conftest import shaped
from zipllm.kernels.gpu.memory import SPARE, LaneMemory, Mark, Order

pytest.importorskip("triton", reason="Triton is not installed")

from zipllm.kernels.gpu.copies import Copies
from zipllm.kernels.gpu.forward import Forward
from zipllm.kernels.gpu.graphs import FINE_FROM, Graphs, graph_lanes
from zipllm.kernels.gpu.steps import Request, Steps

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


def run(module: str, argument: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-m", module, argument]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("which", [pytest.param("shapes", marks=pytest.mark.slow), "ways"])
def test_interpreted_kernels_give_the_reference_s_integers(which: str) -> None:
    done = run("tests.kernels.gpu.interpreted", which, TRITON_INTERPRET="1")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "90"])
def test_they_compile_for_a_gpu(capability: str, tmp_path: Path) -> None:
    done = run("tests.kernels.gpu.compiled_for", capability, TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == [
        "embed", "add_and_norm", "activate", "split_heads", "attend", "attend", "attend_step",
        "cumulate", "cumulate_whole",
    ]  # fmt: skip
    assert {root for _, _, *roots in lines for root in roots} == {"sqrt.rn.f64"}


class Following:
    """In place of a network: predicts of each lane its number and its token, and keeps what was fed together."""

    def __init__(self) -> None:
        self.steps: list[list[int]] = []
        self.begun, self.go_on = Event(), Event()

    def run(self, tokens: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
        self.steps.append(lanes.tolist())
        self.begun.set()
        assert self.go_on.wait(60)
        if (tokens == BROKEN).any():
            raise RuntimeError("out of memory")
        return torch.stack([lanes.int(), tokens[:, 0]], dim=1)


BROKEN = 99


@pytest.fixture
def following() -> Following:
    return Following()


def steps_of(following: Following, full: int) -> Steps:
    order = Order(torch.device("cpu"))
    return Steps(cast(Graphs, following), order, Copies(order), full)


def asked(lanes: list[int], token: int) -> Request:
    tokens = np.full(len(lanes), token, dtype=np.int32)
    return Request(tokens, np.array(lanes, dtype=np.int64), torch.zeros((len(lanes), 2), dtype=torch.int32))


def run_while_one_runs(steps: Steps, following: Following, requests: list[Request]) -> list[BaseException | None]:
    """Run the first; the others, one after the other, while it runs; then let it go on. What each of them raised."""
    with ThreadPoolExecutor(len(requests)) as pool:
        results = [pool.submit(steps.run, requests[0])]
        assert following.begun.wait(60)
        for number, request in enumerate(requests[1:], 1):
            results.append(pool.submit(steps.run, request))
            while len(steps._waiting) < number:
                time.sleep(0.001)
        following.go_on.set()
        return [result.exception(60) for result in results]


def test_whoever_comes_while_a_step_runs_goes_along_with_the_next(following: Following) -> None:
    requests = [asked([1, 2], 7), asked([3], 8), asked([5, 6, 4], 9), asked([8, 9], 5), asked([7], 6)]
    assert run_while_one_runs(steps_of(following, full=6), following, requests) == [None] * 5
    assert following.steps == [[1, 2], [3, 5, 6, 4, 8, 9], [7]]
    for request in requests:
        assert request.host[:, 0].tolist() == request.lanes.tolist()
        assert request.host[:, 1].tolist() == request.tokens.tolist()


def test_a_step_waits_for_the_one_before_the_last(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the device always has a step to go on with, and one at most."""
    done: list[str] = []

    class Told(Mark):
        def __init__(self, what: str) -> None:
            super().__init__(None)
            self._what = what

        def wait(self) -> None:
            done.append(self._what)

    steps = steps_of(following, full=6)
    following.go_on.set()
    for number in range(4):
        marks = (Told(f"computed {number}"), Told(f"arrived {number}"))
        monkeypatch.setattr(Copies, "hand_over", lambda *_, marks=marks: marks)
        steps.run(asked([1], 7))
        done.append("")
    expected = "arrived 0,,arrived 1,,computed 0,arrived 2,,computed 1,arrived 3,"
    assert ",".join(done) == expected


def test_all_that_go_along_are_told_of_an_error_and_nobody_else(following: Following) -> None:
    requests = [asked([1], 7), asked([2], BROKEN), asked([3], 8), asked([4, 5], 9)]
    errors = run_while_one_runs(steps_of(following, full=3), following, requests)
    assert [str(error) for error in errors] == ["None", "out of memory", "out of memory", "None"]


def test_graphs_have_room_and_waste_little() -> None:
    for lanes in range(1, 700):
        assert lanes <= graph_lanes(lanes) < 2 * lanes
        assert lanes <= FINE_FROM or graph_lanes(lanes) <= 1.5 * lanes
        assert graph_lanes(graph_lanes(lanes)) == graph_lanes(lanes)


def test_graphs_are_filled_up_with_the_spare_lane() -> None:
    order = Order(torch.device("cpu"))
    fed = []

    def forward(_memory: LaneMemory, tokens: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
        fed.append(lanes.tolist())
        return torch.cat([tokens.reshape(-1, 1), tokens.reshape(-1, 1) + 100], dim=1)

    graphs = Graphs(cast(Forward, forward), LaneMemory(shaped(), 4, order), order)
    for lanes in ([3, 4, 5, 9, 8], [2, 1, 7, 5, 3, 6], [1, 9, 8]):
        tokens = torch.arange(2 * len(lanes), dtype=torch.int32).view(-1, 2)
        whole = graphs.run(tokens, torch.tensor(lanes))
        assert whole.tolist() == [[token, token + 100] for token in range(tokens.numel())]
        second = torch.ones((tokens.numel(), 1), dtype=torch.int64)
        assert graphs.run(tokens, torch.tensor(lanes), second).equal(whole[:, 1:])
    assert fed[::2] == [[3, 4, 5, 9, 8, SPARE, SPARE, SPARE], [2, 1, 7, 5, 3, 6, SPARE, SPARE], [1, 9, 8, SPARE]]


def test_memory_grows_and_lanes_come_back() -> None:
    order = Order(torch.device("cpu"))
    memory = LaneMemory(shaped(), 4, order)
    first, second = memory.state(2), memory.state(3)
    assert sorted([*first.lanes, *second.lanes]) == [1, 2, 3, 4, 5]
    memory.keys[:, first.lanes], memory.positions[first.lanes] = 5, 3
    third = memory.state(40)
    assert len({*first.lanes, *second.lanes, *third.lanes, SPARE}) == 46
    assert (memory.keys[:, first.lanes] == 5).all()
    assert memory.positions.sum() == 6
    lanes, size = set(first.lanes.tolist()), len(memory.positions)
    del first
    assert lanes <= set(memory.state(size - 44).lanes.tolist())
    assert len(memory.positions) == size
    assert not memory.positions.any()
