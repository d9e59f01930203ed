"""A network that computes before its kernels are compiled."""

import logging
import time
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, Unpack

from zipllm.model_file.file import Model
from zipllm.predictor.base import Integers, PredictOptions
from zipllm.predictor.network import ModelNetwork, ReferenceNetwork, kernels_of, tested

PATIENCE = 2.0
"""Seconds that the reference may compute before kernels are compiled. With the import of torch this is less than the
compiler takes, so small inputs never wait for it; and where the reference is slow, every later run gains."""

_log = logging.getLogger(__name__)


class _Kernels(ModelNetwork, Protocol):
    """Compiled kernels of the model's architecture."""

    def take_over(self, state: Any) -> Any:
        """Return the reference's state in the kernels' form."""


@dataclass
class _LateState:
    """The state of the network that computes; ``early`` while that is the reference."""

    inner: Any
    early: bool


class LateNetwork:
    """Starts with the reference and changes to compiled kernels as soon as compiling them pays.

    For several lanes, which only long blocks have, it pays at once. Either network passes the self-test before its
    first use.
    """

    selects = False

    def __init__(self, model: Model) -> None:
        self._model = model
        self._reference: ReferenceNetwork | None = None
        self._kernels: _Kernels | None = None
        self._spent = 0.0
        self._lock = Lock()

    @property
    def name(self) -> str:
        network = self._kernels or self._reference
        return "nothing yet" if network is None else network.name

    @property
    def concurrent(self) -> bool:
        return self._kernels is not None

    def start(self, lanes: int) -> _LateState:
        kernels = self._compiled() if lanes > 1 else self._kernels
        return _LateState((kernels or self._tested_reference()).start(lanes), early=kernels is None)

    def copy(self, state: _LateState, lanes: int) -> _LateState:
        source = self._tested_reference() if state.early else self._compiled()
        return _LateState(source.copy(state.inner, lanes), state.early)

    def predict(self, state: _LateState, tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        kernels = self._compiled() if self._spent > PATIENCE else self._kernels
        if kernels is None:
            begin = time.perf_counter()
            prediction = self._tested_reference().predict(state.inner, tokens, lanes, **how)
            self._spent += time.perf_counter() - begin
            return prediction
        if state.early:
            state.inner, state.early = kernels.take_over(state.inner), False
        return kernels.predict(state.inner, tokens, lanes, **how)

    def rewind(self, state: _LateState, lanes: Integers, tokens: int) -> None:
        network = self._tested_reference() if state.early else self._compiled()
        network.rewind(state.inner, lanes, tokens)

    def _tested_reference(self) -> ReferenceNetwork:
        with self._lock:
            if self._reference is None:
                self._reference = tested(self._model, ReferenceNetwork(self._model, "cpu"))
            return self._reference

    def _compiled(self) -> _Kernels:
        """Return the kernels; their self-test compiles them."""
        with self._lock:
            if self._kernels is None:
                begin = time.perf_counter()
                _log.info("compiling kernels for this processor; this happens once")
                kernels: _Kernels = kernels_of(self._model, "cpu").CpuNetwork(self._model.integer)
                self._kernels = tested(self._model, kernels)
                _log.info("kernels compiled in %.1f s", time.perf_counter() - begin)
            return self._kernels
