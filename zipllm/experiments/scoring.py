"""Bits that data costs under a model, in the context that an archive gives every token.

``payload`` sums ``-log2`` of the integer probabilities: the payload of an archive by the model alone, up to a few bytes
a block. ``archive_bytes`` is the size of a whole archive, with the history. ``decoded_archive`` also decodes
and compares.
"""

import io
import time

import numpy as np
from numpy.typing import NDArray

from zipllm.bench.neural import codec_of
from zipllm.bench.protocol import Facts
from zipllm.codec.block.setup import TEXT_STYLE, coding_parameters
from zipllm.codec.levels import encode_options
from zipllm.codec.options import DEFAULT_HISTORY_BITS, LANE_BYTES, EncodeOptions
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.experiments.ledger import Row
from zipllm.measure.costs import model_costs
from zipllm.measure.rates import Evaluation, archive_summary, evaluate_stream


def payload(engine: Engine, data: bytes) -> Evaluation:
    """Return the cost of data under the model alone."""
    return evaluate_stream(io.BytesIO(data), engine, EncodeOptions(history_bits=None))


def archive_bytes(engine: Engine, data: bytes) -> float:
    """Return the size of the archive of data, header included, with the history beside the model."""
    return archive_summary(io.BytesIO(data), engine, EncodeOptions()).coded_bytes


def decoded_archive(engine: Engine | None, data: bytes, *, history: bool) -> Row:
    """Return size, bits per byte and times of an archive of the default level, after it has given the data back.

    Args:
        engine: of any model; None: the history codes alone.
        data: at least one byte.
        history: whether the history helps the model; if not, the model codes every block.

    Raises:
        CorruptData: the archive did not give back its input.
    """
    options = encode_options(history=history, fallback=history, sample=history, verify=False)
    codec = codec_of(engine, options, Facts())
    begin = time.perf_counter()
    archive = codec.compress(data)
    between = time.perf_counter()
    if codec.decompress(archive) != data:
        raise CorruptData("an archive did not give back its input")
    return {
        "raw_bytes": len(data),
        "bytes": len(archive),
        "bpb": 8 * len(archive) / len(data),
        "compress_s": round(between - begin, 3),
        "decompress_s": round(time.perf_counter() - between, 3),
    }


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
