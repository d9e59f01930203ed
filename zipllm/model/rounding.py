"""The rounding of the integer form inside the float model, for the last phase of training.

Forward, a value becomes the nearest of 255 levels; backward, gradients pass unchanged (the straight-through estimator,
Bengio et al. 2013, arXiv:1308.3432; for integer networks Jacob et al. 2018, arXiv:1712.05877).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.ranges import INT8_MAX


def round_to_levels(x: Tensor, clip: Tensor) -> Tensor:
    """Round ``x`` to 127 steps on each side of zero; the last is ``clip``, above zero, broadcast to ``x``."""
    step = (clip / INT8_MAX).to(x.dtype)
    rounded = (x / step).round().clamp(-INT8_MAX, INT8_MAX) * step
    return x + (rounded - x).detach()


def round_rows(weight: Tensor) -> Tensor:
    """Round every row of a matrix with a scale of its own, as export does."""
    return round_to_levels(weight, weight.detach().abs().amax(-1, keepdim=True).clamp(min=1e-12))


class Matrix(nn.Linear):
    """A matrix without bias that multiplies either plainly or, with ``rounding``, as its int8 form.

    Attributes:
        input_clip: float32 ``[inputs]``, where inputs are clipped; 0 as long as nothing is rounded.
    """

    input_clip: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.register_buffer("input_clip", torch.zeros(inputs))
        self.rounding = False

    def forward(self, input: Tensor) -> Tensor:
        if not self.rounding:
            return functional.linear(input, self.weight)
        return functional.linear(round_to_levels(input, self.input_clip), round_rows(self.weight))
