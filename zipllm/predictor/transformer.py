"""The Transformer of a model file as a predictor.

Whatever computes it (the reference on any device, compiled kernels on the CPU), the frequencies are the
same integers; the model's self-test is run on it before its first use.
"""

import os
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from zipllm.coder.compiled import COMPILES
from zipllm.errors import UsageError
from zipllm.model.file import Model
from zipllm.model.integer import IntegerTransformer, State
from zipllm.model.parameters import IntegerModel
from zipllm.model.self_test import run_self_test
from zipllm.predictor.base import PRECISION

KERNELS = "ZIPLLM_KERNELS"
"""Environment variable: ``reference`` or ``cpu`` instead of the automatic choice. It never changes a byte."""

_SINGLE_STEPS = 4
"""Tokens of the self-test that are fed one by one, the rest as one pass."""

Lanes = NDArray[np.int32] | None


class _Network(Protocol):
    """What computes: the reference or compiled kernels."""

    def start(self, lanes: int) -> Any: ...
    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]: ...


class TransformerPredictor:
    """Predicts with an integer Transformer.

    Args:
        model: loaded or built, its bounds checked.
        device: a torch device; the frequencies do not depend on it.

    Raises:
        ModelInvalid: the model's self-test fails on this device.
        UsageError: ``ZIPLLM_KERNELS`` asks for something that does not exist here.
    """

    def __init__(self, model: Model, device: torch.device | str = "cpu") -> None:
        config = model.config
        self.vocabulary: tuple[bytes, ...] = model.tokenizer.vocabulary
        self.precision: int = PRECISION
        self.start_token: int = config.start_token
        self.lane_bytes: int = 2 * config.layers * config.window * config.width
        self.engine, self._network = _choose(model.integer, torch.device(device))
        run_self_test(model.model_id, model.self_test, config, self.engine, self._run_test)

    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    def prefill(self, state: Any, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        return self._network.predict(state, tokens, lanes)

    def step(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        cumulative: NDArray[np.int32] = self._network.predict(state, tokens[:, None], lanes)[:, 0]
        return cumulative

    def _run_test(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        state = self.start(1)
        together = max(1, len(tokens) - _SINGLE_STEPS)
        lane = np.zeros(1, dtype=np.int32)
        rows = [self.prefill(state, tokens[None, :together])[0].copy()]
        rows += [self.step(state, tokens[at : at + 1], lane).copy() for at in range(together, len(tokens))]
        return np.concatenate(rows)


class _Reference:
    """The plain torch engine, on any device."""

    def __init__(self, model: IntegerModel, device: torch.device) -> None:
        self._network = IntegerTransformer(model, device)

    def start(self, lanes: int) -> State:
        return self._network.start(lanes)

    def predict(self, state: State, tokens: NDArray[np.int32], lanes: Lanes = None) -> NDArray[np.int32]:
        chosen = None if lanes is None else torch.from_numpy(lanes)
        hidden = self._network.forward(state, torch.from_numpy(np.ascontiguousarray(tokens)), chosen)
        cumulative: NDArray[np.int32] = self._network.cumulative(hidden).cpu().numpy()
        return cumulative


def _choose(model: IntegerModel, device: torch.device) -> tuple[str, _Network]:
    """Return what computes on a device, and its name for messages."""
    wanted = os.environ.get(KERNELS, "") or "auto"
    if wanted not in ("auto", "reference", "cpu"):
        raise UsageError(f"{KERNELS}={wanted}: it is reference, cpu or not set")
    if device.type == "cpu" and COMPILES and wanted != "reference":
        from zipllm.kernels.cpu import CpuTransformer

        return "cpu kernels", CpuTransformer(model)
    if wanted == "cpu":
        raise UsageError(f"{KERNELS}=cpu: the compiled kernels need a working numba and --device cpu")
    return f"reference on {device}", _Reference(model, device)
