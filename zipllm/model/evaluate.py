"""How many bits the float and the integer form of a model spend on the same tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from zipllm.model.integer import IntegerTransformer
from zipllm.model.ranges import PRECISION
from zipllm.model.transformer import Transformer

BATCH_TOKENS = 2_048


@dataclass(frozen=True)
class Gap:
    """Coding cost of the same tokens under both forms.

    Attributes:
        float_bits: cross-entropy of the float model, in bits, summed.
        integer_bits: the same from the integer frequencies, which is what files cost.
    """

    float_bits: float
    integer_bits: float

    @property
    def percent(self) -> float:
        """By how many percent the integer form is worse."""
        return 100.0 * (self.integer_bits / self.float_bits - 1.0)


def measure_gap(transformer: Transformer, integer: IntegerTransformer, tokens: Tensor) -> Gap:
    """Compare both forms on sequences ``[n, time]``, each coded as a stream of its own from the start token."""
    return Gap(float_bits(transformer, tokens), integer_bits(integer, tokens))


@torch.no_grad()
def float_bits(transformer: Transformer, tokens: Tensor) -> float:
    """Bits the float model spends on sequences ``[n, time]``, summed in float64."""
    device = transformer.embedding.weight.device
    total = 0.0
    for batch in torch.split(tokens.long().to(device), _batch(tokens)):
        logits = transformer(_inputs(batch, transformer.config.start_token))
        nats = functional.cross_entropy(logits.flatten(0, 1).float(), batch.flatten(), reduction="none")
        total += float(nats.double().sum())
    return total / float(torch.log(torch.tensor(2.0, dtype=torch.float64)))


@torch.no_grad()
def integer_bits(integer: IntegerTransformer, tokens: Tensor) -> float:
    """Bits the integer frequencies spend on sequences ``[n, time]``, summed in float64."""
    total = 0.0
    for batch in torch.split(tokens.long().to(integer.device), _batch(tokens)):
        state = integer.start(len(batch))
        hidden = integer.forward(state, _inputs(batch, integer.config.start_token)).flatten(0, 1)
        for rows, targets in zip(torch.split(hidden, 256), torch.split(batch.flatten(), 256), strict=True):
            cumulative = integer.cumulative(rows)
            taken = cumulative.diff(dim=-1).gather(1, targets[:, None]).double()
            total += float((PRECISION - taken.log2()).sum())
    return total


def _batch(tokens: Tensor) -> int:
    return max(1, BATCH_TOKENS // tokens.shape[1])


def _inputs(batch: Tensor, start_token: int) -> Tensor:
    return torch.cat((torch.full_like(batch[:, :1], start_token), batch[:, :-1]), dim=1)
