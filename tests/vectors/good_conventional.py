"""Archives to accept, without predicted blocks."""

from collections.abc import Iterator

from tests.vectors.parts import (
    ALL_BYTES,
    BZ2,
    KIB,
    LZMA,
    MIB,
    TEXT,
    ZSTD,
    Vector,
    archive,
    around,
    coded,
    end,
    header,
    local,
    model,
    stored,
)
from tests.vectors.payloads import bzip2, lzma2_uncompressed, zstd_run


def conventional() -> Iterator[Vector]:
    yield Vector("empty-known", "an empty file, size known", archive(), b"")
    yield Vector("empty-unknown", "an empty file from a pipe, size unknown", header(None) + end(b"", 0), b"")
    yield Vector("one-byte", "the shortest content, as in FORMAT.md", header(None) + stored(b"a") + end(b"a", 1), b"a")
    yield Vector("all-bytes", "every byte value, stored", archive(ALL_BYTES), ALL_BYTES)
    yield Vector("unknown-size", "size in END", header(None) + stored(TEXT) + end(TEXT, len(TEXT)), TEXT)
    yield Vector("two-blocks", "two stored blocks of unequal size", archive(TEXT, ALL_BYTES), TEXT + ALL_BYTES)
    yield Vector("tiny-blocks", "block size 1: every byte a block", tiny_blocks(), TEXT)
    yield Vector("varint-edges", "blocks of 127 and 128 bytes", archive(bytes(127), bytes(128)), bytes(255))
    yield Vector("largest-block-size", "block size 16 MiB, the default limit", largest_block_size(), TEXT)
    run = bytes([7]) * 1000
    zstd, lzma, bzip = zstd_run(7, 1000), lzma2_uncompressed(TEXT), bzip2(TEXT * 9)
    yield Vector("zstd", "a zstd frame without content size and checksum", around(coded(ZSTD, run, zstd), run), run)
    yield Vector("lzma", "a raw LZMA2 stream", around(coded(LZMA, TEXT, lzma), TEXT), TEXT)
    yield Vector("bz2", "a bzip2 stream", around(coded(BZ2, TEXT * 9, bzip), TEXT * 9), TEXT * 9)
    mixed = coded(ZSTD, run, zstd) + stored(ALL_BYTES) + coded(BZ2, TEXT * 9, bzip) + coded(LZMA, TEXT, lzma)
    content = run + ALL_BYTES + TEXT * 9 + TEXT
    yield Vector("all-conventional", "each coding that needs no model", around(mixed, content), content)
    run = bytes(300 * KIB)
    yield Vector("zstd-run", "300 KiB of zeros in 100 bytes", around(coded(ZSTD, run, zstd_run(0, len(run))), run), run)
    yield Vector(
        "concatenated", "three archives, one of them empty", archive(b"one") + archive() + archive(b"two"), b"onetwo"
    )
    mixed_sizes = archive(b"one") + header(None, 9) + stored(b"two") + end(b"two", 3)
    yield Vector("concatenated-mixed", "two archives with different headers", mixed_sizes, b"onetwo")
    unused = around(model() + stored(TEXT), TEXT)
    yield Vector("model-unused", "names an unknown model, but has no block that needs it", unused, TEXT)
    unused = around(model(b"not a model file") + stored(TEXT), TEXT)
    yield Vector("model-embedded-unused", "embeds a model file that no block needs", unused, TEXT)
    unused = around(local(b'{"threads":1}') + stored(TEXT), TEXT)
    yield Vector("local-unused", "not portable, but has no block that needs the machine", unused, TEXT)


def tiny_blocks() -> bytes:
    return header(len(TEXT), 1) + b"".join(stored(bytes([byte])) for byte in TEXT) + end(TEXT)


def largest_block_size() -> bytes:
    return header(len(TEXT), 16 * MIB) + stored(TEXT) + end(TEXT)
