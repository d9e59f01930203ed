"""Threads of compiled code that wait for each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from zipllm.jit.compiled import entry
from zipllm.jit.meeting import CAN_MEET, Share, cut, join, meet, new_table, open_table

pytestmark = pytest.mark.skipif(not CAN_MEET, reason="compiled threads do not wait for each other here")


def _sum_of_neighbors(number: int, table: NDArray[np.int64], met: NDArray[np.int64], numbers: NDArray[np.int64]) -> int:
    """Let each thread write one number and read all, again and again; returns how many sums were wrong."""
    share, wrong = join(number, table, met), 0
    for turn in range(200):
        numbers[share.number] = turn
        meet(share)
        total = 0
        for place in range(share.threads):
            total += numbers[place]
        wrong += total != turn * share.threads
        meet(share)
    return wrong


sum_of_neighbors = entry(_sum_of_neighbors)


def counted(number: int, table: NDArray[np.int64], numbers: NDArray[np.int64]) -> int:
    return sum_of_neighbors(number, table, np.zeros(1, dtype=np.int64), numbers)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_nobody_goes_on_before_all_have_come(threads: int) -> None:
    table, numbers = new_table(), np.zeros(threads, dtype=np.int64)
    with ThreadPoolExecutor(threads) as pool:
        wrong = [pool.submit(counted, number, table, numbers) for number in range(threads)]
        open_table(table, threads)
        assert [one.result(timeout=60) for one in wrong] == [0] * threads


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("total", "unit"), [(0, 16), (1, 16), (16, 16), (40, 16), (256, 16), (8192, 16), (3, 1), (4, 2)]
)
def test_shares_are_neighbors_and_whole_units(threads: int, total: int, unit: int) -> None:
    nothing = np.zeros(1, dtype=np.int64)
    plain = cut.py_func  # type: ignore[attr-defined]  # a part of compiled code cannot be called from Python
    edges = [plain(Share(number, threads, nothing, nothing), total, unit) for number in range(threads)]
    assert edges[0][0] == 0
    assert edges[-1][1] == total
    assert [end for _, end in edges[:-1]] == [begin for begin, _ in edges[1:]]
    assert all(begin % unit == 0 and begin <= end for begin, end in edges)
