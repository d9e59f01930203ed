"""Small archives that ask for much output or much work: refused before it is done, by every reader."""

import contextlib
import io
import time
import tracemalloc
from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.engines import byte_engine, engine_with
from tests.codec.test_damage import archive_with
from zipllm.codec.block import conventional_block
from zipllm.codec.block.coding import AdaptiveDecoder
from zipllm.codec.block.setup import lane_memory
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.reading.archive_file import ZipllmFile
from zipllm.codec.reading.extract import extract_range
from zipllm.codec.reading.salvage import salvage_stream
from zipllm.container import ArchiveHeader, ArchiveWriter, BlockHeader, Coding, Limits, scan
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, LimitExceeded
from zipllm.predictor.ngram import NgramPredictor

MIB = 1 << 20


def bomb(blocks: int, raw: bytes = bytes(MIB)) -> bytes:
    """Zeros by the thousandfold: ``blocks`` of ``raw``, each a few dozen bytes."""
    coding, payload = conventional_block.zstd_strong(raw)
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(len(raw)))
    for _ in range(blocks):
        writer.block(BlockHeader(coding, len(raw), len(payload), crc32(raw)), payload)
    writer.end(bytes(32))
    return sink.getvalue()


class Nowhere:
    """Counts what it is given."""

    size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        return len(data)


READERS: dict[str, Callable[[bytes, Nowhere, Limits], object]] = {
    "decompress": lambda archive, sink, limits: decompress_stream(
        io.BytesIO(archive), sink, options=DecodeOptions(engines=found, limits=limits)
    ),
    "test": lambda archive, sink, limits: decompress_stream(
        io.BytesIO(archive), None, options=DecodeOptions(engines=found, limits=limits)
    ),
    "list": lambda archive, sink, limits: list(scan(io.BytesIO(archive), limits)),
    "salvage": lambda archive, sink, limits: salvage_stream(
        io.BytesIO(archive), sink, options=DecodeOptions(engines=found, limits=limits)
    ),
    "range": lambda archive, sink, limits: extract_range(
        io.BytesIO(archive), sink, 0, None, options=DecodeOptions(engines=found, limits=limits)
    ),
    "open": lambda archive, sink, limits: sink.write(
        ZipllmFile(io.BytesIO(archive), decode=DecodeOptions(engines=found, limits=limits)).read()
    ),
    "seek": lambda archive, sink, limits: ZipllmFile(
        io.BytesIO(archive), decode=DecodeOptions(engines=found, limits=limits)
    ).seek(-1, 2),
}


def found(model_id: bytes) -> Engine:
    return byte_engine()


@pytest.mark.parametrize("reader", READERS)
def test_output_limit_of_every_reader(reader: str) -> None:
    archive, sink = bomb(40), Nowhere()
    assert len(archive) < 5000
    with pytest.raises(LimitExceeded, match="output"):
        READERS[reader](archive, sink, Limits(output=10 * MIB))
    assert sink.size <= 10 * MIB


@pytest.mark.parametrize("reader", READERS)
def test_default_ratio_of_every_reader(reader: str) -> None:
    """What the floor allows is lowered, so that the test need not write a gigabyte."""
    with pytest.raises(LimitExceeded, match="output"):
        READERS[reader](bomb(40), Nowhere(), Limits(output_floor=MIB))


@pytest.mark.parametrize("reader", ["decompress", "test", "list", "salvage", "range"])
def test_memory_is_that_of_a_block(reader: str) -> None:
    archive = bomb(60)
    tracemalloc.start()
    with contextlib.suppress(CorruptData):  # its SHA-256 is none
        READERS[reader](archive, Nowhere(), Limits(output=100 * MIB))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MIB


@pytest.mark.parametrize("reader", READERS)
def test_zeros_that_salvaging_fills_in_are_output(reader: str) -> None:
    """A header that states 2**62 bytes and holds one block."""
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(3, 1 << 62))
    writer.block(BlockHeader(Coding.STORED, 3, 3, crc32(b"raw")), b"raw")
    with pytest.raises((LimitExceeded, CorruptData)):
        READERS[reader](sink.getvalue(), Nowhere(), Limits())


class Counting(NgramPredictor):
    """Counts the tokens that it is asked to predict."""

    steps = 0

    def predict(self, *arguments: Any, **options: Any) -> NDArray[np.int32]:
        self.steps += 1
        return super().predict(*arguments, **options)


def compute_bomb(raw_size: int, lanes: int = 1) -> bytes:
    """A model-coded block of 36 bytes of payload that claims to hold ``raw_size`` bytes."""
    return archive_with(Coding.MODEL, bytes(36), bytes(raw_size), lanes)


def test_compute_bomb_is_refused_before_the_first_step() -> None:
    counting = Counting(byte_engine().tokenizer.vocabulary)
    engine = engine_with(counting)
    for limits in (Limits(output=1 << 19), Limits(block_raw=1 << 19)):
        with pytest.raises(LimitExceeded):
            decompress_stream(
                io.BytesIO(compute_bomb(MIB - 1)),
                None,
                options=DecodeOptions(engines=lambda model_id: engine, limits=limits),
            )
    assert counting.steps == 0


def test_work_is_bounded_by_the_longest_lane() -> None:
    """Ten million symbols fit in 36 bytes, so the payload bounds nothing; the block's size does."""
    counting = Counting(byte_engine().tokenizer.vocabulary)
    engine = Engine(byte_engine().model_id, byte_engine().tokenizer, counting)
    begun = time.monotonic()
    with pytest.raises(CorruptData):
        decompress_stream(
            io.BytesIO(compute_bomb(3000, lanes=3)), None, options=DecodeOptions(engines=lambda model_id: engine)
        )
    assert counting.steps <= 1000
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("lanes", [1, 16, 4096])
def test_payload_that_is_too_short_ends_decoding(monkeypatch: pytest.MonkeyPatch, lanes: int) -> None:
    """The decoder reads on in zeros behind the words; it must notice."""
    decoded = 0
    decode = AdaptiveDecoder.decode_without_model

    def counting(self: AdaptiveDecoder, rows: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
        nonlocal decoded
        decoded += rows.size * steps
        return decode(self, rows, steps)

    monkeypatch.setattr(AdaptiveDecoder, "decode_without_model", counting)
    archive = archive_with(Coding.HISTORY, b"", bytes(MIB), lanes, history=12)
    with pytest.raises(CorruptData, match="too short"):
        decompress_stream(io.BytesIO(archive), None)
    assert decoded <= MIB // 8


class Uniform(Counting):
    """Every byte costs eight bits."""

    def predict(self, state: Any, tokens: Any, lanes: Any, **options: Any) -> NDArray[np.int32]:
        self.steps += 1
        return np.broadcast_to(np.arange(257, dtype=np.int32) << 16, (*tokens.shape, 257))


def test_payload_of_a_model_that_is_too_short_ends_decoding() -> None:
    uniform = Uniform(byte_engine().tokenizer.vocabulary)
    engine = Engine(byte_engine().model_id, byte_engine().tokenizer, uniform)
    archive = archive_with(Coding.MODEL, bytes(40), bytes(3000), lanes=1)
    with pytest.raises(CorruptData, match="too short"):
        decompress_stream(io.BytesIO(archive), None, options=DecodeOptions(engines=lambda model_id: engine))
    assert uniform.steps <= 50


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("list", "seek")])
@pytest.mark.parametrize(
    ("archive", "needed"),
    [
        (archive_with(Coding.HISTORY, b"", bytes(1000), 1, history=24), 512 * MIB),
        (archive_with(Coding.MODEL, b"", bytes(1000), 1000), 1000 * lane_memory(byte_engine())),
    ],
    ids=["history", "lanes"],
)
def test_memory_of_a_block_is_limited(reader: str, archive: bytes, needed: int) -> None:
    """What decoding takes counts, not only what the archive declares."""
    with pytest.raises(LimitExceeded, match="memory = ") as caught:
        READERS[reader](archive, Nowhere(), Limits(memory=needed))
    assert caught.value.limit == "memory"
    with pytest.raises(CorruptData):
        READERS[reader](archive, Nowhere(), Limits(memory=needed + 200 * MIB))
