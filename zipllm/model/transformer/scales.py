"""Scales of least error for export, and their fixed-point form.

The mean squares of a matrix's inputs weigh the error of a row: the diagonal of the layer's Hessian, as in Optimal Brain
Compression (Frantar & Alistarh 2022, arXiv:2208.11580).
"""

import math

import torch
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.model.transformer.bounds import MAX_ACCUMULATOR, SCORE_SHIFTS, SHIFTS, score_limit

TABLE_STEPS = 256
"""Steps per factor of two in both exponential tables."""

_ROWS = 64
"""Rows quantized together, so that temporary results stay in the cache."""

Scaled = tuple[Tensor, Tensor]
"""int8 matrix ``[rows, inputs]`` and float64 scale per row ``[rows]``: ``matrix * scale`` is near the original."""


def quantize_rows(weight: Tensor, power: Tensor, levels: int, scales: int = 26) -> Scaled:
    """Round rows ``[rows, inputs]`` to integers up to ``levels``, with the best of some scales.

    The error of each input counts by ``power [inputs]``.
    """
    parts = [_quantize_rows(rows, power, levels, scales) for rows in weight.split(_ROWS)]
    return torch.cat([matrix for matrix, _ in parts]), torch.cat([scale for _, scale in parts])


def _quantize_rows(weight: Tensor, power: Tensor, levels: int, scales: int) -> Scaled:
    largest = weight.abs().amax(-1, keepdim=True).clamp(min=1e-12)
    best_error = torch.full_like(largest, math.inf)
    best_scale = largest / levels
    for shrink in torch.linspace(1.0, 0.5, scales, dtype=torch.float64).tolist():
        scale = largest * shrink / levels
        error = ((weight / scale).round().clamp(-levels, levels) * scale - weight).square() @ power[:, None]
        better = error < best_error
        best_error, best_scale = torch.where(better, error, best_error), torch.where(better, scale, best_scale)
    return (weight / best_scale).round().clamp(-levels, levels).to(torch.int8), best_scale[:, 0]


def best_clip(samples: Tensor, levels: int) -> Tensor:
    """Return the clipping point of least squared rounding error, float64 ``[groups]``, for ``[groups, n]``."""
    values = samples.double()
    largest = values.abs().amax(-1, keepdim=True).clamp(min=1e-6)
    best_error = torch.full_like(largest, math.inf)
    best = largest
    for step in range(33):
        clip = largest * 2.0 ** (-step / 8)
        scale = clip / levels
        rounded = (values / scale).round().clamp(-levels, levels) * scale
        error = (rounded - values).square().mean(-1, keepdim=True)
        better = error < best_error
        best_error, best = torch.where(better, error, best_error), torch.where(better, clip, best)
    return best[:, 0]


def exponential_table(first: int) -> Tensor:
    """Return ``round(first * 2**(-i / TABLE_STEPS))`` for i = 0, 1, ... down to the first 0, int32."""
    steps = torch.arange(TABLE_STEPS * (first.bit_length() + 2), dtype=torch.float64)
    table = (first * torch.exp2(-steps / TABLE_STEPS)).round().to(torch.int32)
    return table[: int((table > 0).sum()) + 1]


def fixed_point(name: str, ratios: Tensor, *, one: bool = False) -> dict[str, Tensor]:
    """Write ratios as int32 multipliers over a common power of two, as fine as 31 bits allow."""
    top = float(ratios.max())
    shift = SHIFTS[1]
    while shift >= SHIFTS[0] and round(top * 2.0**shift) >= MAX_ACCUMULATOR:
        shift -= 1
    if shift < SHIFTS[0]:
        raise ModelInvalid(f"the scale of {name} is too large for the integer form")
    multiplier = (ratios * 2.0**shift).round().to(torch.int32)
    return {
        f"{name}_multiplier": multiplier,
        f"{name}_shift": torch.tensor([shift] if one else shift, dtype=torch.int32),
    }


def score_fixed_point(ratio: float, query_norm: int, key_norm: int, head_size: int) -> tuple[int, int]:
    """Write a ratio as multiplier and shift such that every score fits int32."""
    limit = score_limit(query_norm, key_norm, head_size)
    for shift in range(SCORE_SHIFTS[1], SCORE_SHIFTS[0] - 1, -1):
        multiplier = round(ratio * 2.0**shift)
        if limit * multiplier + (1 << (shift - 1)) < MAX_ACCUMULATOR:
            return multiplier, shift
    raise ModelInvalid("attention scores are too large for the integer form")
