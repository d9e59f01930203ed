"""Which number type the products of training run in."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch


@cache
def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are fast: CUDA that supports them, or a CPU with the instructions.

    A processor without them computes bfloat16 products ten times slower than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and supported is not None and bool(supported())


def autocast(precision: Literal["auto", "bf16", "float32"], device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the model runs; ``auto`` takes bfloat16 where it is fast."""
    if precision == "float32" or (precision == "auto" and not has_bf16(device)):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
