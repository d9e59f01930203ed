"""How fast a training step is, as configured and in eager float32.

Two runs of the same network on the same windows: as ``zipllm train`` is configured (bfloat16 where the machine has it,
``torch.compile`` where it proves faster), and in eager float32. A step is the trainer's own, with reading windows and
the optimizers. The first steps do not count; the median of the rest does, so that a busy moment changes nothing.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.row import Row, Settings
from zipllm.data.windows import TokenSource
from zipllm.model.architecture import preset
from zipllm.train.compiler import decide_compiler
from zipllm.train.config import TrainConfig
from zipllm.train.distributed import Group
from zipllm.train.trainer import Trainer

VARIANTS: dict[str, dict[str, Any]] = {
    "as configured": {"precision": "auto", "compile": "auto"},
    "eager float32": {"precision": "float32", "compile": "off"},
}


VOCABULARY, WARMUP = 8192, 3
"""Tokens in the vocabulary, and first steps that do not count."""


class StepClock:
    """Reads the time between steps, when the trainer asks whether to stop.

    Args:
        device: to wait for, so that a step has really been taken.
        seconds: to train for after the warm-up.
    """

    def __init__(self, device: str, seconds: float) -> None:
        self._device, self._seconds = device, seconds
        self.times: dict[int, float] = {}
        self.trainer: Trainer

    def __call__(self) -> bool:
        if self._device == "cuda":
            torch.cuda.synchronize()
        now = self.times.setdefault(self.trainer.state.step, time.perf_counter())
        begin = self.times.get(WARMUP)
        return begin is not None and now > begin and now - begin >= self._seconds

    def steps(self) -> list[float]:
        """Return the seconds of every step, with the warm-up."""
        times = [self.times[step] for step in sorted(self.times)]
        return [after - before for before, after in itertools.pairwise(times)]


def training(settings: Settings) -> Iterator[Row]:
    for name in VARIANTS:
        yield measure(name, settings)


def measure(variant: str, settings: Settings) -> Row:
    """Train on random tokens for a while; their values make no difference to the time."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 1_000_000 + TrainConfig.sequence).astype(np.uint16)
    endless: dict[str, Any] = {"steps": 1 << 40, "evaluate_every": 1e9, "save_every": 1e9}
    config = TrainConfig(**endless, **VARIANTS[variant])
    clock = StepClock(settings.device, settings.seconds)
    with tempfile.TemporaryDirectory(prefix="zipllm-speed-") as folder:
        clock.trainer = Trainer(
            Path(folder),
            preset(settings.preset, VOCABULARY),
            config,
            [TokenSource("random", tokens, 1.0)],
            [],
            np.ones(VOCABULARY, dtype=np.int64),
            group=Group(device=settings.device),
        )
        decide_compiler(clock.trainer, lambda text: print(text, file=sys.stderr))
        clock.trainer.train(lambda report: None, clock)
    steps = clock.steps()
    median = statistics.median(steps[WARMUP:])
    rate = config.batch * config.sequence / median
    return {
        "what": variant,
        "raw_bytes": 0,
        **VARIANTS[variant],
        "tokens_per_second": rate,
        "note": f"{rate:,.0f} tokens/s",
        "seconds": median,
        "steps": len(steps) - WARMUP,
        "warmup_seconds": sum(steps[:WARMUP]),
        "preset": settings.preset,
        "vocabulary": VOCABULARY,
        "sequence": config.sequence,
        "batch": config.batch,
        "device": torch.cuda.get_device_name() if settings.device == "cuda" else "cpu",
    }
