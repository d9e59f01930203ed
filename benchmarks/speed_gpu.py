"""A GPU that several blocks share, for ``speed.py``: whole texts in one process, and tokens per second of the network.

What starts a process (CUDA, kernels loaded, steps captured) is not in the figures: every row is the second run of two.
"""

import io
import os
import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from speed_inside import profiled

from zipllm.codec.decoder import decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import DEFAULT_HISTORY_BITS, EncodeOptions
from zipllm.engine.engine import Engine, load_engine
from zipllm.predictor.base import Selection

MB = 1 << 20
WORKERS = min(16, os.cpu_count() or 1)


class Way(NamedTuple):
    """Block size in MiB, lanes of a block, whether the history is on."""

    block: int
    lanes: int
    history: bool

    def __str__(self) -> str:
        return f"{self.block} MiB blocks, {self.lanes} lanes, history {'on' if self.history else 'off'}"


WAYS = [Way(4, 1024, False), Way(2, 512, False), Way(1, 256, True)]


def gpu(text: bytes) -> Iterator[dict[str, Any]]:
    """Compress and decompress on the GPU by block size, lanes and history, and the network alone."""
    engine = load_engine(None, "cuda")
    name = torch.cuda.get_device_name()
    for row in chain(whole(engine, text), network(engine)):
        yield row | {"gpu": name, "engine": engine.predictor.engine, "workers": WORKERS}  # type: ignore[attr-defined]


def whole(engine: Engine, text: bytes) -> Iterator[dict[str, Any]]:
    for way in WAYS:
        options = EncodeOptions(
            block_size=way.block * MB,
            lanes=way.lanes,
            verify=False,
            history_bits=DEFAULT_HISTORY_BITS if way.history else None,
            workers=WORKERS,
        )
        packed(engine, text, options)
        archive = yield from second(f"compress, {way}", text, lambda options=options: packed(engine, text, options))
        assert unpacked(engine, archive) == text
        yield from second(f"decompress, {way}", text, lambda archive=archive: unpacked(engine, archive))


def packed(engine: Engine, text: bytes, options: EncodeOptions) -> bytes:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(text), sink, engine=engine, options=options)
    return sink.getvalue()


def unpacked(engine: Engine, archive: bytes) -> bytes:
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(archive), sink, engines=lambda _: engine, workers=WORKERS)
    return sink.getvalue()


def second(what: str, text: bytes, work: Callable[[], bytes]) -> Generator[dict[str, Any], None, bytes]:
    """Do some work, tell what its stages cost, and return the result."""
    rows = profiled(what, len(text), work)
    whole = next(rows)
    whole |= {"kb_per_second": round(len(text) / whole["seconds"] / 1000, 2)}
    yield whole
    return (yield from rows)


def network(engine: Engine) -> Iterator[dict[str, Any]]:
    """Tokens per second of single steps, and of passes that hand over only what coding needs."""
    predictor, columns = engine.predictor, engine.tree.columns
    random = np.random.default_rng(0)
    for lanes, time_, calls in ((1, 1, 100), (64, 1, 100), (256, 1, 100), (1024, 1, 50), (64, 256, 10), (1024, 64, 5)):
        state, chosen = predictor.start(lanes), np.arange(lanes, dtype=np.int32)
        tokens = random.integers(0, len(predictor.vocabulary), (lanes, time_), dtype=np.int32)

        def call(state: Any = state, tokens: Any = tokens, chosen: Any = chosen) -> None:
            if tokens.shape[1] == 1:
                predictor.step(state, tokens[:, 0], chosen)
            else:
                predictor.select(state, tokens, chosen, Selection(columns, tokens))  # type: ignore[attr-defined]

        for _ in range(300 if time_ == 1 else 4):
            call()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        seconds = (time.perf_counter() - begin) / calls
        rate = round(tokens.size / seconds)
        what = f"{'step' if time_ == 1 else 'pass'}: {lanes} lanes, {time_} tokens"
        row = {"what": what, "raw_bytes": 0, "seconds": round(seconds, 6), "tokens_per_second": rate}
        yield row | {"note": f"{rate:,}/s"}
