"""What coding without history costs, one thread, microseconds a token.

The frequencies are those of the default model for a piece of the text, taken in random order. Other memory is written
between two measurements: what a GPU has just sent is in no cache of the processor either.
"""

from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.row import Row, Settings, timed
from zipllm.coder.fused import open_decoder, open_encoder
from zipllm.engine.engine import Engine, load_engine
from zipllm.mixing.decisions import chunk_decisions, decode_tokens
from zipllm.mixing.predictions import Predictions

LANES, STEPS = (16, 256, 1024), 64
KNOWN = (64, 128)
"""Lanes and steps of the piece that is predicted; only the second half of the steps is used."""
P = ParamSpec("P")
T = TypeVar("T")
ELSEWHERE = np.zeros(40 << 20, dtype=np.uint8)


def coder(settings: Settings) -> Iterator[Row]:
    """Measure the decisions of a chunk as an encoder on a GPU asks for them, the range coder, and decoding by steps."""
    engine = load_engine(None, "cpu")
    tree, (cumulative, tokens) = engine.tree, predicted(engine, settings.text)
    random = np.random.default_rng(0)
    for lanes in LANES:
        picked = random.integers(0, len(tokens), (lanes, STEPS))
        table, counts = tokens[picked], np.full(lanes, STEPS, dtype=np.int64)
        columns = tree.columns[table.ravel()].astype(np.int64)
        selected = np.take_along_axis(cumulative[picked.ravel()], columns, axis=1).reshape(lanes, STEPS, -1)
        first = Predictions(selected[:, :1], tree.columns)
        chunk_decisions(tree, first, table[:, :1], counts // STEPS)  # waits for the compiler
        predictions = Predictions(selected, tree.columns)
        (bits, chances), decisions = cold(chunk_decisions, tree, predictions, table, counts)
        encoder, spare = open_encoder(), open_encoder()
        spare.encode(bits[:1], chances[:1])
        _, encoding = cold(encoder.encode, bits, chances)
        decoder, decoding, rows = open_decoder(encoder.finish()), 0.0, np.empty((lanes, tree.size + 1), np.int32)
        for step in range(STEPS):
            rows[:] = cumulative[picked[:, step]]
            found, seconds = cold(decode_tokens, tree, rows, decoder)
            assert np.array_equal(found, table[:, step])
            decoding += seconds if step else 0.0  # the first waits for the compiler
        for what, seconds, count in (
            ("decisions", decisions, table.size),
            ("range coder", encoding, table.size),
            ("decode", decoding, table.size - lanes),
        ):
            each = round(1e6 * seconds / count, 3)
            row = {"what": f"{what}, {lanes} lanes", "raw_bytes": 0, "seconds": round(seconds, 6)}
            yield row | {"tokens": count, "microseconds_per_token": each, "note": f"{each} us a token"}


def predicted(engine: Engine, text: bytes) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return cumulative frequencies int32 ``[n, V + 1]`` and the tokens that followed, int32 ``[n]``."""
    lanes, steps = KNOWN
    tokens = engine.tokenizer.encode(text[: 16 * lanes * steps])[: lanes * steps].reshape(lanes, steps)
    said = engine.predictor.predict(engine.predictor.start(lanes), tokens[:, :-1], np.arange(lanes, dtype=np.int32))
    half = steps // 2
    kept = said[:, half - 1 :].reshape(-1, said.shape[-1])
    return np.ascontiguousarray(kept), np.ascontiguousarray(tokens[:, half:].ravel())


def cold(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> tuple[T, float]:
    """Call a function with cold caches; return its result and the seconds it took."""
    ELSEWHERE[:] += 1
    return timed(work, *arguments, **options)
