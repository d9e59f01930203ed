"""The reference as what a self-test runs."""

import numpy as np
import torch
from numpy.typing import NDArray

from zipllm.model.integer import IntegerTransformer
from zipllm.model.parameters import IntegerModel
from zipllm.model_file.self_test import Engine


def reference_engine(integer: IntegerModel, device: torch.device | str = "cpu") -> Engine:
    """An engine that computes by ``zipllm.model.integer``: one pass over most tokens, then single steps."""

    def run(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        network = IntegerTransformer(integer, device)
        state = network.start(1)
        row = torch.from_numpy(tokens)[None]
        first = max(1, len(tokens) - 4)
        pieces = [row[:, :first], *(row[:, step : step + 1] for step in range(first, len(tokens)))]
        hidden = torch.cat([network.forward(state, piece) for piece in pieces], dim=1)
        cumulative: NDArray[np.int32] = network.cumulative(hidden)[0].cpu().numpy()
        return cumulative

    return run
