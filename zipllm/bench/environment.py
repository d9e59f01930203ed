"""Machine, versions, command and date of a run, without user names and paths."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import zipllm
from zipllm.files.names import escape_name
from zipllm.machine import processor_name

_PACKAGES = ("torch", "numpy", "numba", "constriction", "zstandard", "brotli", "pyppmd", "lz4")


def environment(arguments: Sequence[str], threads: int = 0, program: str = "zipllm bench") -> dict[str, Any]:
    """Describe this machine and run.

    Args:
        arguments: of the command; only the last part of a path is kept.
        threads: given to the codecs; 0 leaves the number to the libraries.
        program: the command that has the arguments.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "zipllm": zipllm.__version__,
        "git_commit": _git_commit(),
        "cpu": processor_name(),
        "cores": cores,
        "threads": threads or cores,
        "gpu": _gpu(),
        "memory": _memory(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
        "command": command_line(program, arguments),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def command_line(program: str, arguments: Sequence[str]) -> str:
    """Return a command as one line, without the folders of this machine."""
    return escape_name(" ".join([program, *map(_without_folder, arguments)]))


def _without_folder(argument: str) -> str:
    """Return an argument without the folders of this machine."""
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    if not os.path.isabs(value) and ".." not in value:
        return argument
    return option + equals + os.path.basename(value.rstrip("/"))


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _gpu() -> str:
    """Return the GPU's name from the driver; importing torch for it would take seconds."""
    names = _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).splitlines()
    return names[0] if names else ""


def _git_commit() -> str:
    """Return the commit of this checkout, with ``+`` if it has changes; empty for an installed package."""
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
