"""The archive's header: whatever is accepted is spelled as a writer would spell it, and nothing else happens."""

import io
import struct
from collections.abc import Iterator
from zlib import crc32

from tests.vectors.make_vectors import vectors
from zipllm.container import MAGIC, scan
from zipllm.container.header import PREFIX_BYTES, header_bytes, parse_header
from zipllm.errors import ZipllmError


def run(data: bytes) -> None:
    """The bytes as they are, and as the fields of a header whose size and CRC-32 are right."""
    _parse(data)
    fields = data[: 255 - PREFIX_BYTES - 4]
    body = MAGIC + bytes([PREFIX_BYTES + len(fields) + 4]) + fields
    _parse(body + struct.pack("<I", crc32(body)))


def _parse(data: bytes) -> None:
    try:
        size = header_bytes(data[:PREFIX_BYTES]) if len(data) >= PREFIX_BYTES else 0
        if len(data) >= size > 0:
            header = parse_header(data[:size])
            assert header.encode() == data[:size], "a header has one spelling"
    except ZipllmError:
        pass
    try:
        for _ in scan(io.BytesIO(data)):
            pass
    except ZipllmError:
        pass


def seeds() -> Iterator[bytes]:
    """All vectors, and the fields of some headers."""
    for vector in vectors():
        if len(vector.data) < 4096:
            yield vector.data
            yield vector.data[PREFIX_BYTES:]
