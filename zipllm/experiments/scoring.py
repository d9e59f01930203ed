"""Bits that data costs under a model, in the context that an archive gives every token.

``payload`` sums ``-log2`` of the integer probabilities: the payload of an archive by the model alone, up to a few bytes
a block. ``archive_bytes`` is the size of a whole archive, with the history.
"""

import io

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.setup import TEXT_STYLE, coding_parameters
from zipllm.codec.options import DEFAULT_HISTORY_BITS, LANE_BYTES, EncodeOptions
from zipllm.engine.engine import Engine
from zipllm.measure.costs import model_costs
from zipllm.measure.rates import Evaluation, archive_summary, evaluate_stream


def payload(engine: Engine, data: bytes) -> Evaluation:
    """Return the cost of data under the model alone."""
    return evaluate_stream(io.BytesIO(data), engine, EncodeOptions(history_bits=None))


def archive_bytes(engine: Engine, data: bytes) -> float:
    """Return the size of the archive of data, header included, with the history beside the model."""
    return archive_summary(io.BytesIO(data), engine, EncodeOptions()).coded_bytes


def costs_along(engine: Engine, piece: bytes, *, history: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return offset and bits of every token of a piece, coded as a block of one lane without context before it."""
    bits = DEFAULT_HISTORY_BITS if history else None
    parameters = coding_parameters(len(piece), 1, TEXT_STYLE, bits, engine.predictor.precision)
    costs = model_costs(engine, piece, parameters, None)
    lengths = np.array([len(token) for token in engine.tokenizer.vocabulary])[costs.tokens]
    return np.cumsum(lengths) - lengths, costs.bits


def context_words(window: int | None) -> str:
    """Say in which context numbers were measured."""
    sight = f"window of {window} tokens" if window else "no window"
    return f"as in an archive: a lane of about {LANE_BYTES >> 10} KiB begins with nothing, {sight}"
