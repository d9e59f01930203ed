"""The training loop: windows in, checkpoints and reports of bits per byte out."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import RLock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zipllm.data.windows import TokenSource, WindowSampler
from zipllm.errors import UsageError, means_out_of_memory
from zipllm.model.architecture import architecture_of
from zipllm.model.config import NetworkConfig
from zipllm.model.float_network import FloatNetwork
from zipllm.train.checkpoint import (
    TrainState,
    load_model,
    load_optimizers,
    newest_checkpoint,
    save_checkpoint,
    snapshot,
)
from zipllm.train.config import TrainConfig
from zipllm.train.distributed import Group
from zipllm.train.loss import BITS_PER_NAT, WindowLoss
from zipllm.train.optim import has_bf16, make_optimizers, scale_learning_rates
from zipllm.train.runlog import Report
from zipllm.train.sharding import gathered
from zipllm.train.validation import Validation, evaluate

REPORT_STEPS = 16
"""Steps summed up in one report."""
ROUNDING_WINDOWS = 32
"""Training windows on which the clipping points of the last phase are chosen."""


class Trainer:
    """One run in one folder.

    Args:
        run: folder for checkpoints.
        model_config: shape of the network.
        config: budgets, rates, precision.
        sources: training tokens.
        valid: validation tokens.
        token_bytes: length in bytes of every token id ``[vocabulary_size]``.
        group: this process among those that train together.
        start: weights to begin with.
        resume: continue from the newest checkpoint, if any.
        prepared: digests of the data (``Corpus.prepared``), which a checkpoint must share.
        note: told of damaged checkpoints.

    Raises:
        UsageError: the data does not suffice for one window, or the batch cannot be shared.
        FileError: a checkpoint cannot be read.
    """

    def __init__(
        self,
        run: Path,
        model_config: NetworkConfig,
        config: TrainConfig,
        sources: Sequence[TokenSource],
        valid: Sequence[TokenSource],
        token_bytes: NDArray[np.int64],
        *,
        group: Group | None = None,
        start: FloatNetwork | None = None,
        resume: bool = False,
        prepared: Mapping[str, str] | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.run = run
        self.config = config
        self.group = group or Group()
        self.device = torch.device(self.group.device)
        self._token_bytes = torch.from_numpy(token_bytes)
        self._valid = [source for source in valid if len(source.tokens) >= config.sequence]
        if config.batch % (config.accumulate * self.group.size):
            parts = f"{config.accumulate} parts x {self.group.size} processes"
            raise UsageError(f"train.batch ({config.batch}) cannot be shared evenly by {parts}")
        try:
            self._sampler = WindowSampler(sources, config.sequence, config.seed)
            self._calibration = WindowSampler(sources, config.sequence, config.seed + 1)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._changing = RLock()
        self._saved: TrainState | None = None
        self._begin(model_config, start, dict(prepared or {}), newest_checkpoint(run, note) if resume else None)

    def _begin(
        self, model_config: NetworkConfig, start: FloatNetwork | None, prepared: dict[str, str], newest: Path | None
    ) -> None:
        """Make or restore the model, the optimizers and the counters."""
        torch.manual_seed(self.config.seed)
        if newest:
            model, self.state = load_model(newest)
            self._saved = self.state
        else:
            model = start or architecture_of(model_config).float_form(model_config)
            self.state = TrainState(0, 0, 0.0, self._sampler.position, prepared=prepared)
        if prepared != self.state.prepared and prepared and self.state.prepared:
            raise UsageError(f"{newest} was trained with other data or another tokenizer than {self.run} has")
        if model.config != model_config:
            raise UsageError(f"{newest or 'the start'} holds a model of another shape")
        self.model = model.to(self.device)
        self.loss = WindowLoss(self.model)
        self.loss.use_compiler(bool(self.state.compiled))
        self._shared: nn.Module = self.group.wrap(self.loss, sharded=self.config.shard)
        self._optimizers = make_optimizers(self.model, self.config)  # of the parameters as they are shared now
        if newest:
            load_optimizers(newest, self._optimizers)
            self._sampler.position = self.state.position

    @property
    def sources(self) -> tuple[TokenSource, ...]:
        """The training tokens."""
        return self._sampler.sources

    def use_compiler(self, on: bool) -> None:
        """Use ``torch.compile`` or not, for the rest of the run and after every resumption."""
        self.loss.use_compiler(on)
        self.state = replace(self.state, compiled=on)

    def example(self) -> Tensor:
        """Return a batch as one process computes it at a time, int64 ``[n, sequence]``; the data order is untouched."""
        sampler = WindowSampler(self._calibration.sources, self.config.sequence, self.config.seed)
        return torch.from_numpy(sampler.batch(self._part)).to(self.device)

    def train(self, report: Callable[[Report], None], should_stop: Callable[[], bool] = lambda: False) -> TrainState:
        """Train until the budget is used or ``should_stop``, asked between steps, says so; the state is always saved.

        Raises:
            UsageError: the loss is no longer a finite number, or memory does not suffice.
            FileError: a checkpoint cannot be written.
        """
        last_save = last_evaluation = self.state.seconds
        stopping = False
        if self._saved is None:
            self.save()
        while not (stopping or self.is_finished()):
            first = self.state
            summary, stopping = self._steps(REPORT_STEPS - first.step % REPORT_STEPS, should_stop)
            if not stopping and self._evaluation_is_due(self.state.seconds - last_evaluation):
                summary = replace(summary, valid=self._judge(), best=self.state.best)
                last_evaluation = self.state.seconds
            if self.state.step > first.step:
                report(summary)
            if self.state.seconds - last_save >= 60 * self.config.save_every:
                self.save()
                last_save = self.state.seconds
        self.save()
        return self.state

    def _evaluation_is_due(self, seconds: float) -> bool:
        """Decide by the clock, ``seconds`` after the last evaluation, only where the budget is a time."""
        config, done, now = self.config, self._progress_at(self.state.evaluated), self._progress
        if now >= 1 or not config.evaluate_every:
            return True
        if config.minutes:
            return seconds >= 60 * config.evaluate_every
        return int(now * config.evaluations) > int(done * config.evaluations)

    def evaluate(self) -> Validation | None:
        """Bits per byte of the validation data as the model stands; None without such data."""
        sizes = {"sequence": self.config.sequence, "windows": self.config.batch, "batch": self._part}
        return evaluate(self._cost, self._valid, self._token_bytes, **sizes)

    def save(self) -> None:
        """Write a checkpoint of the state, if there is none; another thread may call it during training."""
        with self._changing:
            if self.state == self._saved:
                return
            taken = snapshot(self.model, self._optimizers, self.state)
            if self.group.leads:
                save_checkpoint(self.run, taken)
            self._saved = self.state
            self.group.wait()

    @property
    def _part(self) -> int:
        """Windows that a process computes at a time."""
        return self.config.batch // (self.config.accumulate * self.group.size)

    def is_finished(self) -> bool:
        """Whether the budget is used and the result evaluated, or patience has run out."""
        used = self._progress >= 1 and self.state.evaluated == self.state.step
        return used or 0 < self.config.patience <= self.state.worse

    @property
    def _progress(self) -> float:
        return self.config.progress(self.state.step, self.state.tokens, self.state.seconds)

    def _progress_at(self, step: int) -> float:
        """Return the progress at an earlier step, where the budget is no time."""
        return self.config.progress(step, step * self.config.batch * self.config.sequence, 0.0)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which to run the model: it sets the number format of products."""
        wanted = self.config.precision
        if wanted == "bf16" or (wanted == "auto" and has_bf16(self.device)):
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _steps(self, count: int, should_stop: Callable[[], bool]) -> tuple[Report, bool]:
        """Take up to ``count`` steps; fewer when the budget ends or a process is asked to stop."""
        first, nats, stopping = self.state, 0.0, False
        rate, clock = 0.0, time.perf_counter()
        for _ in range(count):
            if self._progress >= 1 or stopping:
                break
            clock += self._round_at_the_end()
            rate = self.config.rate(self._progress)
            targets = torch.from_numpy(self._sampler.batch(self.config.batch))
            nats += self._gradients(self.group.share(targets).to(self.device))
            with self._changing:
                self._update(rate)
                seconds, stop = self.group.largest(first.seconds + time.perf_counter() - clock, should_stop())
                stopping = bool(stop)
                self.state = replace(
                    self.state,
                    step=self.state.step + 1,
                    tokens=self.state.tokens + targets.numel(),
                    bytes=self.state.bytes + int(self._token_bytes[targets].sum()),
                    seconds=seconds,
                    position=self._sampler.position,
                )
        return self._report(first, self.group.total(nats)[0], rate), stopping

    def _report(self, first: TrainState, nats: float, rate: float) -> Report:
        size, seconds = self.state.bytes - first.bytes, max(1e-9, self.state.seconds - first.seconds)
        return Report(
            step=self.state.step,
            progress=self._progress,
            tokens=self.state.tokens,
            seconds=self.state.seconds,
            train_bpb=nats * BITS_PER_NAT / max(1, size),
            tokens_per_second=(self.state.tokens - first.tokens) / seconds,
            bytes_per_second=size / seconds,
            rate=rate,
            rounding=self.model.rounding,
            best=self.state.best,
        )

    def _gradients(self, targets: Tensor) -> float:
        """Compute the gradients of this process's windows ``[n, sequence]``; returns their summed cost in nats."""
        total = 0.0
        try:
            for part in targets.chunk(self.config.accumulate):
                with self.autocast():
                    nats = self._shared(part).sum()
                (nats / targets.numel()).backward()
                total += float(nats.detach())
        except (RuntimeError, MemoryError) as error:
            _explain_memory(error, self.config)
            raise
        if not math.isfinite(total):
            raise UsageError(f"the loss became {total} at step {self.state.step}; lower the learning rates")
        return total

    def _update(self, rate: float) -> None:
        """Take an optimizer step at a learning-rate factor."""
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        scale_learning_rates(self._optimizers, rate)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _round_at_the_end(self) -> float:
        """Begin the last phase when it is due; its costs are not comparable with the best so far.

        Returns:
            Seconds this took, which do not count against the budget.
        """
        if not self.config.rounding or self.model.rounding or self._progress < 1 - self.config.rounding:
            return 0.0
        clock = time.perf_counter()
        with self._changing, gathered(self.loss):
            tokens = torch.from_numpy(self._calibration.batch(ROUNDING_WINDOWS))
            architecture_of(self.model.config).start_rounding(self.model, tokens)
            self.state = replace(self.state, best=None, best_step=None, worse=0)
        if self.state.compiled:
            with self.autocast():
                self.loss(self.example()).sum().backward()
            self.loss.zero_grad(set_to_none=True)
        return time.perf_counter() - clock

    def _judge(self) -> Validation | None:
        """Evaluate; save the model if it is the best so far, else count it as worse."""
        result = self.evaluate() if self.group.leads or self.config.shard else None  # a part alone cannot compute
        total = self.group.largest(result.total if result else 0.0)[0]
        state = replace(self.state, evaluated=self.state.step)
        if self._valid and (state.best is None or total < state.best):
            self.state = replace(state, best=total, best_step=state.step, worse=0)
            self.save()
        else:
            self.state = replace(state, worse=state.worse + bool(self._valid))
        return result

    def _cost(self, windows: Tensor) -> Tensor:
        with self.autocast():
            return self.loss(windows.to(self.device)).detach().cpu()  # type: ignore[no-any-return]


def _explain_memory(error: Exception, config: TrainConfig) -> None:
    """Raise a ``UsageError`` that names a remedy if memory has run out."""
    if means_out_of_memory(error):
        size = f"{config.batch // config.accumulate} windows of {config.sequence} tokens at a time"
        hint = f"--set train.accumulate={config.accumulate * 2} needs about half, with the same result"
        raise UsageError(f"out of memory with {size}; {hint}") from error
