"""What computes the network of a model file: token ids -> cumulative frequencies."""

import importlib
from typing import Any, Literal, Protocol, TypeVar, Unpack

from zipllm.errors import memory_errors
from zipllm.model.architecture import architecture_of
from zipllm.model_file.file import Model
from zipllm.model_file.self_test import run_self_test
from zipllm.predictor.base import Integers, Network, PredictOptions, Rewinding, delivered


class ModelNetwork(Network, Rewinding, Protocol):
    """An implementation of a model's network; every one gives the same integers."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def concurrent(self) -> bool:
        """Whether Python threads gain from predicting side by side, each with its own state."""

    @property
    def selects(self) -> bool:
        """Whether even a single thread gains from a ``Selection``."""


class ReferenceNetwork:
    """The integer network itself, on any torch device; torch runs its own threads."""

    concurrent = False
    selects = False

    def __init__(self, model: Model, device: str) -> None:
        self.name = f"reference on {device}"
        self._network = architecture_of(model.config).reference(model.integer, device)

    @memory_errors()
    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    @memory_errors()
    def copy(self, state: Any, lanes: int) -> Any:
        return self._network.copy(state, lanes)

    @memory_errors()
    def predict(self, state: Any, tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        return delivered(self._network.predict(state, tokens, lanes), how)

    def rewind(self, state: Any, lanes: Integers, tokens: int) -> None:
        self._network.rewind(state, lanes, tokens)


def kernels_of(model: Model, kind: Literal["cpu", "gpu"]) -> Any:
    """Return the module ``network`` of the kernels of a model's architecture, which must have some."""
    return importlib.import_module(f"{architecture_of(model.config).kernels[kind]}.network")


AnyNetwork = TypeVar("AnyNetwork", bound=ModelNetwork)


def tested(model: Model, network: AnyNetwork) -> AnyNetwork:
    """Return ``network`` if it passes the model's self-test, in one pass and in single steps.

    Raises:
        ModelInvalid: it computes other frequencies than the model file records.
    """
    run_self_test(model.model_id, model.self_test, model.config, network.name, network)
    return network
