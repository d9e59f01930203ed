"""Blocks worked on by several threads: the errors and the progress of one thread, and interruptions."""

import gc
import io
import random
import threading
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest

from tests.codec.engines import TEXT, byte_engine, decode_options
from tests.codec.many_blocks import ALONE, MIXED, SIZE, Failing, compress, shared
from tests.codec.test_choose import CHAIN
from tests.codec.threads.left_threads import few_threads, no_new_threads
from zipllm.codec import block_encoding
from zipllm.codec.block_encoding import BlockEncoding
from zipllm.codec.decoder import ArchiveDecoder, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.threads import work_queue
from zipllm.container import BlockHeader, Limits, scan
from zipllm.engine.engine import Engine
from zipllm.errors import ModelNotFound, VerificationFailed, ZipllmError
from zipllm.progress import Progress, Summary


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    with no_new_threads():
        yield


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
    by_model = compress(TEXT[:160], byte_engine(), block_size=39, fallback=False, **ALONE)[0]
    archive = by_model + compress(TEXT, None, block_size=100)[0]
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


@pytest.mark.parametrize("engine", [None, byte_engine(), shared()], ids=["history", "processor", "gpu"])
@pytest.mark.parametrize("started", [0, 2])
def test_no_or_too_few_threads(monkeypatch: pytest.MonkeyPatch, engine: Engine | None, started: int) -> None:
    alone = compress(MIXED, engine, **ALONE)
    few_threads(monkeypatch, started)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert compress(MIXED, engine, workers=4, **ALONE) == alone
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(alone[0]), sink, options=decode_options(engine or shared(), workers=4))
    assert sink.getvalue() == MIXED


# --------------------------------------------------------------------------- progress and interruption
@pytest.mark.parametrize("verify", [True, False])
def test_progress(monkeypatch: pytest.MonkeyPatch, verify: bool) -> None:
    """By the caller's thread only, never back, to the end; also where a block is coded again, and slowly."""
    encode, tries = BlockEncoding.run, []

    def slowly(self: BlockEncoding, tick: Any) -> None:
        tries.append(self.raw)
        if tries.count(self.raw) == 2:
            threading.Event().wait(2.5 * work_queue.WATCH_SECONDS)
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

    def decode(_block: Any, _engine: Any, advance: Any, *_limits: Any) -> bytes:
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
