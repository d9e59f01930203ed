"""The float Transformer, for training; ``integer.py`` codes files.

Pre-norm blocks with gainless RMS norm (Zhang & Sennrich 2019), multi-head attention with normalized queries and keys
(Henry et al. 2020) in a sliding window (Longformer, Beltagy et al. 2020), and a squared-ReLU feed-forward (Primer, So
et al. 2021). Positions enter only as relative distance.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.float_network import FloatNetwork
from zipllm.model.rounding import Matrix, round_to_levels
from zipllm.model.transformer.config import TransformerConfig

NORM_EPSILON = 1e-6


def rms_normalize(x: Tensor) -> Tensor:
    """Scale the last dimension to a root mean square of one, in float32; returns ``x.dtype``."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + NORM_EPSILON)).to(x.dtype)


class Transformer(FloatNetwork):
    """The float form of a `TransformerConfig`."""

    config: TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary_size + 1, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary_size, bias=False)
        self._initialize()

    def hidden(self, tokens: Tensor, biases: Sequence[Tensor] | None = None) -> Tensor:
        x: Tensor = rms_normalize(self.embedding(tokens))
        if self.config.position == "sinusoidal":
            x = x + _sinusoids(tokens.shape[1], self.config.width, x.device).to(x.dtype)
        for block, bias in zip(self.layers, biases or self.biases(tokens.shape[1]), strict=True):
            x = block(x, bias)
        x = rms_normalize(x)
        return round_to_levels(x, self.final_clip) if self.rounding else x

    def biases(self, time: int) -> list[Tensor]:
        """Return for every block the additive bias and mask of its scores, as ``Attention.bias`` shapes it."""
        return [block.attention.bias(time) for block in self.layers]

    @property
    def layers(self) -> list["Block"]:
        """The blocks, typed."""
        return cast(list[Block], list(self.blocks))

    def _initialize(self) -> None:
        """Output projections start at zero, so that every block starts as the identity."""
        nn.init.normal_(self.embedding.weight, std=1.0 if self.head is not None else self.config.width**-0.5)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        for block in self.layers:
            for linear in (block.attention.query, block.attention.key, block.attention.value, block.feedforward.up):
                nn.init.normal_(linear.weight, std=self.config.width**-0.5)
            nn.init.zeros_(block.attention.output.weight)
            nn.init.zeros_(block.feedforward.down.weight)


class Block(nn.Module):
    """Attention, then feed-forward, each added to the residual stream ``[batch, time, width]``."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feedforward = FeedForward(config)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.attention(rms_normalize(x), bias)
        out: Tensor = x + self.feedforward(rms_normalize(x))
        return out


class Attention(nn.Module):
    """Multi-head self-attention over a causal window; scores are ``scale * q.k / head_size + bias[distance]``.

    Each chunk of queries, one window long, sees its own keys and those of the chunk before: the cost is linear in time.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.query = Matrix(config.width, config.width)
        self.key = Matrix(config.width, config.width)
        self.value = Matrix(config.width, config.width)
        self.output = Matrix(config.width, config.width)
        self.score_scale = nn.Parameter(torch.full((config.heads,), 1.5 * math.sqrt(config.head_size)))
        slopes = _alibi_bias(config.heads, config.window)
        if config.position == "relative":
            self.position_bias = nn.Parameter(0.25 * slopes)
        else:
            self.register_buffer("position_bias", slopes if config.position == "alibi" else torch.zeros_like(slopes))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, time, width = x.shape
        query, key = rms_normalize(self._heads(self.query(x))), rms_normalize(self._heads(self.key(x)))
        if self.config.position == "rotary":
            query, key = _rotate(query), _rotate(key)
        scale = (self.score_scale / self.config.head_size).to(x.dtype).view(-1, 1, 1)
        chunks, chunk = bias.shape[1:3]
        query = _pad_time(query * scale, chunks * chunk).unflatten(2, (chunks, chunk))
        scores = torch.matmul(query, _bands(key, chunks, chunk).transpose(-1, -2)).float() + bias
        weights = torch.softmax(scores, dim=-1).to(x.dtype)
        mixed = torch.matmul(weights, _bands(self._heads(self.value(x)), chunks, chunk))
        mixed = mixed.flatten(2, 3)[:, :, :time]
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, time, width))
        return out

    def bias(self, time: int) -> Tensor:
        """Bias of each score by distance, ``-inf`` outside the window and before the start of time.

        Returns:
            float32 ``[heads, chunks, chunk, keys]`` with ``chunk = min(window, time)``; ``keys`` is one
            chunk when a single chunk covers ``time``, else two (the chunk before, then its own).
        """
        chunk = min(self.config.window, time)
        chunks = -(-time // chunk)
        band = _toeplitz(self.position_bias[:, :chunk])
        own = torch.cat((torch.full_like(band[..., :chunk], -math.inf), band[..., chunk:]), dim=-1)
        if chunks == 1:
            return own[:, None, :, chunk:]
        return torch.stack([own] + [band] * (chunks - 1), dim=1)

    def _heads(self, x: Tensor) -> Tensor:
        """``[batch, time, width]`` to ``[batch, heads, time, head_size]``."""
        split: Tensor = x.unflatten(-1, (self.config.heads, -1)).transpose(1, 2)
        return split


class FeedForward(nn.Module):
    """``down(relu(up(x)) ** 2)``."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.up = Matrix(config.width, config.feedforward)
        self.down = Matrix(config.feedforward, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.relu(self.up(x)).square())
        return out


def _pad_time(x: Tensor, time: int) -> Tensor:
    """Append zeros to dimension 2 of ``[batch, heads, time, head_size]`` up to ``time``."""
    return functional.pad(x, (0, 0, 0, time - x.shape[2]))


def _bands(x: Tensor, chunks: int, chunk: int) -> Tensor:
    """Keys or values by chunk: ``[batch, heads, chunks, keys, head_size]``, see ``Attention.bias``."""
    x = _pad_time(x, chunks * chunk)
    if chunks == 1:
        return x.unsqueeze(2)
    return functional.pad(x, (0, 0, chunk, 0)).unfold(2, 2 * chunk, chunk).transpose(-1, -2)


def _toeplitz(bias: Tensor) -> Tensor:
    """Spread ``[heads, n]`` by distance to ``[heads, n, 2 n]``: entry (i, j) is ``bias[n + i - j]``, else ``-inf``.

    The reshape of one long row has a cheaper backward pass than indexing.
    """
    heads, n = bias.shape
    row = torch.cat(
        (bias.new_full((heads, 1), -math.inf), bias.flip(1), bias.new_full((heads, 2 * n - 1), -math.inf)), 1
    )
    length = row.shape[1]
    shifted = row.unsqueeze(1).expand(heads, n, length).reshape(heads, n * length)[:, : n * (length - 1)]
    return shifted.reshape(heads, n, length - 1)[:, :, : 2 * n]


def _alibi_bias(heads: int, window: int) -> Tensor:
    """ALiBi (Press et al. 2022): ``-slope * distance`` ``[heads, window]``, slopes from 2**-1 to 2**-8."""
    slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)
    return -slopes[:, None] * torch.arange(window)[None, :]


def _rotate(x: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on ``[batch, heads, time, head_size]``, base 10000."""
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * frequencies
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    left, right = x[..., :half], x[..., half:]
    return torch.cat((left * cos - right * sin, left * sin + right * cos), dim=-1)


def _sinusoids(time: int, width: int, device: torch.device) -> Tensor:
    """Absolute sinusoidal positions (Vaswani et al. 2017) ``[time, width]``."""
    half = width // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=device) / half)
    angle = torch.arange(time, device=device)[:, None] * frequencies
    return torch.cat((angle.sin(), angle.cos()), dim=-1)
