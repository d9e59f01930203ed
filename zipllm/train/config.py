"""Everything that decides a training run, as one frozen dataclass."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run. A run ends at the first budget that is reached.

    Attributes:
        minutes: wall-clock budget; the learning rate falls to zero at its end. 0 = no time budget.
        steps: budget in optimiser steps. 0 = no step budget.
        sequence: tokens in a training window.
        batch: windows per step.
        matrix_lr: Muon's rate for the matrices inside the blocks.
        embedding_lr: AdamW's rate for the input embedding (and the output, when tied).
        head_lr: AdamW's rate for the output matrix.
        scalar_lr: AdamW's rate for attention scales and position biases.
        weight_decay: decoupled decay of the matrices inside the blocks.
        warmup: fraction of the budget over which the rate rises from zero.
        cooldown: fraction of the budget over which it falls to zero.
        clip: largest gradient norm.
        seed: initial weights and order of windows.
        precision: ``bf16`` runs the products in bfloat16, ``float32`` everything in float32; ``auto``
            takes bf16 where the device has it.
        compile: ``auto`` uses ``torch.compile`` and goes on without it where it does not work.
        evaluate_every: minutes between evaluations.
        save_every: minutes between checkpoints.

    Raises:
        ValueError: a value out of range; the message names the field.
    """

    minutes: float = 0.0
    steps: int = 0
    sequence: int = 512
    batch: int = 16
    matrix_lr: float = 0.015
    embedding_lr: float = 0.02
    head_lr: float = 0.003
    scalar_lr: float = 0.01
    weight_decay: float = 0.02
    warmup: float = 0.01
    cooldown: float = 0.6
    clip: float = 1.0
    seed: int = 0
    precision: Literal["auto", "bf16", "float32"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    evaluate_every: float = 10.0
    save_every: float = 5.0

    def __post_init__(self) -> None:
        if not (self.minutes > 0 or self.steps > 0):
            raise ValueError("a budget is needed: minutes or steps must be above zero")
        for name in ("sequence", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("minutes", "steps", "weight_decay", "seed", "evaluate_every", "save_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("matrix_lr", "embedding_lr", "head_lr", "scalar_lr", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above zero, not {getattr(self, name)}")
        if not (0 <= self.warmup <= 1 and 0 <= self.cooldown <= 1):
            raise ValueError("warmup and cooldown are fractions of the budget, 0 to 1")

    def progress(self, steps: int, seconds: float) -> float:
        """Fraction of the budget used, 0 to 1: the larger of its step part and its time part."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def rate(self, progress: float) -> float:
        """Learning-rate factor at ``progress``: linear rise, constant, linear fall to zero (trapezoid)."""
        rise = progress / self.warmup if self.warmup else 1.0
        fall = (1 - progress) / self.cooldown if self.cooldown else 1.0
        return max(0.0, min(1.0, rise, fall))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form; ``TrainConfig(**d)`` restores it."""
        return asdict(self)
