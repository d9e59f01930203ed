"""Which number type the products of training run in."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from zipllm.train.config import Precision


@cache
def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products are fast: CUDA that supports them, or a CPU with the instructions.

    A processor without them computes bfloat16 products ten times slower than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and supported is not None and bool(supported())


def takes_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether a setting means bfloat16 on a device; ``auto`` takes it where it is fast."""
    return precision == "bf16" or (precision == "auto" and has_bf16(device))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the model runs."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if takes_bf16(precision, device) else nullcontext()
