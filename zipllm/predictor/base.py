"""What every predictor promises: the only thing the codec knows about a model.

A predictor follows several *lanes* side by side. Each lane is a token stream of its own; what one lane
is fed never changes the prediction of another. A stream begins with ``start_token``, whose prediction
is that of the first real token.

The contract behind lossless coding: ``prefill`` of T tokens gives, bit for bit, what T calls of ``step``
give, for every way of cutting the stream into calls, every subset of lanes per step, every number of
lanes and threads. The encoder relies on the first, the decoder on the second.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
"""The frequencies of a prediction are integers, each at least 1, that sum to ``2**PRECISION``."""

State = Any
"""What a predictor remembers of its lanes; opaque to everyone else."""


class Selection(NamedTuple):
    """Which of the cumulative frequencies of predictions are wanted, where not all are.

    Attributes:
        columns: int32 ``[rows, d]``, their numbers, 0 to V; best always the same array.
        wanted: int32 ``[n, T]``, the row of ``columns`` for each prediction.
    """

    columns: NDArray[np.int32]
    wanted: NDArray[np.int32]


class Predictor(Protocol):
    """Frequencies of the next token, for a batch of lanes."""

    @property
    def vocabulary(self) -> tuple[bytes, ...]:
        """Byte string of every token id, sorted; V entries."""

    @property
    def precision(self) -> int:
        """Frequencies sum to ``2**precision``."""

    @property
    def start_token(self) -> int:
        """Id fed first to every lane; always V, never predicted."""

    @property
    def lane_bytes(self) -> int:
        """Memory that the state of one lane takes, so that a reader can refuse too many lanes beforehand."""

    def start(self, lanes: int) -> State:
        """Return the memory of ``lanes`` lanes that have seen nothing."""

    def prefill(
        self, state: State, tokens: NDArray[np.int32], lanes: NDArray[np.int32] | None = None
    ) -> NDArray[np.int32]:
        """Feed ``T`` tokens to several lanes at once.

        Args:
            state: changed in place.
            tokens: int32 ``[n, T]``, ids 0 to V.
            lanes: int32 ``[n]``, distinct lane numbers, ascending; the others stay as they are. None: all lanes.

        Returns:
            Cumulative frequencies of the token after each one fed: int32 ``[n, T, V + 1]``, strictly
            ascending along the last axis from 0 to ``2**precision``. Valid until the next call.
        """

    def step(self, state: State, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Feed one token to each lane named; the other lanes stay as they are.

        Args:
            state: changed in place.
            tokens: int32 ``[n]``, the token for each lane named.
            lanes: int32 ``[n]``, distinct lane numbers, ascending.

        Returns:
            int32 ``[n, V + 1]`` cumulative frequencies, as ``prefill``. Valid until the next call.
        """


@runtime_checkable
class ThreadedPredictor(Predictor, Protocol):
    """A predictor that several threads may use at once, each with a state of its own."""

    @property
    def threads(self) -> int:
        """How many threads are worth using; 1: do not."""

    def predict_into(
        self,
        state: State,
        tokens: NDArray[np.int32],
        lanes: NDArray[np.int32],
        out: NDArray[np.int32],
        threads: int = 1,
        selection: Selection | None = None,
    ) -> None:
        """Do what ``prefill`` does, with the result where the caller wants it.

        Args:
            state: changed in place.
            tokens: int32 ``[n, T]``.
            lanes: int32 ``[n]``, ascending.
            out: int32 ``[n, T, V + 1]``, C-contiguous; receives the cumulative frequencies. ``[n, T, d]`` with a
                selection, which only a ``SelectingPredictor`` that ``selects`` is asked for.
            threads: that this call may use.
            selection: what is wanted of them.
        """


@runtime_checkable
class SelectingPredictor(Predictor, Protocol):
    """A predictor on the other side of a slow bus or memory, which need not hand over the whole of a prediction."""

    @property
    def selects(self) -> bool:
        """Whether it pays to ask for less."""

    def select(
        self, state: State, tokens: NDArray[np.int32], lanes: NDArray[np.int32], selection: Selection
    ) -> NDArray[np.int32]:
        """Do what ``prefill`` does, and return some columns of each prediction.

        Args:
            state: changed in place.
            tokens: int32 ``[n, T]``.
            lanes: int32 ``[n]``, ascending.
            selection: which.

        Returns:
            int32 ``[n, T, d]``, valid until the next call but one, so that the next can be made while this is used.
        """


@runtime_checkable
class ExactPredictor(Predictor, Protocol):
    """A predictor that computes with integers, whose order does not matter: the contract holds by construction."""

    @property
    def exact(self) -> bool:
        """Whether that is so; a predictor of floats may keep the contract by taking one token at a time."""


@runtime_checkable
class CopyingPredictor(Predictor, Protocol):
    """A predictor whose memory can be copied, so that many texts can follow the same beginning."""

    def copies(self, state: State, lanes: int) -> State:
        """Return the memory of ``lanes`` lanes that have each seen what lane 0 of ``state`` has seen."""
