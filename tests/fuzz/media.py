"""Sound, pictures and DNA: parsers of headers never fail, and any layout codes any bytes both ways."""

from collections.abc import Iterator

from tests.fuzz.feed import Feed
from tests.media.synthetic import KINDS, block
from zipllm.container.samples import DNA, PICTURE, SOUND, Layout, dna_layout
from zipllm.errors import CorruptData
from zipllm.media.coding import decode, encode
from zipllm.media.dna_memory import find_dna
from zipllm.media.headers import find_layout
from zipllm.media.trial import find_sound

_MOST = 600
_HEADERS = (b"", b"RIFF", b"FORM", b"P5 ", b"P6 ", b"BM", b"II*\0", b"MM\0*")


def run(data: bytes) -> None:
    """Bytes as a file with a header, as a block of a layout of their own choice, and as a payload."""
    feed = Feed(data)
    begins, layout_of = feed.choice(_HEADERS), feed.below(8)
    raw = begins + feed.take(len(data))
    for find in (find_layout, find_sound, find_dna):
        found = find(raw)
        assert found is None or found.fits(len(raw)), f"{find.__name__} found what does not fit"
        if found is not None:
            _round_trip(raw[:_MOST], found)
    if layout_of == 0 and raw:
        layout = any_layout(Feed(data), len(raw[:_MOST]))
        _round_trip(raw[:_MOST], layout)
        _decode(raw, layout)


def any_layout(feed: Feed, size: int) -> Layout:
    """A layout, of a block of ``size`` bytes if it fits."""
    kind = feed.choice([SOUND, PICTURE, DNA, 0])
    if kind == DNA:
        return dna_layout(size)
    sample = 1 + feed.below(4)
    row = sample * (1 + feed.below(2)) if kind == SOUND else 1 + feed.number(1 + feed.below(3))
    begin = feed.below(1 + min(size, 99))
    return Layout(kind, begin, (size - begin) // row * row, row, sample, feed.below(4) if kind == SOUND else 0)


def _round_trip(raw: bytes, layout: Layout) -> None:
    if raw and layout.fits(len(raw)):
        assert decode(encode(raw, layout), len(raw), layout) == raw, "other bytes came back"


def _decode(payload: bytes, layout: Layout) -> None:
    """Any payload gives bytes or is refused."""
    size = layout.begin + layout.length
    if size and layout.fits(size):
        try:
            assert len(decode(payload, size, layout)) == size
        except CorruptData:
            return


def seeds() -> Iterator[bytes]:
    """A little of each kind of samples, behind headers and without."""
    for number, kind in enumerate(KINDS):
        raw, _ = block(kind, 300, begin=number, tail=3)
        yield bytes([0, number % 8]) + raw
    yield bytes([3, 1]) + b"9 9 255\n" + bytes(range(90))
    yield bytes([0, 0]) + b">id\n" + b"ACGTTGCA" * 40
