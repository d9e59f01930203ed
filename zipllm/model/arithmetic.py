"""The integer operations the exact Transformer is made of, on any torch device.

Sums are sums of integers in a type that holds them. The only float operations are one square root per vector, which
IEEE 754 rounds correctly, and matrix products of integers whose sums stay below the type's 24 or 53 bits. So no order
of summation, thread count, batch shape, device or library version can change a bit.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from zipllm.model.ranges import FLOAT32_EXACT, INT8_MAX, NORM_SHIFT, WIDE_SHIFT

MatmulRoute = Literal["int8", "float32", "float64", "int64"]


def round_shift(x: Tensor, shift: int | Tensor) -> Tensor:
    """Divide by ``2**shift``, rounding to nearest and ties up: ``(x + 2**(shift-1)) >> shift``, ``shift >= 1``."""
    half = 1 << (shift - 1) if isinstance(shift, int) else torch.ones_like(shift) << (shift - 1)
    return (x + half) >> shift


def requantize(accumulator: Tensor, multiplier: Tensor, shift: int) -> Tensor:
    """Return ``round_shift(accumulator * multiplier, shift)`` as int64.

    Args:
        accumulator: int32 ``[..., rows]``.
        multiplier: int32 ``[rows]``, not negative: the product is below ``2**62``.
        shift: 1 to 62.
    """
    return round_shift(accumulator.long() * multiplier.long(), shift)


def saturate(x: Tensor, limit: int) -> Tensor:
    """Clamp to ``[-limit, limit]``."""
    return x.clamp(-limit, limit)


def vector_length(x: Tensor) -> Tensor:
    """Euclidean length of the last dimension, rounded up to an integer, at least 1; int64 ``[..., 1]``.

    The sum of squares must be below ``2**53``: float64 then holds it exactly and IEEE 754 rounds the
    root correctly. Rounding is monotone, so no component of ``x`` is larger than the result.
    """
    squares = x.long().square().sum(-1, keepdim=True)
    return squares.double().sqrt().ceil().long().clamp(min=1)


def scale_to_int8(x: Tensor, numerator: Tensor, divisor: Tensor) -> Tensor:
    """Return ``x * numerator / divisor`` in units of ``2**-NORM_SHIFT``, rounded and saturated to int8.

    Args:
        x: integers ``[..., n]``; ``abs(x) / divisor * numerator`` must be below ``2**62``.
        numerator: int64 constant, broadcast against ``divisor``.
        divisor: int64 ``[..., 1]``, at least 1.
    """
    factor = numerator // divisor
    return saturate(round_shift(x.long() * factor, NORM_SHIFT), INT8_MAX).to(torch.int8)


def integer_matmul(activations: Tensor, weight: Tensor, route: MatmulRoute | None = None) -> Tensor:
    """Multiply int8 ``[rows, inputs]`` by an int8 weight stored as ``[outputs, inputs]``: int32 ``[rows, outputs]``.

    All routes give the same integers. The default is the fast int8 product where a probe finds it exact, else float32
    (exact below ``2**24``) or float64 (below ``2**53``). TF32 and bfloat16 keep int8 operands exact, too.
    """
    route = route or _best_route(activations, weight)
    if route == "int8":
        return _int8_matmul(activations, weight)
    kind = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}[route]
    return (activations.to(kind) @ weight.to(kind).t()).to(torch.int32)


def wide_matmul(activations: Tensor, weight: Tensor) -> Tensor:
    """Multiply integers up to ``WIDE_MAX``, ``[rows, inputs]``, by an int8 weight ``[outputs, inputs]``: int32.

    The sums must be below ``2**31``. Activations are taken apart into two int8 halves where the int8 product is exact.
    """
    if _best_route(activations, weight) != "int8":
        return (activations.double() @ weight.double().t()).to(torch.int32)
    high = round_shift(activations, WIDE_SHIFT)
    low = activations - (high << WIDE_SHIFT)
    parts = (_int8_matmul(half.to(torch.int8), weight).long() for half in (high, low))
    return ((next(parts) << WIDE_SHIFT) + next(parts)).to(torch.int32)


def exact_matmul(left: Tensor, right: Tensor) -> Tensor:
    """Batched product of integer tensors, in float64; sums of absolute products must be below ``2**31``; int32."""
    return torch.matmul(left.double(), right.double()).to(torch.int32)


def _best_route(activations: Tensor, weight: Tensor) -> MatmulRoute:
    outputs, inputs = weight.shape
    device = activations.device.type
    aligned = outputs % 8 == 0 and inputs % 8 == 0
    # one input: torch._int_mm mistakes the strides of the transposed weight and reads beyond it
    if (device == "cpu" and inputs > 1 and int8_matmul_is_exact()) or (device == "cuda" and aligned):
        return "int8"
    return "float32" if inputs * INT8_MAX**2 < FLOAT32_EXACT else "float64"


def _int8_matmul(activations: Tensor, weight: Tensor) -> Tensor:
    rows = activations.shape[0]
    if activations.device.type == "cuda" and rows <= 16:  # cuBLASLt wants more than 16 rows
        padding = activations.new_zeros(17 - rows, activations.shape[1])
        activations = torch.cat((activations, padding))
    return torch._int_mm(activations.contiguous(), weight.t())[:rows]


@lru_cache(maxsize=1)
def int8_matmul_is_exact() -> bool:
    """Whether ``torch._int_mm`` on this CPU keeps every bit.

    Without VNNI instructions oneDNN adds pairs of products in saturating 16 bits, which extreme operands show.
    """
    return all(_probe(rows, inputs) for rows in (1, 3, 17, 64) for inputs in (64, 96, 1024))


def _probe(rows: int, inputs: int) -> bool:
    signs = torch.tensor([1, -1], dtype=torch.int8)
    left = (INT8_MAX * signs).repeat(rows)[:rows, None].expand(rows, inputs).contiguous()
    right = (INT8_MAX * signs).repeat(8)[:, None].expand(16, inputs).contiguous()
    expected = (left[:, :1].int() * right[:, 0].int()) * inputs
    return bool(torch.equal(torch._int_mm(left, right.t()), expected))
