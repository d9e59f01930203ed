"""Damage anywhere gives an error or the original, never other bytes, and never a foreign exception."""

import io
import random
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest

import zipllm.codec.block_decoding
from tests.codec.engines import TEXT, bpe_engine, byte_engine, compress, decompress
from zipllm.codec.block import conventional_block
from zipllm.codec.block.predicted_block import encode_history_block
from zipllm.container import (
    ArchiveHeader,
    ArchiveWriter,
    BlockHeader,
    Coding,
    CodingParameters,
    ContentHash,
    ModelRecord,
    read_payload,
    scan,
)
from zipllm.container.samples import PICTURE, Layout
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, UnsupportedData, ZipllmError
from zipllm.media.coding import encode as encode_samples

CODECS = {
    Coding.STORED: conventional_block.stored,
    Coding.ZSTD: conventional_block.zstd_strong,
    Coding.LZMA: conventional_block.lzma_strong,
    Coding.BZ2: conventional_block.bz2_strong,
}

SMALL = TEXT[:90]
SAMPLES = Layout(PICTURE, 5, 80, 8, 1)
FLIPS = {coding: 500 if coding in (Coding.MODEL, Coding.HISTORY) else 400 for coding in Coding}
"""Bits changed in the body of an archive of each kind: 3,000 in all."""

HISTORY: dict[str, Any] = {"lanes": 2, "probability_bits": 24, "mixer": 1, "history": 12}


def archive_by(coding: Coding) -> bytes:
    """An archive of SMALL whose only block has this coding."""
    if coding is Coding.MODEL:
        return compress(SMALL, lanes=2)
    if coding is Coding.HISTORY:
        return archive_with(coding, encode_history_block(SMALL, CodingParameters(**HISTORY), None), **HISTORY)
    if coding is Coding.SAMPLES:
        return archive_with(coding, encode_samples(SMALL, SAMPLES), layout=SAMPLES)
    return archive_with(coding, CODECS[coding](SMALL)[1])


def archive_with(
    coding: Coding,
    payload: bytes,
    raw: bytes = SMALL,
    lanes: int = 2,
    layout: Layout | None = None,
    **parameters: int,
) -> bytes:
    """An archive with one block, its payload as given, everything else right."""
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(1 << 20))
    fields = {"probability_bits": 24, **parameters}
    if coding is Coding.HISTORY:
        fields = HISTORY | parameters
    coded = CodingParameters(**({"lanes": lanes} | fields)) if coding in (Coding.MODEL, Coding.HISTORY) else None
    if coding is Coding.MODEL:
        writer.model(ModelRecord(byte_engine().model_id))
    writer.block(BlockHeader(coding, len(raw), len(payload), crc32(raw), coded, layout=layout), payload)
    content = ContentHash()
    content.update(raw)
    writer.end(content.digest())
    return sink.getvalue()


def payload_of(archive: bytes) -> bytes:
    source = io.BytesIO(archive)
    (item,) = [item for item in scan(source) if isinstance(item.record, BlockHeader)]
    return read_payload(source, item)


def header_bits(archive: bytes) -> int:
    return 8 * archive.index(b"M", 9)  # the MODEL record follows the header


def error_or_original(damaged: bytes, original: bytes) -> bool:
    """True for an error."""
    try:
        decoded = decompress(damaged)
    except ZipllmError:
        return True
    assert decoded == original
    return False


@pytest.mark.parametrize("coding", list(Coding))
def test_truncation_at_every_byte(coding: Coding) -> None:
    archive = archive_by(coding)
    assert decompress(archive) == SMALL
    for size in range(len(archive)):
        with pytest.raises(CorruptData):
            decompress(archive[:size])


def test_every_bit_of_the_header() -> None:
    archive = compress(SMALL)
    for bit in range(header_bits(archive)):
        damaged = bytearray(archive)
        damaged[bit // 8] ^= 1 << bit % 8
        assert error_or_original(bytes(damaged), SMALL)


@pytest.mark.parametrize("coding", list(Coding))
def test_random_bits_of_the_body(coding: Coding) -> None:
    archive = archive_by(coding)
    source = random.Random(int(coding))
    errors = 0
    for _ in range(FLIPS[coding]):
        bit = source.randrange(8 * 16, 8 * len(archive))
        damaged = bytearray(archive)
        damaged[bit // 8] ^= 1 << bit % 8
        errors += error_or_original(bytes(damaged), SMALL)
    assert errors >= 0.9 * FLIPS[coding]  # bzip2 has bits that mean nothing


@pytest.mark.parametrize("coding", [coding for coding in Coding if coding is not Coding.STORED])
@pytest.mark.parametrize("kind", ["random", "zeros", "ones", "short", "longer"])
def test_a_payload_that_was_never_coded(coding: Coding, kind: str) -> None:
    """Headers intact, so the decoders themselves meet the damage."""
    good = payload_of(archive_by(coding))
    payload = {
        "random": random.Random(7).randbytes(len(good)),
        "zeros": bytes(len(good)),
        "ones": b"\xff" * len(good),
        "short": good[:-4],
        "longer": good + bytes(4),
    }[kind]
    with pytest.raises(CorruptData, match=r"block 1, bytes 0 to 90 of the original"):
        decompress(archive_with(coding, payload, layout=SAMPLES if coding is Coding.SAMPLES else None))


def test_a_model_payload_of_no_words() -> None:
    """The other codings' empty payloads are refused by the container already."""
    with pytest.raises(CorruptData, match="block 1"):
        decompress(archive_with(Coding.MODEL, b""))


@pytest.mark.parametrize("coding", [Coding.ZSTD, Coding.LZMA, Coding.BZ2])
@pytest.mark.parametrize("lie", [-4999, -1, 1, 1000])
def test_a_size_that_lies(coding: Coding, lie: int) -> None:
    """A payload of more or less bytes than the header says; a bomb is stopped by the header's size."""
    payload = CODECS[coding](b"x" * 5000)[1]
    with pytest.raises(CorruptData, match=r"not one stream of"):
        conventional_block.decode_conventional_block(coding, payload, 5000 + lie)


def test_a_token_that_overruns_its_lane() -> None:
    """The payload of one lane read as two: the middle of a token falls on the edge."""
    text = b"considered" * 3
    payload = payload_of(compress(text, bpe_engine(), lanes=1))
    with pytest.raises(CorruptData):
        decompress(archive_with(Coding.MODEL, payload, text, lanes=7), bpe_engine_as_byte())


def bpe_engine_as_byte() -> Engine:
    return replace(bpe_engine(), model_id=byte_engine().model_id)


@pytest.mark.parametrize("parameters", [{"precision": 23}, {"probability_bits": 16}])
def test_parameters_of_another_version(parameters: dict[str, Any]) -> None:
    payload = payload_of(compress(SMALL, lanes=2))
    with pytest.raises(UnsupportedData, match=r"this version codes with 24"):
        decompress(archive_with(Coding.MODEL, payload, **parameters))


def test_other_content_of_the_same_crc_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SHA-256 at the end stands behind the CRC-32 of the block."""
    archive = archive_by(Coding.STORED).replace(SMALL, SMALL[::-1])
    monkeypatch.setattr(zipllm.codec.block_decoding, "check_block", lambda header, raw: None)
    with pytest.raises(CorruptData, match="SHA-256"):
        decompress(archive)


def test_swapped_and_missing_blocks() -> None:
    archive = compress(TEXT[:200], block_size=100)
    first, second = (item for item in scan(io.BytesIO(archive)) if isinstance(item.record, BlockHeader))
    start, middle, end = first.offset, second.offset, second.end_offset
    swapped = archive[:start] + archive[middle:end] + archive[start:middle] + archive[end:]
    missing = archive[:start] + archive[middle:]
    for damaged in (swapped, missing):
        with pytest.raises(CorruptData):
            decompress(damaged)


def test_bytes_behind_the_archive() -> None:
    with pytest.raises(CorruptData, match="after the end"):
        decompress(compress(SMALL) + b"\0")
