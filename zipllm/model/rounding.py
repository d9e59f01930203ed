"""Rounding as the integer form does it, inside the float model: what the last phase of training learns to live with.

Forward, a value becomes the nearest of the 255 that an int8 can stand for; backward, the rounding is passed over
(the straight-through estimator, Bengio et al. 2013, arXiv:1308.3432; for integer networks Jacob et al. 2018,
arXiv:1712.05877).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 127
"""Largest magnitude of an int8 operand."""


def round_to_levels(x: Tensor, clip: Tensor) -> Tensor:
    """Round ``x`` to ``LEVELS`` steps either side of zero, of which the last is ``clip``; gradients pass unchanged.

    Args:
        x: any shape.
        clip: above zero, broadcast to ``x``.
    """
    step = (clip / LEVELS).to(x.dtype)
    rounded = (x / step).round().clamp(-LEVELS, LEVELS) * step
    return x + (rounded - x).detach()


def round_rows(weight: Tensor) -> Tensor:
    """Round every row of a matrix with a scale of its own, as export does."""
    return round_to_levels(weight, weight.detach().abs().amax(-1, keepdim=True).clamp(min=1e-12))


class Matrix(nn.Linear):
    """A matrix without bias that multiplies either plainly or as its int8 form will.

    Args:
        inputs: columns.
        outputs: rows.

    Attributes:
        input_clip: float32 ``[inputs]``, the largest magnitude an input is rounded to; 0 as long as nothing is rounded.
        rounding: whether inputs and weights are rounded.
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
