"""How many bits the float and the integer form of a network spend on the same tokens."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zipllm.model.architecture import IntegerNetwork
from zipllm.model.float_network import FloatNetwork
from zipllm.model.ranges import PRECISION

BATCH_TOKENS = 2_048


class Network(Protocol):
    """What `integer_bits` runs; see `zipllm.model.architecture.IntegerNetwork`."""

    def start(self, lanes: int) -> Any:
        """Return a new state."""

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return cumulative frequencies ``[n, T, V + 1]``."""


@dataclass(frozen=True)
class Gap:
    """Summed cost of the same tokens in both forms; files cost ``integer_bits``."""

    float_bits: float
    integer_bits: float

    @property
    def percent(self) -> float:
        """By how many percent the integer form is worse."""
        return 100.0 * (self.integer_bits / self.float_bits - 1.0)


def measure_gap(network: FloatNetwork, integer: IntegerNetwork, tokens: Tensor) -> Gap:
    """Compare both forms on sequences ``[n, time]``, each a stream that begins with the start token."""
    return Gap(float_bits(network, tokens), integer_bits(integer, tokens, integer.config.start_token))


@torch.no_grad()
def float_bits(network: FloatNetwork, tokens: Tensor) -> float:
    """Bits the float form spends on sequences ``[n, time]``, summed in float64."""
    device = network.embedding.weight.device
    total = 0.0
    for batch in torch.split(tokens.long().to(device), _batch(tokens)):
        logits = network(_inputs(batch, network.config.start_token))
        nats = functional.cross_entropy(logits.flatten(0, 1).float(), batch.flatten(), reduction="none")
        total += float(nats.double().sum())
    return total / float(torch.log(torch.tensor(2.0, dtype=torch.float64)))


def integer_bits(integer: Network, tokens: Tensor, start_token: int) -> float:
    """Bits the integer frequencies spend on sequences ``[n, time]``, summed in float64."""
    total = 0.0
    for batch in torch.split(tokens.cpu().int(), _batch(tokens)):
        inputs, lanes = _inputs(batch, start_token).numpy(), np.arange(len(batch), dtype=np.int32)
        cumulative = integer.predict(integer.start(len(batch)), inputs, lanes)
        low, high = (np.take_along_axis(cumulative, batch[..., None].numpy() + edge, -1) for edge in (0, 1))
        total += float((PRECISION - np.log2((high - low).astype(np.float64))).sum())
    return total


def _batch(tokens: Tensor) -> int:
    return max(1, BATCH_TOKENS // tokens.shape[1])


def _inputs(batch: Tensor, start_token: int) -> Tensor:
    return torch.cat((torch.full_like(batch[:, :1], start_token), batch[:, :-1]), dim=1)
