"""What computes the network of a model file: token ids -> cumulative frequencies."""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from zipllm.errors import memory_errors
from zipllm.model_file.file import Model
from zipllm.model_file.self_test import run_self_test
from zipllm.predictor.base import Integers, Selection, delivered

if TYPE_CHECKING:
    from zipllm.model.integer import State

_SINGLE_STEPS = 4
"""Tokens at the end of the self-test that are fed one by one, after one pass over the others."""


class Network(Protocol):
    """An implementation of a model's network; every one gives the same integers."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def concurrent(self) -> bool:
        """Whether Python threads gain from predicting side by side, each with a state of its own."""

    @property
    def selects(self) -> bool:
        """Whether even a single thread gains from a ``Selection``."""

    def start(self, lanes: int) -> Any:
        """As ``Predictor.start``."""

    def predict(
        self,
        state: Any,
        tokens: Integers,
        lanes: Integers,
        *,
        out: Integers | None = None,
        threads: int = 1,
        selection: Selection | None = None,
    ) -> Integers:
        """As ``Predictor.predict``.

        Raises:
            MemoryError: memory, of the processor or of a GPU, has run out.
            ValueError: an index is out of range, or ``out`` has the wrong shape or type.
        """

    def copy(self, state: Any, lanes: int) -> Any:
        """As ``Predictor.copy``."""


class ReferenceNetwork:
    """Plain torch on any device; torch uses threads of its own."""

    concurrent = False
    selects = False

    def __init__(self, model: Model, device: str) -> None:
        from zipllm.model.integer import IntegerTransformer

        self.name = f"reference on {device}"
        self._network = IntegerTransformer(model.integer, device)

    @memory_errors()
    def start(self, lanes: int) -> "State":
        return self._network.start(lanes)

    @memory_errors()
    def copy(self, state: "State", lanes: int) -> "State":
        keys, values = (ring[:, :1].repeat_interleave(lanes, 1) for ring in (state.keys, state.values))
        return type(state)(keys, values, state.positions[:1].repeat_interleave(lanes))

    @memory_errors()
    def predict(
        self,
        state: "State",
        tokens: Integers,
        lanes: Integers,
        *,
        out: Integers | None = None,
        threads: int = 1,
        selection: Selection | None = None,
    ) -> Integers:
        import torch

        hidden = self._network.forward(state, torch.from_numpy(np.ascontiguousarray(tokens)), torch.from_numpy(lanes))
        return delivered(self._network.cumulative(hidden).cpu().numpy(), out, selection)


AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def tested(model: Model, network: AnyNetwork) -> AnyNetwork:
    """Return ``network`` if it passes the model's self-test, in one pass and in single steps.

    Raises:
        ModelInvalid: it computes other frequencies than the model file records.
    """

    def run(tokens: Integers) -> Integers:
        state, lane = network.start(1), np.zeros(1, dtype=np.int32)
        first = max(1, len(tokens) - _SINGLE_STEPS)
        pieces = np.split(tokens[None], range(first, len(tokens)), axis=1)
        return np.concatenate([network.predict(state, piece, lane)[0].copy() for piece in pieces])

    run_self_test(model.model_id, model.self_test, model.config, network.name, run)
    return network
