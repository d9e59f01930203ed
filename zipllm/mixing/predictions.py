"""A model's predictions as coding takes them: whole, or only the columns that coding reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """Cumulative frequencies of tokens.

    Attributes:
        cumulative: int32 ``[..., V + 1]``, or ``[..., d]`` with columns; empty along the last axis without a model.
        columns: int32 ``[V, d]``, ``DecisionTree.columns``, if ``cumulative`` has of each prediction only the columns
            of the token that comes next. None: whole predictions.
    """

    cumulative: NDArray[np.int32]
    columns: NDArray[np.int32] | None = None

    @property
    def selected(self) -> bool:
        """Whether they are limited to columns."""
        return self.columns is not None


NO_MODEL = Predictions(np.zeros((1, 1, 0), dtype=np.int32))
"""Stands for the predictions of any number of steps where no model predicts."""
