"""How fast a training step is, beside the plain way of taking it: python benchmarks/train_speed.py --json speed.jsonl.

Two runs of the same network on the same windows: as ``zipllm train`` is configured (bfloat16 where the machine has it,
``torch.compile`` where it is measured to be faster), and in eager float32. Steps are those of the trainer itself,
reading windows and the optimizers included. The first ones are not counted but shown. The median of the rest decides,
so that a busy moment does not; a machine that is busy all the time makes every number too small.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zipllm.bench.environment import environment
from zipllm.data.windows import TokenSource
from zipllm.model.presets import preset
from zipllm.train.compiler import decide_compiler
from zipllm.train.config import TrainConfig
from zipllm.train.distributed import Group
from zipllm.train.trainer import Trainer

VARIANTS = {
    "as configured": {"precision": "auto", "compile": "auto"},
    "eager float32": {"precision": "float32", "compile": "off"},
}


class StepClock:
    """Reads the time between steps, when the trainer asks whether to stop.

    Args:
        device: waited for, so that a step has really been taken.
        warmup: steps that are not counted.
        seconds: to go on after them.
    """

    def __init__(self, device: str, warmup: int, seconds: float) -> None:
        self._device, self._warmup, self._seconds = device, warmup, seconds
        self.times: dict[int, float] = {}
        self.trainer: Trainer

    def __call__(self) -> bool:
        if self._device == "cuda":
            torch.cuda.synchronize()
        now = self.times.setdefault(self.trainer.state.step, time.perf_counter())
        begin = self.times.get(self._warmup)
        return begin is not None and now > begin and now - begin >= self._seconds

    def steps(self) -> list[float]:
        """Seconds of every step, the uncounted ones first."""
        times = [self.times[step] for step in sorted(self.times)]
        return [after - before for before, after in itertools.pairwise(times)]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads or os.cpu_count() or 1)
    print(f"{'':15} {'tokens/s':>10} {'s/step':>8} {'steps':>6} {'first steps, s':>15}")
    rows = []
    for name in VARIANTS:
        row = measure(name, arguments)
        rows.append(row)
        head = f"{row['variant']:15} {row['tokens_per_second']:>10,.0f} {row['seconds_per_step']:>8.3f}"
        print(f"{head} {row['steps']:>6} {row['warmup_seconds']:>15.1f}", flush=True)
        if arguments.json:
            with arguments.json.open("a", encoding="utf-8") as sink:
                sink.write(json.dumps(row) + "\n")
    print(f"{rows[0]['tokens_per_second'] / rows[1]['tokens_per_second']:.2f} times as fast as configured")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--sequence", type=int, default=TrainConfig.sequence)
    parser.add_argument("--batch", type=int, default=TrainConfig.batch)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run, after the first steps")
    parser.add_argument("--warmup", type=int, default=3, help="steps not counted")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, help="rows are added to it as JSON lines")
    return parser.parse_args()


def measure(variant: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on random tokens for a while; what they are makes no difference to the time."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, arguments.vocabulary, 1_000_000 + arguments.sequence).astype(np.uint16)
    endless: dict[str, Any] = {"steps": 1 << 40, "evaluate_every": 1e9, "save_every": 1e9}
    shape = {"sequence": arguments.sequence, "batch": arguments.batch}
    config = TrainConfig(**shape, **endless, **VARIANTS[variant])  # type: ignore[arg-type]
    clock = StepClock(arguments.device, arguments.warmup, arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="zipllm-speed-") as folder:
        clock.trainer = Trainer(
            Path(folder),
            preset(arguments.preset, arguments.vocabulary),
            config,
            [TokenSource("random", tokens, 1.0)],
            [],
            np.ones(arguments.vocabulary, dtype=np.int64),
            group=Group(device=arguments.device),
        )
        decide_compiler(clock.trainer, lambda text: print(text, file=sys.stderr))
        clock.trainer.train(lambda report: None, clock)
    steps = clock.steps()
    median = statistics.median(steps[arguments.warmup :])
    return {
        "variant": variant,
        **VARIANTS[variant],
        "tokens_per_second": arguments.batch * arguments.sequence / median,
        "seconds_per_step": median,
        "steps": len(steps) - arguments.warmup,
        "warmup_seconds": sum(steps[: arguments.warmup]),
        "preset": arguments.preset,
        "vocabulary": arguments.vocabulary,
        **shape,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "environment": environment(sys.argv[1:], arguments.threads, "python benchmarks/train_speed.py"),
    }


if __name__ == "__main__":
    main()
