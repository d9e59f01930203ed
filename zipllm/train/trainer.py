"""The training loop: windows in, checkpoints and a log of bits per byte out."""

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zipllm.data.windows import TokenSource, WindowSampler
from zipllm.errors import FileError, UsageError
from zipllm.model.config import ModelConfig
from zipllm.model.transformer import Transformer
from zipllm.train.checkpoint import TrainState, checkpoints, load_model, load_optimisers, save_checkpoint
from zipllm.train.config import TrainConfig
from zipllm.train.optim import make_optimisers, scale_learning_rates

LOSS_CHUNKS = 4
"""The logits of a batch are made in this many pieces, so that they never exist all at once."""
REPORT_STEPS = 16
"""Steps summed up in one report."""
_EVALUATION_BATCHES = 1
_BITS_PER_NAT = 1 / math.log(2)


@dataclass(frozen=True)
class Report:
    """What the run has to say now; handed to the ``report`` callback and written to ``metrics.jsonl``.

    Attributes:
        step: optimiser steps taken.
        progress: fraction of the budget used.
        tokens: token ids trained on.
        seconds: wall-clock time spent.
        train_bpb: mean bits per byte of the steps since the last report.
        tokens_per_second: over the same steps.
        valid_bpb: bits per byte by validation source; empty between evaluations.
    """

    step: int
    progress: float
    tokens: int
    seconds: float
    train_bpb: float
    tokens_per_second: float
    valid_bpb: dict[str, float] = field(default_factory=dict)


class Trainer:
    """One run in one folder.

    Args:
        run: folder for checkpoints and ``metrics.jsonl``.
        model_config: shape of the network.
        config: budgets, rates, precision.
        sources: training tokens.
        valid: validation tokens; never trained on.
        token_bytes: length in bytes of every token id ``[vocabulary_size]``.
        device: where to train.
        resume: continue from the newest checkpoint in ``run`` when there is one.

    Raises:
        UsageError: the data does not suffice for one window.
        FileError: a checkpoint cannot be read.
    """

    def __init__(
        self,
        run: Path,
        model_config: ModelConfig,
        config: TrainConfig,
        sources: Sequence[TokenSource],
        valid: Sequence[TokenSource],
        token_bytes: NDArray[np.int64],
        *,
        device: str = "cpu",
        resume: bool = False,
    ) -> None:
        self.run = run
        self.config = config
        self.device = torch.device(device)
        self._token_bytes = torch.from_numpy(token_bytes)
        self._valid = [source for source in valid if len(source.tokens) >= config.sequence]
        try:
            self._sampler = WindowSampler(sources, config.sequence, config.seed)
        except ValueError as error:
            raise UsageError(str(error)) from error
        torch.manual_seed(config.seed)
        newest = checkpoints(run)[-1:] if resume else []
        model, self.state = (
            load_model(newest[0]) if newest else (Transformer(model_config), TrainState(0, 0, 0.0, [0] * len(sources)))
        )
        if model.config != model_config:
            raise UsageError(f"{newest[0]} holds a model of another shape; choose another run folder")
        self.model = model.to(self.device)
        self._optimisers = make_optimisers(
            self.model,
            matrix_lr=config.matrix_lr,
            embedding_lr=config.embedding_lr,
            head_lr=config.head_lr,
            scalar_lr=config.scalar_lr,
            weight_decay=config.weight_decay,
        )
        if newest:
            load_optimisers(newest[0], self._optimisers)
            self._sampler.position = self.state.position
        self._loss = _compiled(self.model, config)

    def train(self, report: Callable[[Report], None], should_stop: Callable[[], bool] = lambda: False) -> TrainState:
        """Run until the budget is used or ``should_stop`` says so, saving and evaluating on the way.

        Args:
            report: called with every summary.
            should_stop: asked between steps; the state is saved before the method returns.

        Raises:
            UsageError: the loss is no longer a finite number.
            FileError: a checkpoint or the log cannot be written.
        """
        last_save = last_evaluation = self.state.seconds
        while not self._finished and not should_stop():
            summary = self._steps(REPORT_STEPS, should_stop)
            if self.state.seconds - last_evaluation >= 60 * self.config.evaluate_every:
                summary = replace(summary, valid_bpb=self.evaluate())
                last_evaluation = self.state.seconds
            self._log(summary)
            report(summary)
            if self.state.seconds - last_save >= 60 * self.config.save_every:
                self.save()
                last_save = self.state.seconds
        self.save()
        return self.state

    def evaluate(self) -> dict[str, float]:
        """Bits per byte of evenly spaced validation windows, by source, each window starting without context."""
        bpb = {}
        for source in self._valid:
            grid = len(source.tokens) // self.config.sequence
            wanted = min(grid, _EVALUATION_BATCHES * self.config.batch)
            starts = np.linspace(0, grid - 1, wanted).astype(np.int64) * self.config.sequence
            windows = np.stack([source.tokens[s : s + self.config.sequence].astype(np.int64) for s in starts])
            nats = bytes_seen = 0.0
            for part in np.array_split(windows, max(1, math.ceil(wanted / self.config.batch))):
                padded = np.concatenate([part, np.repeat(part[:1], self.config.batch - len(part), axis=0)])
                targets = torch.from_numpy(padded).to(self.device)
                with self._autocast():
                    each = self._loss(self._inputs(targets), targets).detach()
                nats += float(each[: len(part)].double().sum())
                bytes_seen += float(self._token_bytes[torch.from_numpy(part)].sum())
            bpb[source.name] = nats * _BITS_PER_NAT / bytes_seen
        return bpb

    def save(self) -> Path:
        """Write a checkpoint of the current state."""
        return save_checkpoint(self.run, self.model, self._optimisers, self.state)

    @property
    def _finished(self) -> bool:
        return self.config.progress(self.state.step, self.state.seconds) >= 1

    def _steps(self, count: int, should_stop: Callable[[], bool]) -> Report:
        """Take up to ``count`` steps; fewer when the budget ends or ``should_stop`` says so."""
        first, nats, bytes_seen = self.state, 0.0, 0
        clock = time.perf_counter()
        for _ in range(count):
            if self._finished or should_stop():
                break
            targets = torch.from_numpy(self._sampler.batch(self.config.batch)).to(self.device)
            rate = self.config.rate(self.config.progress(self.state.step, self.state.seconds))
            nats += self._step(targets, rate)
            bytes_seen += int(self._token_bytes[targets.cpu()].sum())
            self.state = TrainState(
                step=self.state.step + 1,
                tokens=self.state.tokens + targets.numel(),
                seconds=first.seconds + time.perf_counter() - clock,
                position=self._sampler.position,
            )
        return Report(
            step=self.state.step,
            progress=self.config.progress(self.state.step, self.state.seconds),
            tokens=self.state.tokens,
            seconds=self.state.seconds,
            train_bpb=nats * _BITS_PER_NAT / max(1, bytes_seen),
            tokens_per_second=(self.state.tokens - first.tokens) / max(1e-9, self.state.seconds - first.seconds),
        )

    def _step(self, targets: Tensor, rate: float) -> float:
        """One optimiser step on windows ``[batch, sequence]``; returns the summed cost in nats."""
        with self._autocast():
            nats = self._loss(self._inputs(targets), targets).sum()
        (nats / targets.numel()).backward()
        total = float(nats.detach())
        if not math.isfinite(total):
            raise UsageError(f"the loss became {total} at step {self.state.step}; lower the learning rates")
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        scale_learning_rates(self._optimisers, rate)
        for optimiser in self._optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return total

    def _inputs(self, targets: Tensor) -> Tensor:
        """Shift right by one: every window begins with the start token, as every lane does when coding."""
        start = targets.new_full((targets.shape[0], 1), self.model.config.start_token)
        return torch.cat((start, targets[:, :-1]), dim=1)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32" or (self.config.precision == "auto" and not _has_bf16(self.device)):
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _log(self, summary: Report) -> None:
        try:
            with (self.run / "metrics.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(summary)) + "\n")
        except OSError as error:
            raise FileError(f"cannot write {self.run / 'metrics.jsonl'}: {error.strerror or error}") from error


def sequence_nats(
    model: Transformer, inputs: Tensor, targets: Tensor, biases: Sequence[Tensor] | None = None
) -> Tensor:
    """Cost in nats of each window: float32 ``[batch]`` from ids ``[batch, time]``; logits are made in chunks."""
    hidden = model.hidden(inputs, biases)
    weight = model.output_weight()
    costs = []
    for part, wanted in zip(hidden.chunk(LOSS_CHUNKS), targets.chunk(LOSS_CHUNKS), strict=True):
        logits = functional.linear(part, weight).float()
        cost = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        costs.append(cost.view(wanted.shape).sum(1))
    return torch.cat(costs)


def _compiled(model: Transformer, config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    def plain(inputs: Tensor, targets: Tensor, biases: Sequence[Tensor]) -> Tensor:
        return sequence_nats(model, inputs, targets, biases)

    compiled = plain if config.compile == "off" else torch.compile(plain, dynamic=False)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return compiled(inputs, targets, model.attention_biases(inputs.shape[1]))

    return loss


def _has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are worth using: CUDA that supports them, or a CPU with the instructions."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and supported is not None and bool(supported())
