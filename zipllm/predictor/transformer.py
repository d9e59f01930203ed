"""The Transformer of a model file as a predictor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.kernels.cpu.layout import lane_bytes
from zipllm.machine import threads
from zipllm.model_file.file import Model
from zipllm.predictor.base import PRECISION, Selection
from zipllm.predictor.networks import CudaKernels, choose_network


class TransformerPredictor:
    """Predicts with an integer Transformer; the frequencies do not depend on what computes it.

    Args:
        model: loaded or built, its bounds checked.
        device: the name of a torch device.

    Raises:
        ModelInvalid: the model's self-test fails on this device.
        UsageError: ``ZIPLLM_KERNELS`` asks for something that does not exist here.
    """

    def __init__(self, model: Model, device: str = "cpu") -> None:
        self.vocabulary: tuple[bytes, ...] = model.tokenizer.vocabulary
        self.precision: int = PRECISION
        self.start_token: int = model.config.start_token
        # One number for all engines (the reference needs less), so that all accept the same archives.
        self.lane_bytes: int = lane_bytes(model.config)
        self._network = choose_network(model, device)

    @property
    def engine(self) -> str:
        """Name of what computes, for messages."""
        return self._network.name

    @property
    def exact(self) -> bool:
        return True

    @property
    def threads(self) -> int:
        return threads() if self._network.concurrent else 1

    @property
    def selects(self) -> bool:
        return isinstance(self._network, CudaKernels) or self.threads > 1

    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    def copies(self, state: Any, lanes: int) -> Any:
        return self._network.copies(state, lanes)

    def prefill(
        self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32] | None = None
    ) -> NDArray[np.int32]:
        return self._network.predict(state, tokens, lanes)

    def select(
        self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32], selection: Selection
    ) -> NDArray[np.int32]:
        if isinstance(self._network, CudaKernels):
            return self._network.select(state, tokens, lanes, *selection)
        out = np.empty((*tokens.shape, selection.columns.shape[1]), dtype=np.int32)
        self._network.predict_into(state, tokens, lanes, out, threads(), selection)
        return out

    def step(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        cumulative: NDArray[np.int32] = self._network.predict(state, tokens[:, None], lanes)[:, 0]
        return cumulative

    def predict_into(
        self,
        state: Any,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int = 1,
        selection: Selection | None = None,
    ) -> None:
        self._network.predict_into(state, tokens, lanes, out, threads, selection)
