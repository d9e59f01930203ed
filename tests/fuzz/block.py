"""Records with right checksums and any fields and payloads: an error, or bytes of the declared size and CRC-32."""

import contextlib
import io
import struct
from collections.abc import Iterator
from itertools import pairwise
from zlib import crc32

from tests.codec.engines import byte_engine
from tests.fuzz.feed import Feed
from tests.fuzz.media import any_layout
from tests.vectors.make_vectors import vectors
from zipllm.codec.block_decoding import decode_block
from zipllm.container import (
    ArchiveHeader,
    ArchiveReader,
    Block,
    Coding,
    CodingParameters,
    End,
    Limits,
    Scanned,
    scan,
)
from zipllm.container.block import FULL_MIXER, MAX_ROW, PREDICTED, ROWS
from zipllm.container.model_record import ModelHeader
from zipllm.container.record import RecordType, encode_varint, frame
from zipllm.errors import ZipllmError

LIMITS = Limits(block_raw=1 << 16, output=1 << 17, lanes=64)
MODEL = ModelHeader(byte_engine().model_id)
_RAW_SIZES = (1, 2, 90, 127, 128, 4096, 65536, 65537, 0)
"""0 stands for any number."""


def run(data: bytes) -> None:
    """An archive made of records."""
    feed = Feed(data)
    archive = ArchiveHeader(1 << 16).encode()
    if feed.below(8):
        archive += MODEL.encode()
    while feed and len(archive) < 1 << 14:
        archive += _record(feed)
    for tail in (b"", End(0, bytes(32)).encode(header_has_size=False)):
        _walk(archive + tail)


def _walk(archive: bytes) -> None:
    try:
        for record in ArchiveReader(io.BytesIO(archive), LIMITS):
            if isinstance(record, Block):
                _decode(record)
    except ZipllmError:
        pass
    found: list[Scanned] = []
    with contextlib.suppress(ZipllmError):
        found.extend(scan(io.BytesIO(archive), LIMITS))
    assert all(left.end_offset == right.offset for left, right in pairwise(found))


def _decode(block: Block) -> None:
    try:
        raw = decode_block(block, byte_engine, None)
    except ZipllmError:
        return
    assert (len(raw), crc32(raw)) == (block.header.raw_size, block.header.raw_crc32)


def _record(feed: Feed) -> bytes:
    kind = feed.choice([RecordType.BLOCK, RecordType.BLOCK, RecordType.BLOCK, *RecordType])
    payload = feed.take(feed.number(2) % 512)
    if kind is not RecordType.BLOCK or not feed.below(8):
        return frame(kind, feed.choice([len(payload), feed.number(4)]), feed.take(feed.below(200))) + payload
    coding = feed.choice([*Coding, max(Coding) + 1])
    raw_size = b"" if coding == Coding.STORED else encode_varint(feed.choice(_RAW_SIZES) or feed.number(8) >> 1)
    check = struct.pack("<I", crc32(payload) if feed.below(4) else feed.number(4))
    if coding == Coding.SAMPLES:
        parameters = any_layout(feed, feed.choice(_RAW_SIZES) or 9).encode()
    else:
        parameters = _parameters(feed) if coding in PREDICTED else feed.take(feed.below(4))
    return frame(kind, len(payload), bytes([coding]) + raw_size + check + parameters) + payload


def _parameters(feed: Feed) -> bytes:
    """Mostly such as a writer may write, with and without a mixer; else any bytes."""
    if not feed.below(8):
        return feed.take(feed.below(16))
    history = feed.choice([12, 0, 13, 16, 24])
    mixer = 1 + feed.below(2)
    adaptive = {"mixer": mixer, "history": history, "family": feed.below(1 + mixer)} if history else {}
    if adaptive.get("family") == ROWS:
        adaptive["row"] = 1 + feed.number(2) % MAX_ROW
        adaptive["sample"] = 1 + feed.below(4) if mixer == FULL_MIXER else 1
    return CodingParameters(feed.choice([1, 2, 3, 64, 65]), 24, **adaptive).encode()


def seeds() -> Iterator[bytes]:
    """The payloads of good vectors, in the shape that ``_record`` reads."""
    for vector in vectors():
        if vector.name.startswith(("good-", "bad-")) and len(vector.data) < 4096:
            yield bytes([1, 0]) + struct.pack("<H", len(vector.data) % 512) + vector.data
    for coding in Coding:
        for parameters in (b"", b"\0\6" + bytes([1, 24, 24, 0, 0, 1]), b"\1\0\0\0", b"\1\0\1\6\0\2", b"\1\1\1"):
            payload = bytes(range(40))
            yield bytes([1, 0, 40, 0]) + payload + bytes([1, coding, 2, 1]) + parameters
