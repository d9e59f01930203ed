"""What a window costs: the cross-entropy that training lowers, plain or through ``torch.compile``."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.float_network import FloatNetwork

LOSS_CHUNKS = 4
"""The logits of a batch are made in this many pieces, so that they never exist all at once."""
BITS_PER_NAT = 1 / math.log(2)

_Compute = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]


class WindowLoss(nn.Module):
    """Maps windows of token ids ``[batch, time]`` to the nats each costs: float32 ``[batch]``.

    Every window begins with the start token, as every lane does when files are coded.
    """

    def __init__(self, model: FloatNetwork) -> None:
        super().__init__()
        self.model = model
        self._compute = self._plain()
        self._compiled = False

    def forward(self, windows: Tensor) -> Tensor:
        start = windows.new_full((windows.shape[0], 1), self.model.config.start_token)
        inputs = torch.cat((start, windows[:, :-1]), dim=1)
        return self._compute(inputs, windows, self.model.biases(windows.shape[1]))

    def use_compiler(self, on: bool) -> None:
        """Compute through ``torch.compile`` from now on, or plainly again.

        One loss of a process is compiled at a time: torch limits how many forms of the same code it keeps.
        """
        if on and not self._compiled:
            torch.compiler.reset()
        if on != self._compiled:
            self._compute = torch.compile(self._plain(), dynamic=False) if on else self._plain()
        self._compiled = on

    def _plain(self) -> _Compute:
        def plain(inputs: Tensor, targets: Tensor, biases: Sequence[Tensor]) -> Tensor:
            return sequence_nats(self.model, inputs, targets, biases)

        return plain


def sequence_nats(
    model: FloatNetwork, inputs: Tensor, targets: Tensor, biases: Sequence[Tensor] | None = None
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
