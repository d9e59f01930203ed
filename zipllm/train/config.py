"""The settings of a training run."""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin, get_type_hints

Precision = Literal["auto", "bf16", "float32"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run, which ends at the first budget that it reaches; 0 = no such budget.

    Attributes:
        minutes: wall-clock budget.
        steps: budget in optimizer steps.
        tokens: budget in tokens trained on.
        patience: evaluations in a row without a better result after which the run ends. 0 = never.
        sequence: tokens in a training window.
        batch: windows per step, over all processes.
        accumulate: parts of a batch, computed one after the other to save memory.
        matrix_lr: Muon's rate for the matrices inside the blocks.
        embedding_lr: AdamW's rate for the input embedding (and the output, when tied).
        head_lr: AdamW's rate for the output matrix.
        scalar_lr: AdamW's rate for attention scales and position biases.
        weight_decay: decoupled decay of the matrices inside the blocks.
        warmup: fraction of the budget over which the rate rises from zero.
        cooldown: fraction of the budget over which it falls to zero.
        rounding: fraction of the budget, at its end, with the rounding of the integer form.
        clip: largest gradient norm.
        seed: initial weights and order of windows.
        precision: number format of the products; ``auto`` takes bf16 where the device has it.
        compile: ``auto`` measures ``torch.compile`` on a long run and keeps it if it is faster.
        shard: under torchrun, keep only a part of weights and optimizer state in each process (FSDP2 instead of DDP),
            which is slower, for models that fill the memory.
        deterministic: refuse operations whose result may differ between runs (slower on a GPU), and measured choices.
        evaluate_every: minutes between evaluations under a budget of minutes; 0 = at every report.
        evaluations: their number under any other budget, at equal distances.
        save_every: minutes between checkpoints.

    Raises:
        ValueError: a value out of range; the message names the field.
    """

    minutes: float = 0.0
    steps: int = 0
    tokens: int = 0
    patience: int = 0
    sequence: int = 512
    batch: int = 16
    accumulate: int = 1
    matrix_lr: float = 0.015
    embedding_lr: float = 0.02
    head_lr: float = 0.003
    scalar_lr: float = 0.01
    weight_decay: float = 0.02
    warmup: float = 0.01
    cooldown: float = 0.6
    rounding: float = 0.1
    clip: float = 1.0
    seed: int = 0
    precision: Precision = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    shard: bool = False
    deterministic: bool = False
    evaluate_every: float = 1.0
    evaluations: int = 20
    save_every: float = 5.0

    def __post_init__(self) -> None:
        check_types(self)
        if not (self.minutes > 0 or self.steps > 0 or self.tokens > 0):
            raise ValueError("a budget is needed: minutes, steps or tokens must be above zero")
        self._check_at_least(1, "sequence", "batch", "accumulate", "evaluations")
        self._check_at_least(0, "minutes", "steps", "tokens", "patience", "weight_decay", "seed")
        self._check_at_least(0, "evaluate_every", "save_every")
        for name in ("matrix_lr", "embedding_lr", "head_lr", "scalar_lr", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above zero, not {getattr(self, name)}")
        for name in ("warmup", "cooldown", "rounding"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a fraction of the budget, 0 to 1, not {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise ValueError(f"batch ({self.batch}) must be a multiple of accumulate ({self.accumulate})")

    def _check_at_least(self, least: int, *names: str) -> None:
        for name in names:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")

    def progress(self, steps: int, tokens: int, seconds: float) -> float:
        """Fraction of the budget used, 0 to 1: the largest of its parts in steps, tokens and time."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_tokens = tokens / self.tokens if self.tokens else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_tokens, by_time))

    def rate(self, progress: float) -> float:
        """Learning-rate factor at ``progress``: linear rise, constant, linear fall to zero (trapezoid)."""
        rise = progress / self.warmup if self.warmup else 1.0
        fall = (1 - progress) / self.cooldown if self.cooldown else 1.0
        return max(0.0, min(1.0, rise, fall))


def check_types(instance: object) -> None:
    """Refuse field values of another than their declared type, with ``ValueError``; an int may stand for a float."""
    hints = get_type_hints(type(instance))
    for name in (field.name for field in fields(instance)):  # type: ignore[arg-type]
        value, wanted = getattr(instance, name), hints[name]
        if get_origin(wanted) is Literal:
            if value not in get_args(wanted):
                raise ValueError(f"{name} must be one of {', '.join(get_args(wanted))}, not {value!r}")
        elif wanted is float and type(value) in (int, float):
            if not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, not {value!r}")
        elif wanted in (bool, int, float, str) and type(value) is not wanted:
            words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
            raise ValueError(f"{name} must be {words[wanted]}, not {value!r}")
