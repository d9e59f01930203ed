"""What this machine has to compute with: its threads, and perhaps a GPU; torch is imported only to ask for that."""

import ctypes
import os
import platform
import re
import sys
from functools import lru_cache
from pathlib import Path

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def choose_threads(count: int) -> None:
    """Use ``count`` threads from now on: the kernels, and by environment variables what is loaded later, like torch."""
    for name in _VARIABLES:
        os.environ[name] = str(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def threads() -> int:
    """Return how many threads the kernels use: as ``OMP_NUM_THREADS`` says, or one for each core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else cores()


@lru_cache(maxsize=1)
def cores() -> int:
    """Return how many cores this process may use; two threads of a core share its units and count once."""
    try:
        usable = os.sched_getaffinity(0)
        return len({Path(_SIBLINGS.format(number)).read_text(encoding="ascii") for number in usable})
    except (AttributeError, OSError):
        return os.cpu_count() or 1


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
