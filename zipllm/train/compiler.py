"""Measures whether ``torch.compile`` makes training faster on this machine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zipllm.errors import UsageError
from zipllm.train.loss import WindowLoss
from zipllm.train.trainer import Trainer

COMPILE_FROM_SECONDS = 150.0
"""A run expected to be shorter does not try ``torch.compile``, which takes from half a minute to a minute."""
_PROBES = 3


@dataclass(frozen=True)
class Probe:
    """Seconds of one pass, the best of three (infinite if the compiler fails), and of compiling."""

    plain: float
    compiled: float = math.inf
    compiling: float = 0.0
    problem: str = ""


def decide_compiler(trainer: Trainer, note: Callable[[str], None]) -> None:
    """Settle whether a trainer uses ``torch.compile``: as configured, as before where it still works, or as measured.

    Raises:
        UsageError: the settings ask for it, and it does not work here.
    """
    wanted, before = trainer.config.compile, trainer.state.compiled
    by_clock = wanted == "auto" and before is None
    if wanted == "off" or (wanted == "auto" and before is False) or (by_clock and trainer.config.deterministic):
        trainer.use_compiler(False)
        return
    windows, probe = trainer.example(), Probe(math.inf)
    with trainer.autocast():
        if by_clock:
            probe = time_plain(trainer.loss, windows)
            expected = trainer.group.largest(expected_seconds(trainer, probe.plain * trainer.config.accumulate))[0]
            if expected < COMPILE_FROM_SECONDS:
                trainer.use_compiler(False)
                return
        probe = time_compiled(trainer.loss, windows, probe)
    broken, wins = trainer.group.largest(bool(probe.problem), trainer.group.leads and probe.compiled < probe.plain)
    if broken and wanted == "on":
        raise UsageError(f"torch.compile does not work here; --compile off trains without it ({probe.problem})")
    trainer.use_compiler(bool(wins and not broken))
    if trainer.group.leads and (by_clock or broken):
        note(_about(probe))


def expected_seconds(trainer: Trainer, step_seconds: float) -> float:
    """Return how long the rest of the budget takes, in seconds."""
    config, state = trainer.config, trainer.state
    tokens_a_step = config.batch * config.sequence
    bounds = [
        60 * config.minutes - state.seconds if config.minutes else np.inf,
        (config.steps - state.step) * step_seconds if config.steps else np.inf,
        (config.tokens - state.tokens) / tokens_a_step * step_seconds if config.tokens else np.inf,
    ]
    return float(min(bounds))


def _about(probe: Probe) -> str:
    if probe.problem:
        return f"torch.compile does not work here, training goes on without it ({probe.problem})"
    verdict = "used" if probe.compiled < probe.plain else "not used"
    times = f"{probe.compiled:.2f} s a pass, {probe.plain:.2f} s without, {probe.compiling:.0f} s once"
    return f"torch.compile: {times}: {verdict}"


def time_plain(loss: WindowLoss, windows: Tensor) -> Probe:
    """Measure the plain form on a batch; weights and gradients stay as they are."""
    loss.use_compiler(False)
    return Probe(_best_time(loss, windows))


def time_compiled(loss: WindowLoss, windows: Tensor, probe: Probe) -> Probe:
    """Measure the compiled form as well, and leave ``loss`` in the faster form."""
    loss.use_compiler(True)
    clock = time.perf_counter()
    try:
        _pass(loss, windows)
        compiling = time.perf_counter() - clock
        compiled = _best_time(loss, windows)
    except Exception as error:  # the compiler raises whatever its many parts raise; plain training is always there
        loss.use_compiler(False)
        return Probe(probe.plain, problem=f"{type(error).__name__}: {error}".splitlines()[0])
    loss.use_compiler(compiled < probe.plain)
    return Probe(probe.plain, compiled, compiling)


def _best_time(loss: WindowLoss, windows: Tensor) -> float:
    _pass(loss, windows)
    times = []
    for _ in range(_PROBES):
        clock = time.perf_counter()
        _pass(loss, windows)
        times.append(time.perf_counter() - clock)
    return min(times)


def _pass(loss: WindowLoss, windows: Tensor) -> None:
    (loss(windows).sum() / windows.numel()).backward()
    loss.zero_grad(set_to_none=True)
    if windows.is_cuda:
        torch.cuda.synchronize()
