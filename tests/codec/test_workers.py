"""Blocks worked on by several threads: the bytes of one thread, in bounded memory."""

import io
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.codec.engines import TEXT, byte_engine, codings, decode_options
from tests.codec.many_blocks import ALONE, MIXED, SIZE, Failing, compress, shared
from tests.codec.test_choose import CHAIN, chain
from tests.codec.threads.left_threads import no_new_threads
from zipllm.codec import block_encoding, decoder, encoder, options
from zipllm.codec.block.setup import block_memory
from zipllm.codec.block_decoding import BlockDecoding
from zipllm.codec.block_encoding import BlockEncoding
from zipllm.codec.choose import choose
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.archive_file import ZipllmFile
from zipllm.container import Block, BlockHeader, Coding, CodingParameters
from zipllm.container.block import LEAN_MIXER
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import UsageError

Run = Callable[[], None]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_new_threads():
        yield


@pytest.mark.parametrize("engine", [None, byte_engine(), byte_engine], ids=["history", "model", "lazy"])
@pytest.mark.parametrize("options", [{"mixer": LEAN_MIXER}, ALONE | {"verify": False}], ids=["", "alone"])
def test_the_same_bytes(engine: Any, options: dict[str, Any]) -> None:
    alone = compress(MIXED, engine, **options)
    assert (Coding.MODEL in codings(alone[0])) == (engine is not None and "history_bits" in options)
    assert len(set(codings(alone[0]))) >= 2
    for count in (2, 3, 5):
        assert compress(MIXED, engine, workers=count, **options) == alone


@pytest.mark.parametrize("engine", [byte_engine(), shared()], ids=["processor", "gpu"])
def test_the_same_content(engine: Engine) -> None:
    parts = [compress(MIXED, engine, **ALONE)[0], compress(TEXT, None)[0], compress(b"", None)[0]]
    results = []
    for count in (1, 2, 4):
        sink = io.BytesIO()
        summary = decompress_stream(io.BytesIO(b"".join(parts)), sink, options=decode_options(engine, workers=count))
        assert sink.getvalue() == MIXED + TEXT
        results.append(summary)
    assert results == [results[0]] * 3


# --------------------------------------------------------------------------- naming the model
def test_a_block_begun_before_the_model_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block is worth the model only where naming it costs nothing, which is not known when it is begun."""
    costs = []

    def noting(raw: bytes, engine: Any, options: Any, model_cost: int, advance: Any) -> Any:
        costs.append((len(raw), model_cost))
        return choose(raw, engine, options, model_cost, advance)

    monkeypatch.setattr(block_encoding, "choose", noting)
    data, options = CHAIN[:2000] + CHAIN[1000:2000], ALONE
    alone = compress(data, byte_engine(), **options)
    assert costs == [(2000, 44), (1000, 0)]
    assert codings(alone[0]) == [Coding.MODEL, Coding.MODEL]
    assert codings(compress(data[2000:], byte_engine(), **options)[0]) == [Coding.BZ2], "by itself it is not"
    costs.clear()
    assert compress(data, byte_engine(), workers=2, **options) == alone
    assert sorted(costs) == [(1000, 0), (1000, 44), (2000, 44)]


def test_blocks_that_need_not_be_coded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the model in spite of its cost, or never thought of it, stays as it is."""
    times = []
    encode = BlockEncoding.run

    def counting(self: BlockEncoding, tick: Callable[[], None]) -> None:
        times.append(1)
        encode(self, tick)

    monkeypatch.setattr(BlockEncoding, "run", counting)
    data = chain(15000) + random.Random(9).randbytes(20000)
    archive, _ = compress(data, byte_engine(), block_size=5000, workers=7, **ALONE)
    assert codings(archive) == [Coding.MODEL] * 3 + [Coding.STORED] * 4
    assert len(times) == 7


# --------------------------------------------------------------------------- memory
class Noting(io.BytesIO):
    """Knows how much more has been read from it than has been written to another."""

    def __init__(self, content: bytes, written: Callable[[], int]) -> None:
        super().__init__(content)
        self._written = written
        self.most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.most = max(self.most, self.tell() - self._written())
        return data


@pytest.mark.parametrize("count", [1, 2, 4])
def test_memory_is_bounded_by_the_workers(count: int) -> None:
    """Incompressible blocks, so that what was written tells how much of it was done."""
    data = random.Random(3).randbytes(20 * SIZE)
    sink = io.BytesIO()
    source = Noting(data, lambda: sink.tell())
    options = EncodeOptions(block_size=SIZE, history_bits=None, workers=count)
    compress_stream(source, sink, engine=None, options=options)
    assert source.most <= count * SIZE
    out = io.BytesIO()
    archive = Noting(sink.getvalue(), lambda: out.tell())
    decompress_stream(archive, out, options=decode_options(shared(), workers=count))
    assert out.getvalue() == data
    assert (count - 1) * SIZE < archive.most < (count + 1) * SIZE


def blocks_together(monkeypatch: pytest.MonkeyPatch, kind: type, action: Run) -> int:
    """How many blocks were in work at the same time."""
    at_work: set[Any] = set()
    most = [0]
    run = kind.run  # type: ignore[attr-defined]

    def noting(self: Any, tick: Any) -> None:
        at_work.add(self)
        most[0] = max(most[0], len(at_work))
        run(self, tick)
        threading.Event().wait(0.02)
        at_work.remove(self)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "run", noting)
        action()
    return most[0]


def test_little_memory_gives_few_blocks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block takes is known from its header, and from the options."""
    archive = compress(MIXED, None)[0]

    def decode() -> None:
        decompress_stream(io.BytesIO(archive), None, options=decode_options(shared(), workers=4))

    def encode() -> None:
        compress(MIXED, None, workers=4)

    assert blocks_together(monkeypatch, BlockDecoding, decode) == 4
    assert blocks_together(monkeypatch, BlockEncoding, encode) == 4
    needed = block_memory(SIZE, 12)
    monkeypatch.setattr(decoder, "MOST_MEMORY", 2 * needed)
    monkeypatch.setattr(encoder, "MOST_MEMORY", 2 * needed)
    assert blocks_together(monkeypatch, BlockEncoding, encode) == 2
    monkeypatch.setattr(decoder, "MOST_MEMORY", 1)
    assert blocks_together(monkeypatch, BlockDecoding, decode) == 1


def test_the_models_state_counts() -> None:
    work = BlockDecoding(Block(BlockHeader(Coding.MODEL, SIZE, 9, 0, CodingParameters(100, 24)), b""), None, 0, 9)
    assert work.memory(1000) - work.memory(0) == 100_000


@pytest.mark.parametrize(("engine", "most"), [(byte_engine(), 1), (shared(), 3)], ids=["processor", "gpu"])
def test_a_model_on_the_processor_decodes_its_blocks_alone(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, most: int
) -> None:
    """Nothing is decoded beside them, either."""
    data = (CHAIN[:SIZE] + (TEXT * 12)[: 2 * SIZE]) * 2 + CHAIN[:SIZE] * 3
    archive = compress(data, engine, **ALONE)[0]
    at_work: list[BlockDecoding] = []
    beside_models = set()
    run = BlockDecoding.run

    def noting(self: BlockDecoding, tick: Any) -> None:
        at_work.append(self)
        threading.Event().wait(0.05)
        if any(work.by_model for work in at_work):
            beside_models.add(len(at_work))
        run(self, tick)
        at_work.remove(self)

    monkeypatch.setattr(BlockDecoding, "run", noting)
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(archive), sink, options=decode_options(engine, workers=3))
    assert sink.getvalue() == data
    assert codings(archive).count(Coding.MODEL) == 5
    assert max(beside_models) == most


# --------------------------------------------------------------------------- how many
def test_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "usual_threads", lambda: 6)
    assert options.worker_count() == 6
    assert options.worker_count(3) == 3
    assert options.worker_count(3, one_block=True) == 1
    assert options.worker_count(100) == options.MOST_WORKERS == 16
    assert encoder.encoding_workers(EncodeOptions(workers=16)) == 16
    assert encoder.encoding_workers(EncodeOptions(workers=16, history_bits=24)) < 16
    with pytest.raises(UsageError, match="workers must be at least 1"):
        EncodeOptions(workers=0)


def test_a_model_is_loaded_once() -> None:
    loads = []

    def load() -> Engine:
        loads.append(1)
        threading.Event().wait(0.05)
        return byte_engine()

    lazy = LazyEngine(load)
    threads = [threading.Thread(target=lazy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


# --------------------------------------------------------------------------- file objects
def test_a_file_object() -> None:
    raw = io.BytesIO()
    encode = EncodeOptions(block_size=SIZE, history_bits=12, workers=3)
    with ZipllmFile(raw, "w", engine=None, encode=encode) as file:
        for begin in range(0, len(MIXED), 700):
            file.write(MIXED[begin : begin + 700])
    assert raw.getvalue() == compress(MIXED, None)[0]
    raw.seek(0)
    with ZipllmFile(raw, decode=DecodeOptions(workers=3)) as file:
        assert file.read(2000) == MIXED[:2000]
        assert file.seek(7000) == 7000
        assert file.read(2000) == MIXED[7000:9000]
        assert file.seek(0) == 0
        assert file.read() == MIXED
        file.seek(0)
        assert file.read(10) == MIXED[:10], "and it is closed with blocks in work"


def test_a_file_object_that_cannot_be_written() -> None:
    encode = EncodeOptions(block_size=SIZE, history_bits=12, workers=3)
    file = ZipllmFile(Failing(b"", 3000), "w", engine=None, encode=encode)
    with pytest.raises(OSError, match="No space"):
        file.write(MIXED)
    assert all(thread.name != "zipllm" for thread in threading.enumerate())
    file.close()
