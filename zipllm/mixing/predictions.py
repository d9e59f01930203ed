"""A model's predictions as coding takes them: whole, or only the columns that coding reads; and what fails with them.

Compiled code raises nothing: its negative results stand for errors, which ``check`` raises.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import CorruptData

BROKEN, DAMAGED, OVERRUN = -1, -2, -3


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


def check_result(result: float) -> None:
    """Raise the error that a negative result stands for.

    Raises:
        CorruptData: coded words are impossible, or a token goes past its lane's end.
        ValueError: frequencies do not ascend.
    """
    if result == BROKEN:
        raise ValueError("cumulative frequencies are not strictly ascending: the predictor is broken")
    if result == DAMAGED:
        raise CorruptData("coded words are impossible: the payload is damaged")
    if result == OVERRUN:
        raise CorruptData("the payload of a block decodes to a token that overruns its lane")
