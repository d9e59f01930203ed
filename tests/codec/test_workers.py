"""Blocks worked on by several threads: the bytes, errors, words and progress of one, in bounded memory."""

import gc
import io
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.codec.engines import TEXT, byte_engine, codings, decode_options
from tests.codec.test_choose import CHAIN, chain
from tests.codec.threads.left_threads import no_new_threads
from zipllm.codec import block_encoding, decoder, workers
from zipllm.codec.block_decoding import BlockDecoding
from zipllm.codec.block_encoding import BlockEncoding
from zipllm.codec.choose import choose
from zipllm.codec.decoder import ArchiveDecoder, DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.archive_file import ZipllmFile
from zipllm.codec.threads import side_by_side
from zipllm.container import BlockHeader, Coding, CodingParameters, Limits, crc32, scan
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import ModelNotFound, UsageError, VerificationFailed, ZipllmError
from zipllm.progress import Progress, Summary

RECORDS = b"".join(number.to_bytes(4, "little") + b"\0\1abc" for number in range(0, 9000, 7))
MIXED = CHAIN[:3000] + bytes(2500) + random.Random(8).randbytes(4500) + TEXT * 8 + RECORDS[:6000] + CHAIN[3000:5000]
SIZE = 2000
ALONE: dict[str, Any] = {"history_bits": None}
"""Without the history, so that the model wins somewhere."""

Run = Callable[[], None]


def shared() -> Engine:
    """An engine that several blocks may use at a time."""
    return replace(byte_engine(), side_by_side=True)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_new_threads():
        yield


def compress(data: bytes, engine: Any, sink: Any = None, progress: Any = None, **options: Any) -> tuple[bytes, Summary]:
    sink = io.BytesIO() if sink is None else sink
    options = {"block_size": SIZE, "history_bits": 12} | options
    summary = compress_stream(
        io.BytesIO(data), sink, engine=engine, options=EncodeOptions(**options), progress=progress
    )
    return sink.getvalue(), summary


@pytest.mark.parametrize("engine", [None, byte_engine(), byte_engine], ids=["history", "model", "lazy"])
@pytest.mark.parametrize("options", [{}, ALONE | {"verify": False}], ids=["", "alone"])
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


# --------------------------------------------------------------------------- errors
def outcome(archive: bytes, count: int, **options: Any) -> tuple[bytes, type, str, Summary]:
    """What comes out before an error, the error, and what the decoder knows then."""
    out: list[bytes] = []
    error = None
    reader = ArchiveDecoder(io.BytesIO(archive), options=decode_options(shared(), workers=count, **options))
    try:
        out.extend(reader)
    except (ZipllmError, OSError) as failure:
        error = failure
    return b"".join(out), type(error), str(error), reader.summary()


def same_outcome(archive: bytes, **arguments: Any) -> tuple[bytes, type, str, Summary]:
    alone = outcome(archive, 1, **arguments)
    for count in (2, 4):
        assert outcome(archive, count, **arguments) == alone
    return alone


@pytest.mark.parametrize("part", range(4))
def test_damage_gives_the_same_error(part: int) -> None:
    by_model = compress(TEXT, byte_engine(), block_size=99, fallback=False, **ALONE)[0]
    archive = by_model + compress(TEXT * 2, None, block_size=200)[0]
    source = random.Random(part)
    errors = set()
    for _ in range(15):
        damaged = bytearray(archive)
        damaged[source.randrange(len(archive))] ^= 1 << source.randrange(8)
        errors.add(same_outcome(bytes(damaged))[1:3])
        errors.add(same_outcome(archive[: source.randrange(len(archive))])[1:3])
    assert len(errors) > 10
    assert any("(block" in words for _, words in errors)
    assert any("(after block" in words for _, words in errors)


def test_other_errors_are_the_same_too() -> None:
    archive = compress(MIXED, byte_engine(), **ALONE)[0]
    assert same_outcome(archive)[:3] == (MIXED, type(None), "None")
    assert "after the end" in same_outcome(archive + b"more")[2]
    out, _, words, _ = same_outcome(archive, limits=Limits(output=9000))
    assert (len(out), words[:19]) == (8000, "the output has at l")

    def missing(model_id: bytes) -> Engine:
        raise ModelNotFound("it is not here")

    assert same_outcome(archive, engines=missing)[2] == "it is not here (block 1, bytes 0 to 2000 of the original)"
    later = compress(bytes(3 * SIZE) + CHAIN, byte_engine(), **ALONE)[0]
    out, _, words, _ = same_outcome(later, engines=missing)
    assert (out, words) == (bytes(6000), "it is not here (block 4, bytes 6000 to 8000 of the original)")


class Failing(io.BytesIO):
    """A source or sink that fails after so many bytes."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > self._most:
            raise OSError(5, "Input/output error")
        return super().read(size)

    def write(self, data: Any, /) -> int:
        if self.tell() > self._most:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_files_that_fail(count: int) -> None:
    options = EncodeOptions(block_size=SIZE, history_bits=12, workers=count)
    with pytest.raises(OSError, match="No space"):
        compress(MIXED, None, Failing(b"", 3000), workers=count)
    with pytest.raises(OSError, match="Input/output"):
        compress_stream(Failing(MIXED, 9000), io.BytesIO(), engine=None, options=options)
    archive = compress(MIXED, None)[0]
    found = decode_options(shared(), workers=count)
    with pytest.raises(OSError, match="No space"):
        decompress_stream(io.BytesIO(archive), Failing(b"", 3000), options=found)
    sink = io.BytesIO()
    with pytest.raises(OSError, match="Input/output"):
        decompress_stream(Failing(archive, 5000), sink, options=found)
    alone = io.BytesIO()
    with pytest.raises(OSError, match="Input/output"):
        decompress_stream(Failing(archive, 5000), alone, options=decode_options(shared()))
    assert sink.getvalue() == alone.getvalue() != b""


@pytest.mark.parametrize("count", [1, 3])
def test_a_block_that_does_not_verify(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Blocks before it are written, none after it."""
    monkeypatch.setattr(block_encoding, "crc32", lambda raw: 7 if raw == MIXED[4000:6000] else crc32(raw))
    sink = io.BytesIO()
    with pytest.raises(VerificationFailed, match="CRC-32"):
        compress(MIXED, None, sink, workers=count)
    assert blocks_in(sink.getvalue()) == 2


def blocks_in(torn: bytes) -> int:
    """Blocks of an archive without an end."""
    count = 0
    try:
        for item in scan(io.BytesIO(torn)):
            count += isinstance(item.record, BlockHeader)
    except ZipllmError:
        pass
    return count


# --------------------------------------------------------------------------- progress and interruption
@pytest.mark.parametrize("verify", [True, False])
def test_progress(monkeypatch: pytest.MonkeyPatch, verify: bool) -> None:
    """By the caller's thread only, never back, to the end; also where a block is coded again, and slowly."""
    encode, tries = BlockEncoding.run, []

    def slowly(self: BlockEncoding, tick: Any) -> None:
        tries.append(self.raw)
        if tries.count(self.raw) == 2:
            threading.Event().wait(2.5 * side_by_side.WATCH_SECONDS)
        encode(self, tick)

    monkeypatch.setattr(BlockEncoding, "run", slowly)
    told: list[Progress] = []
    caller = threading.current_thread()

    def note(progress: Progress) -> None:
        assert threading.current_thread() is caller
        told.append(progress)

    options: dict[str, Any] = ALONE | {"workers": 3, "verify": verify}
    data = CHAIN[:2000] + bytes(2000) + MIXED
    archive, summary = compress(data, byte_engine(), progress=note, **options)
    check_progress(told, summary)
    told.clear()
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(archive), sink, options=decode_options(shared(), workers=3), progress=note)
    check_progress(told, summary)


def check_progress(told: list[Progress], summary: Summary) -> None:
    done = [one.done for one in told]
    assert done == sorted(done)
    assert done[-1] == told[-1].raw_bytes == summary.raw_bytes
    assert 0.9 * summary.coded_bytes < told[-1].coded_bytes <= summary.coded_bytes


def test_progress_counts_all_blocks_in_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three blocks are half done while none is finished."""
    halfway, seen = threading.Barrier(3), threading.Event()

    def decode(_block: Any, _engine: Any, advance: Any) -> bytes:
        advance(0.5, 10)
        halfway.wait(30)
        seen.wait(30)
        return bytes(SIZE)

    def note(progress: Progress) -> None:
        told.append(progress.raw_bytes)
        if progress.raw_bytes == 3 * SIZE // 2:
            seen.set()

    told: list[int] = []
    archive, _ = compress(bytes(3 * SIZE), None)
    monkeypatch.setattr("zipllm.codec.block_decoding.decode_block", decode)
    decompress_stream(io.BytesIO(archive), None, options=decode_options(shared(), workers=3), progress=note)
    assert seen.is_set()
    assert told[-1] == 3 * SIZE


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("call", [1, 4, 9])
def test_an_interruption(count: int, call: int) -> None:
    calls = []

    def interrupt(progress: Progress) -> None:
        calls.append(progress)
        if len(calls) == call:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(MIXED, None, progress=interrupt, workers=count)
    archive = compress(MIXED, None)[0]
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        decompress_stream(
            io.BytesIO(archive), None, options=decode_options(shared(), workers=count), progress=interrupt
        )


@pytest.mark.parametrize("read", [0, 1, 2 * SIZE])
def test_a_reader_that_gives_up(read: int) -> None:
    archive = compress(MIXED, None)[0]
    reader = iter(ArchiveDecoder(io.BytesIO(archive), options=decode_options(shared(), workers=4)))
    for _ in range(min(read, 2)):
        next(reader)
    del reader
    gc.collect()
    assert all(thread.name != "zipllm" for thread in threading.enumerate())


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
    needed = workers.decoding_memory(
        BlockHeader(Coding.HISTORY, SIZE, 9, 0, CodingParameters(1, 24, mixer=1, history=12))
    )
    monkeypatch.setattr(decoder, "MOST_MEMORY", 2 * needed)
    monkeypatch.setattr(workers, "MOST_MEMORY", 2 * needed)
    assert blocks_together(monkeypatch, BlockEncoding, encode) == 2
    monkeypatch.setattr(decoder, "MOST_MEMORY", 1)
    assert blocks_together(monkeypatch, BlockDecoding, decode) == 1


def test_the_models_state_counts() -> None:
    block = BlockHeader(Coding.MODEL, SIZE, 9, 0, CodingParameters(100, 24))
    assert workers.decoding_memory(block, 1000) - workers.decoding_memory(block) == 100_000


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
    monkeypatch.setattr(workers, "usual_threads", lambda: 6)
    assert workers.worker_count() == 6
    assert workers.worker_count(3) == 3
    assert workers.worker_count(3, one_block=True) == 1
    assert workers.worker_count(100) == workers.MOST_WORKERS == 16
    assert workers.encoding_workers(EncodeOptions(workers=16)) == 16
    assert workers.encoding_workers(EncodeOptions(workers=16, history_bits=24)) < 16
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
