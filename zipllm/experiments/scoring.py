"""Bits that data costs under a model, in the context that an archive gives every token.

``payload`` sums ``-log2`` of the integer probabilities: the payload of an archive by the model alone, up to a few bytes
a block. ``archive`` is the size of a whole archive, with the history.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.lanes import LANE_BYTES
from zipllm.codec.options import HISTORY_BITS, EncodeOptions
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.measure.costs import model_costs
from zipllm.measure.evaluate import Evaluation, archive_summary, evaluate_stream
from zipllm.mixing.adaptive import MIXER_VERSION
from zipllm.model_file.file import Model, model_to_bytes

_ALONE = EncodeOptions(history_bits=None)


@dataclass(frozen=True)
class Score:
    """What some data cost.

    Attributes:
        raw_bytes: size of the data.
        bits: cost of the data.
        tokens: number of tokens; 0 for an archive.
        model_bytes: size of the model file.
    """

    raw_bytes: int
    bits: float
    tokens: int
    model_bytes: int

    @property
    def bpb(self) -> float:
        """Bits per byte."""
        return self.bits / self.raw_bytes


def payload(model: Model | Engine, data: bytes) -> Score:
    """Return the cost of data under the model alone."""
    engine = _engine(model)
    found: Evaluation = evaluate_stream(io.BytesIO(data), engine, _ALONE)
    return Score(found.raw_bytes, found.bits, found.tokens, _size(model))


def archive(model: Model | Engine, data: bytes) -> Score:
    """Return the size of the archive of data, header included, with the history beside the model."""
    engine = _engine(model)
    summary = archive_summary(io.BytesIO(data), engine, EncodeOptions())
    return Score(summary.raw_bytes, 8.0 * summary.coded_bytes, 0, _size(model))


def costs_along(engine: Engine, piece: bytes, *, history: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the byte offset of every token of a piece, and the bits it costs.

    Args:
        engine: the model.
        piece: coded as a block of one lane, without context before it.
        history: mix the history in.
    """
    precision = engine.predictor.precision
    mixer, slots = (MIXER_VERSION, max(HISTORY_BITS[0], len(piece).bit_length() + 4)) if history else (0, 0)
    parameters = CodingParameters(1, PROBABILITY_BITS, precision=precision, mixer=mixer, history=slots)
    costs = model_costs(engine, piece, parameters, None)
    lengths = np.array([len(token) for token in engine.tokenizer.vocabulary])[costs.tokens]
    return np.cumsum(lengths) - lengths, costs.bits


def context_words(window: int) -> str:
    """Say in which context numbers were measured."""
    return f"as in an archive: a lane of about {LANE_BYTES >> 10} KiB begins with nothing, window of {window} tokens"


def _engine(model: Model | Engine) -> Engine:
    return model if isinstance(model, Engine) else engine_from_model(model)


def _size(model: Model | Engine) -> int:
    if isinstance(model, Engine):
        return len(model.model_file()) if model.model_file else 0
    return len(model_to_bytes(model))
