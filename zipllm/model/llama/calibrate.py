"""Records what a float Llama computes on real text, from which the scales of its integer form follow."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zipllm.model.llama.float_form import Block, Llama

BATCH_TOKENS = 1_024
_ROWS = 64
"""Tokens taken in together."""

Place = tuple[str, int]
"""A name and a layer."""


@dataclass
class Observations:
    """What was seen, by place.

    Attributes:
        largest: largest magnitude of each entry, float64 ``[entries]``.
    """

    largest: dict[Place, Tensor] = field(default_factory=dict)
    _squares: dict[Place, Tensor] = field(default_factory=dict)
    _count: dict[Place, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, place: Place, values: Tensor) -> None:
        """Take in ``[..., entries]``."""
        for rows in values.detach().flatten(0, -2).split(_ROWS):  # small temporaries stay in the cache
            rows = rows.float().cpu()
            largest, power = rows.abs().amax(0).double(), rows.square().sum(0).double()
            if place in self.largest:
                largest = torch.maximum(self.largest[place], largest)
                power = power + self._squares[place]
            self.largest[place], self._squares[place] = largest, power
            self._count[place] += len(rows)

    def power(self, place: Place) -> Tensor:
        """Return the mean square of each entry, float64 ``[entries]``."""
        return self._squares[place] / self._count[place]


@torch.no_grad()
def observe(network: Llama, tokens: Tensor) -> Observations:
    """Run ids ``[sequences, time]``, each behind a start token, and record the activations of every layer."""
    seen = Observations()
    handles: list[Any] = []
    for layer, block in enumerate(network.layers):
        _attach(block, layer, seen, handles)
    try:
        for batch in torch.split(tokens, max(1, BATCH_TOKENS // tokens.shape[1])):
            start = torch.full((len(batch), 1), network.config.start_token, dtype=torch.long)
            inputs = torch.cat((start, batch[:, :-1].long().cpu()), dim=1).to(network.embedding.weight.device)
            seen.add(("final", 0), network.hidden(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _attach(block: Block, layer: int, seen: Observations, handles: list[Any]) -> None:
    def before(module: nn.Module, name: str) -> None:
        handles.append(module.register_forward_pre_hook(lambda _, inputs: seen.add((name, layer), inputs[0])))

    def after(module: nn.Module, name: str, change: Callable[[Tensor], Tensor] = lambda values: values) -> None:
        handles.append(module.register_forward_hook(lambda _, inputs, output: seen.add((name, layer), change(output))))

    attention, feedforward = block.attention, block.feedforward
    size = attention.config.head_size

    def pairs(values: Tensor) -> Tensor:
        """Length of the pairs that positions turn: the bound of what turning makes of them."""
        heads = values.transpose(1, 2) if values.dim() == 4 else values.unflatten(-1, (-1, size))
        left, right = heads.chunk(2, -1)
        return (left.square() + right.square()).sqrt().flatten(-2)

    before(block, "residual")
    after(block, "residual")
    before(attention.query, "attention")
    before(attention.output, "mixed")
    before(feedforward.gate, "feedforward")
    before(feedforward.down, "gated")
    for name in ("value", "gate", "up"):
        after(getattr(attention, name, None) or getattr(feedforward, name), name)
    normalized = attention.config.head_norms
    for name in ("query", "key"):
        after(getattr(attention, name), f"{name}_raw")
        after(getattr(attention, f"{name}_norm" if normalized else name), name, pairs)
