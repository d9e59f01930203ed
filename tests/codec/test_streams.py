"""Pipes: odd reads, short writes, errors of files, memory, progress, limits."""

import io
import random
import tracemalloc
from typing import Any

import pytest

from tests.codec.engines import TEXT, byte_engine, codings, compress, decode, decode_options, decompress
from zipllm.codec.block import lane_groups
from zipllm.codec.decoder import decompress_stream
from zipllm.codec.encoder import ArchiveEncoder, compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import Limits
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError
from zipllm.progress import Progress

MIB = 1 << 20


class Pipe:
    """Gives back what it has in pieces of the sizes given, and nothing but ``read``."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = io.BytesIO(data)
        self._sizes = random.Random(len(data)).choices(sizes, k=100_000)

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._sizes.pop()))


class Narrow:
    """Takes a few bytes at a time."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: bytes, /) -> int:
        self.taken += bytes(data[:7])
        return min(7, len(data))


@pytest.mark.parametrize("sizes", [[1], [3], [1, 50, 1000]])
def test_reads_and_writes_of_any_size(sizes: list[int]) -> None:
    sink, out = Narrow(), Narrow()
    options = EncodeOptions(history_bits=None, block_size=100, fallback=False)
    compress_stream(Pipe(TEXT, sizes), sink, engine=byte_engine(), options=options)
    assert bytes(sink.taken) == compress(TEXT, block_size=100)
    decompress_stream(Pipe(bytes(sink.taken), sizes), out, options=decode_options())
    assert bytes(out.taken) == TEXT


@pytest.mark.parametrize("piece", [1, 99, 100, 101, 1000])
def test_writing_in_pieces(piece: int) -> None:
    sink = io.BytesIO()
    encoder = ArchiveEncoder(
        sink, engine=byte_engine(), options=EncodeOptions(history_bits=None, block_size=100, fallback=False)
    )
    for begin in range(0, len(TEXT), piece):
        encoder.write(TEXT[begin : begin + piece])
    encoder.finish()
    assert sink.getvalue() == compress(TEXT, block_size=100)


def test_a_known_size_is_kept_in_the_header() -> None:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(TEXT), sink, engine=None, original_size=len(TEXT))
    assert decompress(sink.getvalue()) == TEXT
    with pytest.raises(FileError, match="did it change"):
        compress_stream(io.BytesIO(TEXT), io.BytesIO(), engine=None, original_size=len(TEXT) + 1)


def test_a_source_that_has_nothing_yet() -> None:
    class Waiting:
        def read(self, size: int, /) -> None:
            return None

    with pytest.raises(BlockingIOError):
        compress_stream(Waiting(), io.BytesIO(), engine=None)  # type: ignore[arg-type]  # as a raw file may


def test_errors_of_the_files_pass_through() -> None:
    class Full:
        def write(self, data: bytes, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        compress_stream(io.BytesIO(TEXT), Full(), engine=None)
    with pytest.raises(OSError, match="No space"):
        decompress_stream(io.BytesIO(compress(TEXT)), Full(), options=decode_options())


def test_testing_without_a_sink() -> None:
    archive = compress(TEXT)
    assert decode(archive, None).raw_bytes == len(TEXT)
    with pytest.raises(CorruptData):
        decode(archive[:-1], None)


class Endless:
    """Zeros, never all in memory."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int, /) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


class Counter:
    size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        return len(data)


def peak_memory(size: int) -> int:
    """Most bytes allocated at a time while ``size`` zeros go through blocks of 1 MiB, both ways."""
    archive, out = io.BytesIO(), Counter()
    tracemalloc.start()
    try:
        compress_stream(Endless(size), archive, engine=None, options=EncodeOptions(history_bits=None, block_size=MIB))
        archive.seek(0)
        decompress_stream(archive, out, options=decode_options())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert out.size == size


def test_memory_is_bounded_by_the_block() -> None:
    """Sixteen blocks take no more than two, and two no more than their codecs need."""
    few = peak_memory(2 * MIB)
    assert few < 40 * MIB
    assert peak_memory(16 * MIB) < few + MIB


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("fallback", [True, False])
def test_progress_runs_to_the_end(verify: bool, fallback: bool) -> None:
    told: list[Progress] = []
    data = TEXT * 3
    options = EncodeOptions(history_bits=None, block_size=500, fallback=fallback, verify=verify)
    sink = io.BytesIO()
    summary = compress_stream(io.BytesIO(data), sink, engine=byte_engine(), options=options, progress=told.append)
    _check_progress(told, len(data), summary.coded_bytes)
    stages = {one.stage for one in told}
    assert stages <= {"encode", "verify"}
    assert ("verify" in stages) == verify
    assert "encode" in stages or fallback
    told.clear()
    decode(sink.getvalue(), None, progress=told.append)
    _check_progress(told, len(data), summary.coded_bytes)
    assert {one.stage for one in told} == {"decode"}


def _check_progress(told: list[Progress], raw_size: int, coded_size: int) -> None:
    done = [one.done for one in told]
    assert done == sorted(done)
    assert done[-1] == told[-1].raw_bytes == raw_size
    assert 0.5 * coded_size < told[-1].coded_bytes <= coded_size
    assert told[-1].bits_per_byte == 8 * told[-1].coded_bytes / raw_size
    assert Progress("encode", 3.0, 0, 21).bits_per_byte is None


def test_progress_inside_a_long_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bits per byte that come near the final ones long before the block is done."""
    monkeypatch.setattr(lane_groups, "MAX_CHUNK_STEPS", 50)
    told: list[Progress] = []
    sink, options = io.BytesIO(), EncodeOptions(history_bits=None, fallback=False)
    compress_stream(io.BytesIO(TEXT), sink, engine=byte_engine(), options=options, progress=told.append)
    decode(sink.getvalue(), None, progress=told.append)
    for stage in ("encode", "verify", "decode"):
        steps = [one for one in told if one.stage == stage]
        assert len({one.done for one in steps}) > 4
        half = steps[len(steps) // 2]
        assert half.bits_per_byte == pytest.approx(8 * len(sink.getvalue()) / len(TEXT), rel=0.4)


def test_summary() -> None:
    sink = io.BytesIO()
    options = EncodeOptions(history_bits=None, block_size=200, fallback=False)
    written = compress_stream(io.BytesIO(TEXT), sink, engine=byte_engine(), options=options)
    assert written.coded_bytes == len(sink.getvalue())
    assert written.raw_bytes == len(TEXT)
    assert written.blocks == 2
    assert written.codings == {"model": 2}
    assert written.bits_per_byte == 8 * written.coded_bytes / len(TEXT)
    assert written.ratio == len(TEXT) / written.coded_bytes
    assert decode(sink.getvalue(), None) == written
    twice = decode(sink.getvalue() * 2, None)
    assert (twice.archives, twice.raw_bytes, twice.blocks) == (2, 2 * len(TEXT), 4)
    empty = compress_stream(io.BytesIO(), io.BytesIO(), engine=None)
    assert (empty.blocks, empty.bits_per_byte, empty.ratio) == (0, None, 0.0)


def test_limits_are_obeyed_before_decoding() -> None:
    archive = compress(bytes(5 * MIB), byte_engine(), fallback=True, block_size=4 * MIB)
    decoded = decompress(archive, limits=Limits(output=5 * MIB))
    assert decoded == bytes(5 * MIB)
    for limits in (Limits(output=5 * MIB - 1), Limits(block_raw=MIB), Limits(blocks=1), Limits(block_payload=10)):
        sink = io.BytesIO()
        with pytest.raises(LimitExceeded):
            decode(archive, sink, limits=limits)
        assert len(sink.getvalue()) <= 4 * MIB


def test_a_bomb_stops_at_the_output_limit() -> None:
    """The default allows 1 GiB or a factor of 1000; here both are lowered."""
    archive = compress(bytes(8 * MIB), fallback=True)
    sink = io.BytesIO()
    with pytest.raises(LimitExceeded, match="output limit"):
        decode(archive, sink, limits=Limits(output_floor=MIB, output_ratio=1000))
    assert not sink.getvalue()


def test_the_lane_limit() -> None:
    archive = compress(TEXT, lanes=50)
    assert decompress(archive, limits=Limits(lanes=50)) == TEXT
    with pytest.raises(LimitExceeded, match="lanes"):
        decompress(archive, limits=Limits(lanes=49))


@pytest.mark.parametrize("options", [{"block_size": 0}, {"block_size": 16 * MIB + 1}, {"lanes": 0}, {"lanes": 4097}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        EncodeOptions(**options)


def test_the_largest_block() -> None:
    archive = compress(bytes(16 * MIB + 1), fallback=True, block_size=16 * MIB)
    assert len(codings(archive)) == 2
    assert decompress(archive) == bytes(16 * MIB + 1)
