"""On what a benchmark ran: machine, versions, command, date. No user names, no paths."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import zipllm
from zipllm.machine import processor_name

_PACKAGES = ("torch", "numpy", "numba", "constriction", "zstandard", "brotli", "pyppmd", "lz4")


def environment(arguments: Sequence[str], threads: int = 0, program: str = "zipllm bench") -> dict[str, Any]:
    """Describe this machine and run.

    Args:
        arguments: of the command; of paths only the last part is kept.
        threads: given to the codecs; 0 is the libraries' own choice.
        program: that was given the arguments.
    """
    return {
        "zipllm": zipllm.__version__,
        "git_commit": _git_commit(),
        "cpu": processor_name(),
        "cores": _cores(),
        "threads": threads or _cores(),
        "gpu": _gpu(),
        "memory": _memory(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "command": " ".join([program, *map(_without_folder, arguments)]),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _without_folder(argument: str) -> str:
    """Where the files lie on this machine is nobody's business."""
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    if not os.path.isabs(value) and ".." not in value:
        return argument
    return option + equals + os.path.basename(value.rstrip("/"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _gpu() -> str:
    """From the driver: importing torch only for its name would take seconds."""
    names = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    return names[0] if names else ""


def _git_commit() -> str:
    """The commit of the checkout that runs, marked ``+`` if it has changes; empty when installed."""
    root = Path(zipllm.__file__).parents[1]
    if not (root / ".git").exists():
        return ""
    commit = _output(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"])
    changed = _output(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "--", "zipllm"])
    return commit + ("+" if commit and changed else "")


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
