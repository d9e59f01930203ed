"""Compressing: twice the same bytes, and the original back, whole and from any place."""

import hashlib
import io
from collections.abc import Iterator

from tests.codec.engines import TEXT, bpe_engine, byte_engine, compress, decompress
from tests.fuzz.feed import Feed
from zipllm.codec.archive_file import ZipllmFile

_BLOCK_SIZES = (1, 7, 100, 1000, 1 << 16)


def run(data: bytes) -> None:
    """The first bytes choose how, the rest is the content."""
    feed = Feed(data)
    engine = feed.choice([byte_engine, bpe_engine])()
    options = {
        "block_size": feed.choice(_BLOCK_SIZES),
        "lanes": feed.choice([None, 1, 2, 5, 64]),
        "fallback": feed.below(2) == 1,
        "sample": feed.below(2) == 1,
        "verify": False,
    }
    start, stop = feed.number(2), feed.number(2)
    content = feed.rest()[: 64 * options["block_size"]]
    archive = compress(content, engine, **options)
    again = compress(content, engine, **options)
    assert hashlib.sha256(archive).digest() == hashlib.sha256(again).digest(), "the same input gave other bytes"
    assert decompress(archive, engine) == content
    with ZipllmFile(io.BytesIO(archive), engines=lambda model_id: engine) as file:
        file.seek(start)
        assert file.read(max(0, stop - start)) == content[start : max(start, stop)]


def seeds() -> Iterator[bytes]:
    """Text, zeros, all bytes; each engine, several shapes."""
    for content in (b"", b"a", TEXT, bytes(500), bytes(range(256)) * 2, TEXT.upper() * 3):
        for engine in range(2):
            for shape in range(5):
                yield bytes([engine, shape, 4 - shape, shape % 2, engine, 10, 0, 60, 0]) + content
