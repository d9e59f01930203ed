"""What a window costs: the cross-entropy that training lowers, plain or through ``torch.compile``."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.transformer import Transformer

LOSS_CHUNKS = 4
"""The logits of a batch are made in this many pieces, so that they never exist all at once."""
BITS_PER_NAT = 1 / math.log(2)
_PROBES = 3

_Compute = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]


class WindowLoss(nn.Module):
    """Maps windows of token ids ``[batch, time]`` to the nats each costs: float32 ``[batch]``.

    Every window begins with the start token, as every lane does when files are coded.

    Args:
        model: the network to train.
    """

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        self._compute = self._plain()

    def forward(self, windows: Tensor) -> Tensor:
        start = windows.new_full((windows.shape[0], 1), self.model.config.start_token)
        inputs = torch.cat((start, windows[:, :-1]), dim=1)
        return self._compute(inputs, windows, self.model.attention_biases(windows.shape[1]))

    def use_compiler(self, on: bool) -> None:
        """Compute through ``torch.compile`` from now on, or plainly again."""
        self._compute = torch.compile(self._plain(), dynamic=False) if on else self._plain()

    def _plain(self) -> _Compute:
        def plain(inputs: Tensor, targets: Tensor, biases: Sequence[Tensor]) -> Tensor:
            return sequence_nats(self.model, inputs, targets, biases)

        return plain


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


@dataclass(frozen=True)
class Probe:
    """A measurement of one forward and backward pass.

    Attributes:
        plain: seconds without the compiler; the best of three.
        compiled: seconds with it; infinite when it does not work here.
        compiling: seconds the compiler took.
        problem: why it does not work.
    """

    plain: float
    compiled: float = math.inf
    compiling: float = 0.0
    problem: str = ""


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
