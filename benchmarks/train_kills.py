"""Kills ``zipllm train`` at random moments, resumes it, and compares the model with that of a run nothing stopped.

    python -m benchmarks.train_kills --kills 200

Not part of the suite: each kill takes a second or two. Children are forks of one process that has imported torch.
"""

import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

LINES = b"".join(b"2026-11-22 10:%02d:00 INFO request %d served\n" % (n % 60, n * 7919 % 1000) for n in range(1500))
SETTINGS = (
    "train", "server.log", "--run", "run", "--steps", "40", "--preset", "nano", "--vocabulary", "300", "-T", "1", "-q",
    "--precision", "float32", "--compile", "off", "--set", "train.batch=4", "--set", "train.sequence=32",
    "--set", "model.layers=1", "--set", "model.width=32", "--set", "model.heads=1", "--set", "model.feedforward=32",
    "--set", "model.window=16", "--set", "train.evaluations=5",
)  # fmt: skip
MOST_KILLS = 6
"""Kills of one run; after them it may end."""


def start(folder: Path, arguments: tuple[str, ...]) -> int:
    """Run the command line in a fork and return its process id."""
    child = os.fork()
    if child:
        return child
    from zipllm.cli.app import run
    from zipllm.files.signals import exit_on_signals

    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    exit_on_signals()
    os._exit(run(list(arguments)))


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def moment(run: Path) -> str:
    """Name what a run was doing when it was killed."""
    if (run / "model.safetensors").exists():
        return "after the export"
    if not (run / "data.json").exists():
        return "preparing"
    steps = sorted(path.name for path in run.glob("step-*"))
    return "before the first step" if not steps else "at the end" if steps[-1] == "step-000040" else "training"


def kill_one_run(chance: random.Random, seconds: float, whole: bytes, seen: collections.Counter[str]) -> None:
    """Kill a run several times and count what happens."""
    from zipllm.model_file.file import load_model_file

    with tempfile.TemporaryDirectory() as name:
        folder, run = Path(name), Path(name, "run")
        (folder / "server.log").write_bytes(LINES)
        save = ("--set", f"train.save_every={chance.choice(['0.0', '1000.0'])}")
        for number in range(MOST_KILLS + 1):
            resume = ("--resume",) if list(run.glob("step-*")) or (run / "data.json").exists() else ()
            child = start(folder, (*SETTINGS, *save, *resume))
            how = chance.choice([signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT])
            if number < MOST_KILLS:
                time.sleep(chance.uniform(0, seconds))
                os.kill(child, how)
            code = wait(child)
            if code == 0:
                break
            seen["kills"] += 1
            seen[f"killed {moment(run)}"] += 1
            if code not in (-how, 128 + how):
                seen["WRONG: other ends"] += 1
                print((folder / "log").read_text()[-500:], file=sys.stderr)
                return
        seen["runs"] += 1
        if load_model_file(run / "model.safetensors").model_id != whole:
            seen["WRONG: other models"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an exception in a fork would run the clean-up of this process
    import torch

    import zipllm.train.run  # noqa: F401  # once for all children
    from zipllm.model_file.file import load_model_file

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "server.log").write_bytes(LINES)
        times = []
        for again in ("run", "again"):
            clock = time.monotonic()
            assert wait(start(folder, (*SETTINGS, "--run", again))) == 0, (folder / "log").read_text()
            times.append(time.monotonic() - clock)
        ids = [load_model_file(folder / again / "model.safetensors").model_id for again in ("run", "again")]
        assert ids[0] == ids[1], "two runs that nothing stopped differ"
    chance, seen = random.Random(options.seed), collections.Counter[str]()
    while seen["kills"] < options.kills and seen["WRONG: other ends"] < 5:
        kill_one_run(chance, min(times), ids[0], seen)
        print(dict(seen), file=sys.stderr, flush=True)
    print("\n".join(f"{count:6} {what}" for what, count in sorted(seen.items())))
    sys.exit(any(what.startswith("WRONG") for what in seen))


if __name__ == "__main__":
    main()
