"""Logits to frequencies: integers that sum to exactly ``2**PRECISION``, each at least 1."""

import torch
from torch import Tensor

from zipllm.model.ranges import RATIO_SHIFT, TOTAL


def frequencies(logits: Tensor, exponential: Tensor) -> Tensor:
    """Turn logits into frequencies; int64 ``[..., vocabulary]``.

    With ``V`` entries, ``d`` the distance to the largest logit and ``w = exponential[min(d, last)]``:
    ``f = 1 + (w * (((TOTAL - V) << 32) // sum(w)) >> 32)``; the first of the largest logits gets the remainder.
    The table starts with ``TOTAL``, so the ratio is below ``2**32`` and no product reaches ``2**56``.

    Args:
        logits: int32 ``[..., vocabulary]``, below ``2**30`` in magnitude, in units of the table's steps.
        exponential: int32 table, from ``TOTAL`` down to 0.
    """
    largest = logits.amax(-1, keepdim=True)
    distance = (largest - logits).clamp(max=exponential.numel() - 1)
    weight = exponential.long()[distance.long()]
    ratio = ((TOTAL - logits.shape[-1]) << RATIO_SHIFT) // weight.sum(-1, keepdim=True)
    result = 1 + ((weight * ratio) >> RATIO_SHIFT)
    remainder = TOTAL - result.sum(-1, keepdim=True)
    assert bool((remainder >= 0).all())
    first = (logits == largest).to(torch.int8).argmax(-1, keepdim=True)
    return result.scatter_add(-1, first, remainder)


def cumulate(counts: Tensor) -> Tensor:
    """Return cumulative frequencies int32 ``[..., vocabulary + 1]``: first 0, last ``TOTAL``."""
    sums = counts.cumsum(-1)
    assert bool((sums[..., -1] == TOTAL).all())
    return torch.cat((torch.zeros_like(sums[..., :1]), sums), dim=-1).to(torch.int32)
