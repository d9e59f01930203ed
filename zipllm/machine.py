"""What this machine has to compute with: its threads, and perhaps a GPU; torch is imported only to ask for that."""

import ctypes
import os
import platform
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Thread, main_thread

MOST_THREADS = 256
"""Upper limit; more only cost memory."""

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def choose_threads(count: int) -> None:
    """Use ``count`` threads from now on: the kernels, and by environment variables what is loaded later, like torch."""
    count = min(count, MOST_THREADS)
    for name in _VARIABLES:
        os.environ[name] = str(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def threads() -> int:
    """Return how many threads to use, everywhere in zipllm: as ``OMP_NUM_THREADS`` says, or one for each core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min((int(wanted) if wanted.isdecimal() else 0) or cores(), MOST_THREADS)


def start_thread(work: Callable[[], object]) -> Thread | None:
    """Start ``work`` in a daemon thread; return None if the system gives no thread, or the program is ending.

    Threads are a speed-up: a caller that gets none does the work itself.
    """
    if not main_thread().is_alive():
        return None
    thread = Thread(target=work, name="zipllm", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


@lru_cache(maxsize=1)
def cores() -> int:
    """Return how many cores this process may use, by its affinity and its container's quota of processor time.

    Two threads of a core share its units and count once.
    """
    try:
        usable = os.sched_getaffinity(0)
        found = len({Path(_SIBLINGS.format(number)).read_text(encoding="ascii") for number in usable})
    except (AttributeError, OSError):
        found = os.cpu_count() or 1
    return min(found, _quota() or found)


def _quota() -> int:
    """Return the processors that a Linux control group grants, rounded up; 0 if it sets no limit."""
    try:
        quota, period = _CPU_QUOTA.read_text(encoding="ascii").split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):
        return 0


def best_device() -> str:
    """Return ``cuda`` where torch can use a GPU, else ``cpu``; torch is asked only if there may be one."""
    if not _has_gpu_driver():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_gpu_driver() -> bool:
    """Whether NVIDIA's or AMD's driver is there; yes where nobody knows."""
    if sys.platform != "linux" or os.path.exists("/dev/kfd"):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def processor_name() -> str:
    """Return it as the system tells it, or the kind of processor."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
