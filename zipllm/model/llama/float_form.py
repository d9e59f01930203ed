"""The float Llama, as open checkpoints compute: for measuring, calibration and fine-tuning; ``integer.py`` codes files.

Pre-norm blocks with RMS norm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021), grouped queries (Ainslie et
al. 2023) and a gated SiLU (Shazeer 2020), as in Touvron et al. 2023 (arXiv:2302.13971); a sliding window beside which
the first tokens stay visible (Xiao et al. 2023, arXiv:2309.17453).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.float_network import FloatNetwork
from zipllm.model.llama.config import LlamaConfig
from zipllm.model.rounding import round_rows


class Matrix(nn.Linear):
    """A matrix whose weights can be rounded as in the integer form; its activations keep 15 bits there."""

    rounding = False

    def forward(self, input: Tensor) -> Tensor:
        weight = round_rows(self.weight) if self.rounding else self.weight
        return functional.linear(input, weight, self.bias)


class Norm(nn.Module):
    """RMS norm with a gain, over the last dimension."""

    epsilon: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.register_buffer("epsilon", torch.tensor([1e-5]))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon) * self.gain).to(x.dtype)


class Llama(FloatNetwork):
    """The float form of a `LlamaConfig`.

    Attributes:
        frequencies: float64 ``[head_size / 2]``, radians that each pair of a head turns per token.
    """

    config: LlamaConfig
    frequencies: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary_size + 1, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary_size, bias=False)
        pairs = torch.arange(0, config.head_size, 2, dtype=torch.float64) / config.head_size
        self.register_buffer("frequencies", 10_000.0**-pairs)

    def hidden(self, tokens: Tensor, biases: Sequence[Tensor] | None = None) -> Tensor:
        x: Tensor = self.embedding(tokens)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        near = turn(positions, self.frequencies, x.dtype)
        far = turn(positions.clamp(max=self.config.window + self.config.kept - 1), self.frequencies, x.dtype)
        for block in self.layers:
            x = block(x, near, far)
        out: Tensor = self.norm(x)
        return out

    @property
    def layers(self) -> list["Block"]:
        """The blocks, typed."""
        return cast(list[Block], list(self.blocks))

    def set_rounding(self, on: bool) -> None:
        self.rounding = on
        for module in self.modules():
            if isinstance(module, Matrix):
                module.rounding = on


class Block(nn.Module):
    """Attention, then feed-forward, each added to the residual stream ``[batch, time, width]``."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width)
        self.attention = Attention(config)
        self.feedforward_norm = Norm(config.width)
        self.feedforward = FeedForward(config)

    def forward(self, x: Tensor, near: "Turn", far: "Turn") -> Tensor:
        x = x + self.attention(self.attention_norm(x), near, far)
        out: Tensor = x + self.feedforward(self.feedforward_norm(x))
        return out


class Attention(nn.Module):
    """Grouped-query attention to the window and the kept tokens.

    A kept token that has left the window stays as far away as it was when it left.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.query = Matrix(config.width, config.query_width, bias=config.biases)
        self.key = Matrix(config.width, config.key_width, bias=config.biases)
        self.value = Matrix(config.width, config.key_width, bias=config.biases)
        self.output = Matrix(config.query_width, config.width, bias=False)
        self.query_norm = Norm(config.head_size) if config.head_norms else nn.Identity()
        self.key_norm = Norm(config.head_size) if config.head_norms else nn.Identity()

    def forward(self, x: Tensor, near: "Turn", far: "Turn") -> Tensor:
        config, time = self.config, x.shape[1]
        query, key = self.query_norm(self._heads(self.query(x))), self.key_norm(self._heads(self.key(x)))
        value = self._heads(self.value(x))
        groups = config.heads // config.key_heads
        key, value = (part.repeat_interleave(groups, 1) for part in (rotate(key, near), value))
        scores = torch.matmul(rotate(query, near), key.transpose(-1, -2))
        positions = torch.arange(time, device=x.device)
        distance = positions[:, None] - positions
        hidden = distance < 0
        if time > config.window:
            kept = positions < config.kept
            beyond = torch.matmul(rotate(query, far), key[..., : config.kept, :].transpose(-1, -2))
            scores = torch.cat((beyond, scores[..., config.kept :]), -1)
            hidden = hidden | ((distance >= config.window) & ~kept)
        scores = scores.float() / math.sqrt(config.head_size)
        weights = torch.softmax(scores.masked_fill(hidden, -math.inf), -1).to(x.dtype)
        out: Tensor = self.output(torch.matmul(weights, value).transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """``[batch, time, rows]`` to ``[batch, heads, time, head_size]``."""
        split: Tensor = x.unflatten(-1, (-1, self.config.head_size)).transpose(1, 2)
        return split


class FeedForward(nn.Module):
    """``down(silu(gate(x)) * up(x))``."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.gate = Matrix(config.width, config.feedforward, bias=False)
        self.up = Matrix(config.width, config.feedforward, bias=False)
        self.down = Matrix(config.feedforward, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return out


Turn = tuple[Tensor, Tensor]
"""Cosine and sine of each position and pair, ``[time, head_size / 2]``."""


def turn(positions: Tensor, frequencies: Tensor, dtype: torch.dtype) -> Turn:
    """Return by how much positions ``[time]`` turn each pair."""
    angle = positions[:, None].double() * frequencies.double()
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, by: Turn) -> Tensor:
    """Turn the pairs ``(i, i + size / 2)`` of heads ``[batch, heads, time, size]``."""
    cosine, sine = by
    left, right = x.chunk(2, -1)
    return torch.cat((left * cosine - right * sine, left * sine + right * cosine), -1)
