"""What salvage calls good is right: random damages of archives, and an oracle that has the original.

Good is every byte of the result that lies in no ``Lost``: it must be the original's byte of the same place.
"""

import io
import random
from collections.abc import Callable

import pytest

from tests.codec.engines import TEXT, decompress
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.salvage import salvage_stream
from zipllm.container import scan
from zipllm.errors import CorruptData
from zipllm.progress import Summary

DAMAGES = 170


def archive_of(content: bytes, block_size: int, known: bool = True) -> bytes:
    sink, options = io.BytesIO(), EncodeOptions(block_size=block_size, history_bits=None, verify=False)
    size = len(content) if known else None
    compress_stream(io.BytesIO(content), sink, engine=None, options=options, original_size=size)
    return sink.getvalue()


def some_content(chance: random.Random, size: int) -> bytes:
    """Random bytes, which are stored, or text and zeros, which are not; nothing that repeats at a distance."""
    kinds: list[Callable[[int], bytes]] = [
        chance.randbytes,
        lambda count: bytes(chance.choice(TEXT) for _ in range(count)),
        bytes,
    ]
    parts = b""
    while len(parts) < size:
        parts += chance.choice(kinds)(chance.randrange(1, 600))
    return parts[:size]


def plain(chance: random.Random) -> tuple[bytes, bytes]:
    """An archive and its content; sizes are often multiples of the block size, where mistakes hide best."""
    block_size = chance.choice([100, 250, 1000])
    size = block_size * chance.randrange(2, 9) + chance.choice([0, 0, chance.randrange(block_size)])
    content = some_content(chance, size)
    return archive_of(content, block_size, chance.random() < 0.7), content


def joined(chance: random.Random) -> tuple[bytes, bytes]:
    if chance.random() < 0.5:  # of the same shape
        block_size, blocks = chance.choice([100, 250, 1000]), chance.randrange(1, 6)
        contents = [some_content(chance, block_size * blocks) for _ in range(chance.randrange(2, 4))]
        return b"".join(archive_of(content, block_size) for content in contents), b"".join(contents)
    parts = [plain(chance) for _ in range(chance.randrange(2, 4))]
    return b"".join(archive for archive, _ in parts), b"".join(content for _, content in parts)


def nested(chance: random.Random) -> tuple[bytes, bytes]:
    """An archive of archives, which are too dense to be coded and so lie in it as they are."""
    content = chance.choice([plain, joined, joined])(chance)[0] + chance.choice([b"", chance.randbytes(50)])
    return archive_of(content, chance.choice([100, 250, 700, 1000, 2500, 1 << 14]), chance.random() < 0.7), content


def damaged(chance: random.Random, archive: bytes, offsets: list[int]) -> bytes:
    """Another archive, damaged from one of ``offsets`` to another; anywhere without any."""
    begin, other = chance.randrange(len(archive)), chance.randrange(len(archive))
    end = min(len(archive), begin + chance.choice([1, 1, 8, 64, 300, 1200, 4000]))
    bit = bytes([archive[begin] ^ 1 << chance.randrange(8)])
    if offsets:
        begin, end = sorted(chance.choices(offsets, k=2))
    return chance.choice(
        [
            archive[:begin] + bit + archive[begin + 1 :],
            archive[:begin] + bytes(end - begin) + archive[end:],
            archive[:begin] + chance.randbytes(end - begin) + archive[end:],
            archive[:begin] + archive[end:],
            archive[:begin] + archive[other : other + end - begin] + archive[begin:],
            archive[:begin] + archive[other : other + end - begin] + archive[end:],
            archive[:begin],
        ]
    )


def wrong_claims(content: bytes, summary: Summary, original: bytes) -> int:
    """Count bytes that are called good and are not the original's; they lie between the losses."""
    begin = wrong = 0
    for lost in [*summary.lost, None]:
        end = len(content) if lost is None else lost.begin
        if begin < end and content[begin:end] != original[begin:end]:
            pairs = zip(content[begin:end], original[begin:end].ljust(end - begin, b"?"), strict=True)
            wrong += sum(a != b for a, b in pairs) or 1
        begin = max(begin, end, begin if lost is None else lost.end or lost.begin)
    return wrong


@pytest.mark.parametrize("make", [plain, joined, nested])
def test_random_damages(make: Callable[[random.Random], tuple[bytes, bytes]]) -> None:
    for seed in range(DAMAGES):
        chance = random.Random(seed)
        archive, original = make(chance)
        # Records that are removed or doubled whole leave no trace beside other damage.
        offsets = [item.offset for item in scan(io.BytesIO(archive))] if chance.random() < 0.2 else []
        for _ in range(1 if offsets else chance.choice([1, 1, 1, 2, 3])):
            archive = damaged(chance, archive, offsets) or b"x"
        sink = io.BytesIO()
        try:
            summary = salvage_stream(io.BytesIO(archive), sink)
        except CorruptData:
            continue
        if summary.lost:
            assert wrong_claims(sink.getvalue(), summary, original) == 0, seed
        else:  # whole archives were removed, or nothing at all
            assert decompress(archive) == sink.getvalue(), seed
