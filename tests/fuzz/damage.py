"""Good archives with some bytes changed: an error or the original, never other bytes; and what is salvaged is right."""

import io
from collections.abc import Iterator
from functools import cache
from zlib import crc32

from tests.codec.engines import byte_engine, compress, decompress
from tests.codec.test_damage import SMALL, archive_by, archive_with
from tests.fuzz.feed import Feed, edited
from zipllm.codec.block.predicted_block import encode_history_block
from zipllm.codec.decoder import DecodeOptions
from zipllm.codec.reading.salvage import salvage_stream
from zipllm.container import Coding, CodingParameters, Limits, scan
from zipllm.container.samples import PICTURE, SOUND, Layout, dna_layout
from zipllm.errors import ZipllmError
from zipllm.media.coding import encode

LIMITS = Limits(block_raw=1 << 20, output=1 << 20)


_LAYOUTS = (Layout(SOUND, 2, 88, 4, 2), Layout(PICTURE, 0, 90, 30, 3), dna_layout(len(SMALL)))


@cache
def _originals() -> tuple[bytes, ...]:
    alone = [archive_by(coding) for coding in Coding]
    joined = compress(SMALL, lanes=2, history_bits=12)
    return (
        *alone,
        joined,
        *map(_of_samples, _LAYOUTS),
        *map(_by_family, ({"mixer": 1, "row": 7}, {"row": 7, "sample": 2}, {"family": 2})),
    )


def _of_samples(layout: Layout) -> bytes:
    return archive_with(Coding.SAMPLES, encode(SMALL, layout), layout=layout)


def _by_family(fields: dict[str, int]) -> bytes:
    """An archive whose block has contexts of rows, or of another family, of the full mixer or of another."""
    fields = {"mixer": 2, "family": 1} | fields
    parameters = CodingParameters(lanes=1, probability_bits=24, history=12, **fields)
    return archive_with(Coding.HISTORY, encode_history_block(SMALL, parameters, None), SMALL, 1, None, **fields)


def run(data: bytes) -> None:
    """An archive of each coding and context family; half of the time the first damaged record gets a right CRC-32."""
    feed = Feed(data)
    original = feed.choice(_originals())
    resealed = feed.below(2) == 1
    damaged = edited(original, feed)
    if resealed:
        damaged = _resealed(damaged)
    _salvage(damaged)
    try:
        decoded = decompress(damaged, byte_engine(), limits=LIMITS)
    except ZipllmError:
        return
    assert decoded in (SMALL, SMALL * 2), "damage gave other bytes"  # twice: a whole archive may have been doubled


def _salvage(damaged: bytes) -> None:
    """The block comes back whole, once or more, or as zeros; what a forger may put in is a size, so zeros only."""
    sink = io.BytesIO()
    try:
        salvage_stream(
            io.BytesIO(damaged), sink, options=DecodeOptions(engines=lambda model_id: byte_engine(), limits=LIMITS)
        )
    except ZipllmError:
        return
    assert not sink.getvalue().replace(SMALL, b"").strip(b"\0"), "other bytes were salvaged"


def _resealed(archive: bytes) -> bytes:
    """The archive with the check of every block's header made right again, as far as its records can be followed."""
    data = bytearray(archive)
    at = data[8] if len(data) > 8 else 0
    while at + 2 < len(data) and data[at] in b"BM":
        end = at + 2 + data[at + 1]
        data[end : end + 4] = crc32(data[at:end]).to_bytes(4, "little")
        try:
            *_, last = (item for item in scan(io.BytesIO(bytes(data)), LIMITS) if item.offset <= at)
            at = last.end_offset if last.end_offset > at else len(data)
        except (ZipllmError, ValueError):
            return bytes(data)
    return bytes(data)


def seeds() -> Iterator[bytes]:
    """One change in each archive."""
    for index in range(len(_originals())):
        for kind in range(5):
            yield bytes([index, 0, 0, 40 + kind, kind, 7])
            yield bytes([index, 1, 1, 30 + kind, kind, 7, 60, kind, 3])
