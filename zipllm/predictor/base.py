"""The contract of a predictor: the only thing the codec knows about a model.

A predictor follows several *lanes* side by side, each a token stream. What one lane is fed never changes
the prediction of another. A stream begins with ``start_token``, whose prediction is that of the first real token.

Lossless coding rests on this: one call with T tokens gives, bit for bit, what T calls with one token give, however
the stream is cut into calls, for every subset of lanes per call and every number of lanes and threads. Encoders feed
many tokens at once, decoders one.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypedDict, Unpack, runtime_checkable

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
"""The frequencies of a prediction are integers, each at least 1, that sum to ``2**PRECISION``."""

Integers = NDArray[np.int32]
State = Any
"""What a predictor remembers of its lanes; opaque to everyone else."""


class Selection(NamedTuple):
    """The columns of each prediction that coding reads.

    Attributes:
        columns: int32 ``[rows, d]``, column numbers from 0 to V. Predictors cache the last array they were given.
        wanted: int32 ``[n, T]``, the row of ``columns`` that applies to each prediction.
    """

    columns: Integers
    wanted: Integers


class PredictOptions(TypedDict, total=False):
    """Keyword arguments of ``Network.predict``.

    Attributes:
        out: C-contiguous array of the result's shape that receives the result.
        threads: processor threads that the call may use; 1 by default.
        selection: the columns to return of each prediction; all by default.
    """

    out: Integers | None
    threads: int
    selection: Selection | None


@dataclass(frozen=True)
class Traits:
    """What a predictor can do beyond the contract.

    Attributes:
        threads: Python threads that may predict side by side, each with its own state; 1 if that gains nothing,
            for example because the predictor runs threads itself.
        selects: predicting is faster with a ``Selection``.
        exact: the contract holds by construction, because all arithmetic is on integers. A predictor of floats can
            keep the contract only by taking one token at a time.
        copies: ``copy`` works.
        costly_steps: a step of one lane takes nearly as long as a step of several, because it reads so many weights.
    """

    threads: int = 1
    selects: bool = False
    exact: bool = True
    copies: bool = False
    costly_steps: bool = False


class Network(Protocol):
    """Predicts the next token for a batch of lanes."""

    def start(self, lanes: int) -> State:
        """Return the state of ``lanes`` lanes that have been fed nothing."""

    def predict(self, state: State, tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        """Feed T tokens to each of n lanes.

        Args:
            state: changed in place; lanes that are not named stay as they are.
            tokens: int32 ``[n, T]``, ids 0 to V.
            lanes: int32 ``[n]``, distinct lane numbers, ascending.
            how: see ``PredictOptions``.

        Returns:
            Cumulative frequencies of the token after each one fed: int32 ``[n, T, V + 1]``, strictly ascending along
            the last axis from 0 to ``2**precision``; ``[n, T, d]`` with a selection. It is ``out`` if given. Otherwise
            it belongs to the state and is valid until the next call with that state; with a selection, until the next
            call but one, so that the next chunk can be predicted while this one is being coded.

        Raises:
            MemoryError: memory, of the processor or of a GPU, has run out.
            ValueError: an index is out of range, or ``out`` has the wrong shape or type.
        """

    def copy(self, state: State, lanes: int) -> State:
        """Return the state of ``lanes`` lanes that have each been fed what lane 0 of ``state`` was; see ``Traits``."""


class Predictor(Network, Protocol):
    """A network and what the codec must know of it."""

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
        """Memory that the state of one lane takes, so that a reader can refuse too many lanes before it starts."""

    @property
    def traits(self) -> Traits:
        """What this predictor can do; may change once ``start`` has been called."""


@runtime_checkable
class Rewinding(Protocol):
    """A network whose lanes can forget what they were just fed: a decoder may feed it guesses."""

    def rewind(self, state: State, lanes: Integers, tokens: int) -> None:
        """Take back the last ``tokens`` tokens of lanes int32 ``[n]``, all of one call.

        At most ``model.config.MOST_REWOUND``.
        """


def delivered(cumulative: Integers, how: PredictOptions) -> Integers:
    """Turn whole predictions int32 ``[n, T, V + 1]`` into what ``Network.predict`` was asked to return."""
    out, selection = how.get("out"), how.get("selection")
    if selection is not None:
        cumulative = np.take_along_axis(cumulative, selection.columns[selection.wanted], axis=2)
    if out is None:
        return cumulative
    out[...] = cumulative
    return out
