"""Compressing: twice the same bytes, and the original back, whole and from any place."""

import hashlib
import io
from collections.abc import Callable, Iterator

from tests.codec.engines import TEXT, bpe_engine, byte_engine
from tests.fuzz.feed import Feed
from tests.golden.make_golden import tiny
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.archive_file import ZipllmFile
from zipllm.engine.engine import Engine

_BLOCK_SIZES = (1, 7, 100, 1000, 1 << 16)
_ENGINES: tuple[Callable[[], Engine] | None, ...] = (byte_engine, bpe_engine, None, tiny)
"""Two that count, none, so that the history is alone, and a Transformer."""

_TRANSFORMED = 150
"""Bytes that the Transformer is given: it takes milliseconds for each."""


def run(data: bytes) -> None:
    """The first bytes choose how, the rest is the content."""
    feed = Feed(data)
    engine = feed.choice(_ENGINES)
    options = EncodeOptions(
        block_size=feed.choice(_BLOCK_SIZES),
        lanes=feed.choice([None, 1, 2, 5, 64]),
        history_bits=feed.choice([None, 12, 14, 22]),
        fallback=feed.below(2) == 1 or engine is None,
        sample=feed.below(2) == 1,
        verify=False,
    )
    start, stop = feed.number(2), feed.number(2)
    content = feed.rest()[: 20 * options.block_size]
    if engine is tiny:
        content = content[:_TRANSFORMED]
    archive = _archive(content, engine, options)
    again = _archive(content, engine, options)
    assert hashlib.sha256(archive).digest() == hashlib.sha256(again).digest(), "the same input gave other bytes"
    sink = io.BytesIO()
    decompress_stream(io.BytesIO(archive), sink, options=DecodeOptions(engines=lambda model_id: _found(engine)))
    assert sink.getvalue() == content
    with ZipllmFile(io.BytesIO(archive), decode=DecodeOptions(engines=lambda model_id: _found(engine))) as file:
        file.seek(start)
        assert file.read(max(0, stop - start)) == content[start : max(start, stop)]


def _archive(content: bytes, engine: Callable[[], Engine] | None, options: EncodeOptions) -> bytes:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(content), sink, engine=engine, options=options)
    return sink.getvalue()


def _found(engine: Callable[[], Engine] | None) -> Engine:
    assert engine is not None, "an archive made without a model asks for one"
    return engine()


def seeds() -> Iterator[bytes]:
    """Text, zeros, all bytes; each engine, several shapes."""
    for content in (b"", b"a", TEXT, bytes(500), bytes(range(256)) * 2, TEXT.upper() * 3):
        for engine in range(len(_ENGINES)):
            for shape in range(5):
                yield bytes([engine, shape, 4 - shape, shape % 4, shape % 2, engine % 2, 10, 0, 60, 0]) + content
