"""Bits per byte of the data held back."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.data.windows import TokenSource
from zipllm.train.loss import BITS_PER_NAT


@dataclass(frozen=True)
class Validation:
    """Bits per byte over all sources, and of each."""

    total: float
    by_source: dict[str, float] = field(default_factory=dict)


def evaluate(
    cost: Callable[[Tensor], Tensor],
    sources: Sequence[TokenSource],
    token_bytes: Tensor,
    *,
    sequence: int,
    windows: int,
    batch: int,
) -> Validation | None:
    """Measure evenly spaced windows of every source, each starting without context; None without sources.

    Args:
        cost: nats of each window, float32 ``[n]`` for ids int64 ``[n, sequence]`` on the CPU.
        sources: at least one window long each.
        token_bytes: length in bytes of every token id ``[vocabulary_size]``.
        sequence: tokens in a window.
        windows: per source, at most.
        batch: windows in each call of ``cost``; the number never varies, as a compiled form wants it.
    """
    nats: list[float] = []
    sizes: list[float] = []
    for source in sources:
        chosen = spaced_windows(source, sequence, windows)
        padded = np.concatenate([chosen, np.repeat(chosen[:1], -len(chosen) % batch, axis=0)])
        each = torch.cat([cost(part) for part in torch.from_numpy(padded).split(batch)])[: len(chosen)]
        nats.append(float(each.double().sum()))
        sizes.append(float(token_bytes[torch.from_numpy(chosen)].sum()))
    if not sizes:
        return None
    by_source = {s.name: n * BITS_PER_NAT / size for s, n, size in zip(sources, nats, sizes, strict=True)}
    return Validation(math.fsum(nats) * BITS_PER_NAT / sum(sizes), by_source)


def spaced_windows(source: TokenSource, sequence: int, count: int) -> NDArray[np.int64]:
    """Up to ``count`` windows ``[n, sequence]`` spread evenly over a source of at least one window."""
    grid = len(source.tokens) // sequence
    starts = np.linspace(0, grid - 1, min(grid, count)).astype(np.int64) * sequence
    return np.stack([source.tokens[start : start + sequence].astype(np.int64) for start in starts])
