"""Small archives for the tests, and the whole check of one, as a decoder does it."""

import hashlib
import io
from collections.abc import Iterable
from zlib import crc32

from zipllm.container import (
    ArchiveHeader,
    ArchiveReader,
    ArchiveWriter,
    Block,
    BlockHeader,
    Coding,
    CodingParameters,
    ContentHash,
    End,
    Limits,
    ModelRecord,
    Record,
    check_block,
)

MODEL_ID = bytes(range(32))
NUMERICS = b'{"threads":1}'
LOCAL = ModelRecord(hashlib.sha256(NUMERICS).digest(), numerics=NUMERICS)
"""A model whose floats are those of one machine."""
MIB = 1 << 20


class Pipe:
    """A source that cannot seek and gives at most a few bytes at a time."""

    def __init__(self, data: bytes, most: int = 3) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._most))


def stored(raw: bytes) -> Block:
    return Block(BlockHeader(Coding.STORED, len(raw), len(raw), crc32(raw)), raw)


def modeled(raw: bytes, payload: bytes, lanes: int = 1) -> Block:
    """A model-coded block; the payload need not mean anything, the container does not decode it."""
    parameters = CodingParameters(lanes=lanes, probability_bits=24)
    return Block(BlockHeader(Coding.MODEL, len(raw), len(payload), crc32(raw), parameters), payload)


def archive(
    blocks: Iterable[Block] = (), raw: bytes = b"", model: ModelRecord | None = None, known: bool = True
) -> bytes:
    """An archive of these blocks; ``raw`` is what they decode to."""
    sink, content = io.BytesIO(), ContentHash()
    content.update(raw)
    writer = ArchiveWriter(sink)
    writer.begin(ArchiveHeader(MIB, len(raw) if known else None))
    if model is not None:
        writer.model(model)
    for block in blocks:
        writer.block(block.header, block.payload)
    writer.end(content.digest())
    assert writer.size == len(sink.getvalue())
    return sink.getvalue()


def archive_of(*raws: bytes, known: bool = True) -> bytes:
    """An archive of stored blocks."""
    return archive([stored(raw) for raw in raws], b"".join(raws), known=known)


def records(data: bytes, limits: Limits | None = None) -> list[Record]:
    """All records, by way of a pipe."""
    return list(ArchiveReader(Pipe(data), limits))


def decode_stored(data: bytes, limits: Limits | None = None) -> bytes:
    """The content of archives that have stored blocks only, with every check that a decoder makes."""
    output, content = b"", ContentHash()
    for record in ArchiveReader(io.BytesIO(data), limits):
        match record:
            case ArchiveHeader():
                content = ContentHash()
            case Block(header, payload):
                assert header.coding == Coding.STORED
                check_block(header, payload)
                content.update(payload)
                output += payload
            case End():
                content.check(record)
    return output
