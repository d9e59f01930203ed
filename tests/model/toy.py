"""A second architecture in one file: the next token depends on the one before it alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zipllm.errors import ModelInvalid
from zipllm.model.config import FREE_LENGTH, NetworkConfig, Specification
from zipllm.model.float_network import FloatNetwork
from zipllm.model.frequencies import cumulate, frequencies
from zipllm.model.parameters import IntegerArray, IntegerParameters
from zipllm.model.ranges import TOTAL
from zipllm.model.rounding import Matrix
from zipllm.model.transformer.scales import TABLE_STEPS, exponential_table

MAX_LOGIT = 1 << 20


@dataclass(frozen=True)
class ToyConfig(NetworkConfig):
    """Attributes: ``width``, of the one matrix between embedding and output."""

    architecture: ClassVar[str] = "toy"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"doll": {"width": 16}}

    vocabulary_size: int
    width: int = 8
    window: ClassVar[int | None] = 1  # type: ignore[misc]
    tied: ClassVar[bool] = False  # type: ignore[misc]

    shape = property(lambda self: f"one matrix of width {self.width}")
    context = property(lambda self: "one token")
    sight = property(lambda self: "a token sees itself")
    state_bytes = property(lambda self: 1)

    def parameter_counts(self) -> tuple[int, int]:
        return self.width**2, (2 * self.vocabulary_size + 1) * self.width

    def specification(self) -> Specification:
        logits = (self.vocabulary_size + 1, self.vocabulary_size)
        return {"frequency_exponential": ("int32", (FREE_LENGTH,)), "logits": ("int32", logits)}

    def check_exportable(self) -> None:
        if self.width > 1_000:
            raise ValueError(f"width must be at most 1000, not {self.width}")


class ToyNetwork(FloatNetwork):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary_size + 1, config.width)
        self.blocks = nn.ModuleList([Matrix(config.width, config.width)])
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=False)

    def hidden(self, tokens: Tensor, biases: Sequence[Tensor] | None = None) -> Tensor:
        x: Tensor = self.blocks[0](self.embedding(tokens))
        return x


class ToyReference:
    def __init__(self, parameters: IntegerParameters) -> None:
        self.config = parameters.config
        logits, exponential = (torch.from_numpy(parameters[name]) for name in ("logits", "frequency_exponential"))
        self._cumulative: NDArray[np.int32] = cumulate(frequencies(logits, exponential)).numpy()

    def start(self, lanes: int) -> None:
        return None

    def copy(self, state: None, lanes: int) -> None:
        return None

    def rewind(self, state: None, lanes: NDArray[np.int32], tokens: int) -> None:
        return None

    def predict(self, state: None, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        return self._cumulative[tokens]


class ToyArchitecture:
    config = ToyConfig
    kernels: Mapping[str, str] = {}

    @staticmethod
    def parameters(config: ToyConfig, arrays: Mapping[str, IntegerArray]) -> IntegerParameters:
        parameters = IntegerParameters.from_arrays(config, arrays)
        table = parameters["frequency_exponential"]
        if table[0] != TOTAL or table[-1] != 0 or np.abs(parameters["logits"]).max() > MAX_LOGIT:
            raise ModelInvalid("model logits: out of range")
        return parameters

    @staticmethod
    def reference(parameters: IntegerParameters, device: torch.device | str = "cpu") -> ToyReference:
        return ToyReference(parameters)

    @staticmethod
    def float_form(config: ToyConfig) -> ToyNetwork:
        return ToyNetwork(config)

    @staticmethod
    def start_rounding(network: ToyNetwork, tokens: Tensor) -> None:
        """Its integer form is a table, which loses nothing."""

    @staticmethod
    def quantize(network: ToyNetwork, calibration_tokens: Tensor, *, weight_bits: int = 8) -> IntegerParameters:
        with torch.no_grad():
            nats = network(torch.arange(network.config.vocabulary_size + 1)[:, None])[:, 0]
        steps = (nats / np.log(2) * TABLE_STEPS).round().clamp(-MAX_LOGIT, MAX_LOGIT).to(torch.int32)
        tensors = {"logits": steps, "frequency_exponential": exponential_table(TOTAL)}
        return IntegerParameters.from_tensors(network.config, tensors)

    @staticmethod
    def restore(parameters: IntegerParameters) -> ToyNetwork:
        raise ModelInvalid("a toy cannot be fine-tuned")
