"""Runs one fuzz target for some minutes.

    python -m tests.fuzz.run header --minutes 10

Coverage guides the search where atheris is installed; elsewhere, or with ``--plain``, seeds are changed at random. An
input that breaks a promise is written to the working folder; put it into ``tests/fuzz/cases/TARGET/`` once it is
understood, and the test suite will try it for ever.
"""

import argparse
import hashlib
import importlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import zipllm

COMPILED = ("kernels", "coder", "media", "mixing")
"""Folders whose functions numba compiles; it cannot take what atheris puts in for counting coverage."""

LONGEST_INPUT = 4096


def main() -> None:
    """Run the target that the arguments name."""
    parser = argparse.ArgumentParser(description="Run one fuzz target of zipllm.")
    parser.add_argument("target", help="a file of tests/fuzz: header, block, damage, model_file, ...")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: threads would only wait for each other
    atheris = None if arguments.plain else _atheris()
    if atheris is None:
        _plain(arguments.target, arguments.minutes * 60, arguments.seed)
    else:
        _guided(atheris, arguments.target, arguments.minutes * 60, arguments.seed)


def _atheris() -> ModuleType | None:
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def _compiled_modules() -> list[str]:
    package = Path(zipllm.__file__).parent
    return [f"zipllm.{folder}.{path.stem}" for folder in COMPILED for path in package.joinpath(folder).glob("*.py")]


def _guided(atheris: ModuleType, name: str, seconds: float, seed: int) -> None:
    """LibFuzzer ends the process itself, after printing the number of executions."""
    with atheris.instrument_imports(include=["zipllm"], exclude=_compiled_modules()):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    for number, data in enumerate(target.seeds()):
        Path(corpus, f"seed-{number}").write_bytes(data)
    options = [
        f"-max_total_time={int(seconds)}",
        f"-max_len={LONGEST_INPUT}",
        f"-seed={seed}",
        f"-artifact_prefix={os.getcwd()}/{name}-",
        "-timeout=1200",  # by the clock on the wall: on a busy machine a process may wait for minutes
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, corpus], target.run)
    atheris.Fuzz()


def _plain(name: str, seconds: float, seed: int) -> None:
    from tests.fuzz.feed import Feed, edited
    from tests.fuzz.targets import TARGETS

    target, source = TARGETS[name], random.Random(seed)
    seeds = list(target.seeds())
    executions, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = (
            seeds[executions] if executions < len(seeds) else edited(source.choice(seeds), Feed(source.randbytes(64)))
        )
        try:
            target.run(data)
        except Exception:
            path = Path(f"{name}-crash-{hashlib.sha256(data).hexdigest()[:16]}")
            path.write_bytes(data)
            sys.stderr.write(f"{path}: this input breaks a promise, after {executions} others\n")
            raise
        executions += 1
    sys.stdout.write(f"{name}: {executions} executions in {seconds:.0f} seconds, no finding\n")


if __name__ == "__main__":
    main()
