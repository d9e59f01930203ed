"""A GPU that several blocks share: whole texts in one process, and tokens per second of the network.

Every row is the second run of two, so that no figure includes what starting takes (CUDA, loading kernels, capturing
steps).
"""

import io
import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.speed.row import MB, Row, Settings, kb_per_second, timed
from benchmarks.speed.stages import profiled
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import DEFAULT_HISTORY_BITS, EncodeOptions
from zipllm.engine.engine import Engine, load_engine
from zipllm.predictor.base import Selection

WORKERS = min(16, os.cpu_count() or 1)


class Way(NamedTuple):
    """Block size in MiB, lanes of a block, whether the history is on."""

    block: int
    lanes: int
    history: bool

    def __str__(self) -> str:
        return f"{self.block} MiB blocks, {self.lanes} lanes, history {'on' if self.history else 'off'}"


WAYS = [Way(4, 1024, False), Way(2, 512, False), Way(1, 256, True)]


def gpu(settings: Settings) -> Iterator[Row]:
    """Compress and decompress by block size, lanes and history, then run the network alone."""
    engine = load_engine(None, "cuda")
    name = torch.cuda.get_device_name()
    for row in chain(whole(engine, settings.text), network(engine)):
        yield row | {"gpu": name, "engine": engine.predictor.network.name, "workers": WORKERS}  # type: ignore[attr-defined]


def whole(engine: Engine, text: bytes) -> Iterator[Row]:
    for way in WAYS:
        options = EncodeOptions(
            block_size=way.block * MB,
            lanes=way.lanes,
            verify=False,
            history_bits=DEFAULT_HISTORY_BITS if way.history else None,
            workers=WORKERS,
        )
        packed(engine, text, options)
        archive = yield from second(f"compress, {way}", text, partial(packed, engine, text, options))
        assert unpacked(engine, archive) == text
        yield from second(f"decompress, {way}", text, partial(unpacked, engine, archive))


def packed(engine: Engine, text: bytes, options: EncodeOptions) -> bytes:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(text), sink, engine=engine, options=options)
    return sink.getvalue()


def unpacked(engine: Engine, archive: bytes) -> bytes:
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(archive), sink, options=DecodeOptions(engines=lambda _: engine, workers=WORKERS))
    return sink.getvalue()


def second(what: str, text: bytes, work: Callable[[], bytes]) -> Generator[Row, None, bytes]:
    """Do some work, yield what its stages cost, and return its result."""
    rows = profiled(what, len(text), work)
    whole = next(rows)
    whole |= {"kb_per_second": kb_per_second(len(text), whole["seconds"])}
    yield whole
    return (yield from rows)


def network(engine: Engine) -> Iterator[Row]:
    """Measure single steps, and passes that hand over only what coding needs."""
    predictor, columns = engine.predictor, engine.tree.columns
    random = np.random.default_rng(0)
    for lanes, time_, calls in ((1, 1, 100), (64, 1, 100), (256, 1, 100), (1024, 1, 50), (64, 256, 10), (1024, 64, 5)):
        state, chosen = predictor.start(lanes), np.arange(lanes, dtype=np.int32)
        tokens = random.integers(0, len(predictor.vocabulary), (lanes, time_), dtype=np.int32)

        selection = Selection(columns, tokens)
        call = partial(predictor.predict, state, tokens, chosen, selection=None if time_ == 1 else selection)
        repeat(call, 300 if time_ == 1 else 4)
        _, seconds = timed(repeat, call, calls)
        seconds /= calls
        rate = round(tokens.size / seconds)
        what = f"{'step' if time_ == 1 else 'pass'}: {lanes} lanes, {time_} tokens"
        row = {"what": what, "raw_bytes": 0, "seconds": round(seconds, 6), "tokens_per_second": rate}
        yield row | {"note": f"{rate:,}/s"}


def repeat(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()
