"""The codings without a model, one block at a time."""

import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from zipllm.codec.block import conventional_block
from zipllm.codec.threads import work_queue
from zipllm.container import Coding
from zipllm.errors import CorruptData

CODECS = [
    conventional_block.stored,
    conventional_block.zstd_quick,
    conventional_block.zstd_strong,
    conventional_block.lzma_quick,
    conventional_block.lzma_strong,
    conventional_block.bz2_strong,
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 2, 255, 4095, 4096, 4097, 300_001])
def test_round_trip(codec: Callable[..., Any], size: int) -> None:
    for raw in (bytes(size), random.Random(size).randbytes(size), (b"all work and no play " * size)[:size]):
        coding, payload = codec(raw)
        assert conventional_block.decode_conventional_block(coding, payload, size) == raw


def test_a_repetition_at_the_far_end_of_the_largest_block() -> None:
    """Dictionary and window reach over 16 MiB, when decoding too."""
    noise = random.Random(1).randbytes(1 << 16)
    raw = noise + bytes((16 << 20) - (2 << 16)) + noise
    for codec in (conventional_block.zstd_quick, conventional_block.lzma_strong):
        coding, payload = codec(raw)
        assert len(payload) < 1.1 * len(noise)
        assert conventional_block.decode_conventional_block(coding, payload, len(raw)) == raw


def test_the_quick_look_misses_no_repetition() -> None:
    noise = random.Random(1).randbytes(1 << 20)
    raw = noise + random.Random(2).randbytes(2 << 20) + noise
    assert len(conventional_block.zstd_quick(raw)[1]) < 0.8 * len(raw)


def test_smallest_prefers_the_simplest_of_equals() -> None:
    candidates = [(Coding.BZ2, b"123"), (Coding.ZSTD, b"abc"), (Coding.LZMA, b"xyz")]
    assert conventional_block.smallest(candidates) == (Coding.ZSTD, b"abc")
    assert conventional_block.smallest([*candidates, (Coding.STORED, b"1234567")]) == (Coding.STORED, b"1234567")
    assert conventional_block.smallest([*candidates, (Coding.STORED, b"12345678")]) == (Coding.ZSTD, b"abc")


@pytest.mark.parametrize(("size", "count", "at_once"), [(40_000, "2", 2), (40_000, "1", 1), (1000, "2", 0)])
def test_codecs_of_a_block_run_in_threads_where_that_pays(
    monkeypatch: pytest.MonkeyPatch, size: int, count: str, at_once: int
) -> None:
    """With one thread to use, too: the main thread only waits, free for signals."""
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    together = threading.Barrier(max(1, at_once))
    threads = set()

    def codec(raw: bytes) -> conventional_block.Candidate:
        together.wait(timeout=30)
        threads.add(threading.current_thread())
        return Coding.STORED, raw

    assert conventional_block.each(bytes(size), [codec, codec]) == [(Coding.STORED, bytes(size))] * 2
    assert len(threads - {threading.main_thread()}) == at_once


def test_a_signal_does_not_wait_for_a_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "CLOSE_SECONDS", 0.01)
    finish = threading.Event()

    def codec(raw: bytes) -> conventional_block.Candidate:
        signal.raise_signal(signal.SIGINT)
        finish.wait(30)
        return Coding.STORED, raw

    with pytest.raises(KeyboardInterrupt):
        conventional_block.each(bytes(40_000), [codec])
    finish.set()


def test_what_a_codec_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def fails(raw: bytes) -> conventional_block.Candidate:
        raise MemoryError

    with pytest.raises(MemoryError):
        conventional_block.each(bytes(40_000), [fails, conventional_block.zstd_quick])


def zstd(raw: bytes, **parameters: Any) -> bytes:
    return zstandard.ZstdCompressor(**parameters).compress(raw)


@pytest.mark.parametrize(
    "payload",
    [
        zstd(b"x" * 100) + zstd(b"x"),
        zstd(b"x" * 100) + b"\0",
        zstd(b"x" * 60) + zstd(b"x" * 40),
        zstd(b"x" * 100, write_checksum=True)[:-1],
        b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd(b"x" * 100),
        b"",
    ],
    ids=["two frames", "trailing byte", "in two frames", "cut checksum", "skippable frame", "empty"],
)
def test_zstd_payloads_that_are_not_one_frame(payload: bytes) -> None:
    with pytest.raises(CorruptData):
        conventional_block.decode_conventional_block(Coding.ZSTD, payload, 100)


def test_a_zstd_window_beyond_the_limit_is_refused() -> None:
    """A frame may ask for gigabytes of window in a few bytes."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    payload = compressor.compress(b"x" * 100) + compressor.flush()
    with pytest.raises(CorruptData, match="zstd block does not decode"):
        conventional_block.decode_conventional_block(Coding.ZSTD, payload, 100)
