"""Makes the archives of this folder, their hashes and the table in README.md.

    python -m tests.vectors.make_vectors

It is a second, independent implementation of ``zipllm/container/FORMAT.md``: nothing of zipllm is imported, so that a
vector says what the specification says and not what the code happens to do. Payloads are assembled by hand where a
library's output could change from version to version.
"""

import bz2
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
MAGIC = b"\x89ZLM\r\n\x1a\n"
KIB = 1 << 10
MIB = 1 << 20
TEXT = b"The quick brown fox jumps over the lazy dog.\n"
ALL_BYTES = bytes(range(256))
MODEL_ID = hashlib.sha256(b"no such model").digest()
STORED, ZSTD, LZMA, BZ2, MODEL, HISTORY = range(6)
MINOR = 1


@dataclass(frozen=True)
class Vector:
    """An archive, why it is here and, when it is good, what it decodes to."""

    name: str
    reason: str
    data: bytes
    content: bytes | None = None


# --------------------------------------------------------------------------- the format's parts


def varint(value: int, longer_by: int = 0) -> bytes:
    """The shortest form, or with zeros appended one that is too long."""
    digits = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)] + [0] * longer_by
    return bytes(digit | 0x80 for digit in digits[:-1]) + bytes(digits[-1:])


def sealed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


def header_of(fields: bytes, size: int | None = None) -> bytes:
    return sealed(MAGIC + bytes([9 + len(fields) + 4 if size is None else size]) + fields)


def header(size: int | None, block_size: int = MIB) -> bytes:
    known = b"" if size is None else varint(size)
    return header_of(bytes([0, MINOR, 0 if size is None else 1]) + varint(block_size) + known)


def record(kind: bytes, fields: bytes, payload: bytes = b"", field_bytes: int | None = None) -> bytes:
    """``fields`` includes the payload size."""
    return sealed(kind + bytes([len(fields) if field_bytes is None else field_bytes]) + fields) + payload


def check(raw: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(raw))


def stored(raw: bytes) -> bytes:
    return record(b"B", varint(len(raw)) + bytes([STORED]) + check(raw), raw)


def coded(coding: int, raw: bytes, payload: bytes, parameters: bytes = b"", raw_size: int | None = None) -> bytes:
    size = varint(len(raw) if raw_size is None else raw_size)
    return record(b"B", varint(len(payload)) + bytes([coding]) + size + check(raw) + parameters, payload)


def model(embedded: bytes = b"", crc: bytes | None = None) -> bytes:
    payload_check = (check(embedded) if embedded else bytes(4)) if crc is None else crc
    return record(b"M", varint(len(embedded)) + MODEL_ID + payload_check, embedded)


def parameters(
    lanes: int = 1,
    coder: int = 1,
    precision: int = 24,
    probability_bits: int = 24,
    mixer: int = 0,
    history: int = 0,
    kind: int = 0,
    record: int = 1,
) -> bytes:
    adaptive = bytes([kind]) + varint(record) if mixer else b""
    return bytes([coder, precision, probability_bits, mixer, history]) + varint(lanes) + adaptive


def end(raw: bytes, size: int | None = None, marker: bytes = b"\x5a\x89") -> bytes:
    """``size`` for archives whose header does not state it."""
    stated = b"" if size is None else varint(size)
    return record(b"E", varint(len(marker)) + stated + hashlib.sha256(raw).digest(), marker)


def archive(*raws: bytes) -> bytes:
    """Stored blocks, size known."""
    raw = b"".join(raws)
    return header(len(raw)) + b"".join(map(stored, raws)) + end(raw)


def around(body: bytes, raw: bytes) -> bytes:
    """A whole archive of ``raw`` with these records before its END."""
    return header(len(raw)) + body + end(raw)


def modelled(body: bytes) -> bytes:
    """Up to a model-coded block, whose header already has to be refused."""
    return header(3) + model() + body


# --------------------------------------------------------------------------- payloads, assembled by hand


def zstd_run(byte: int, count: int) -> bytes:
    """One zstd frame (RFC 8878): window of 128 KiB, no content size, no checksum, blocks of one repeated byte."""
    sizes = [128 * KIB] * (count // (128 * KIB)) + [count % (128 * KIB)]
    blocks = [struct.pack("<I", size << 3 | 1 << 1 | (index == len(sizes) - 1)) for index, size in enumerate(sizes)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(block[:3] + bytes([byte]) for block in blocks)


def lzma2_uncompressed(raw: bytes) -> bytes:
    """A raw LZMA2 stream: one chunk that resets the dictionary and is not compressed, then the end marker."""
    return b"\x01" + struct.pack(">H", len(raw) - 1) + raw + b"\x00"


# --------------------------------------------------------------------------- good


def good() -> Iterator[Vector]:
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
    zstd, lzma, bzip = zstd_run(7, 1000), lzma2_uncompressed(TEXT), bz2.compress(TEXT * 9)
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


def tiny_blocks() -> bytes:
    return header(len(TEXT), 1) + b"".join(stored(bytes([byte])) for byte in TEXT) + end(TEXT)


def largest_block_size() -> bytes:
    return header(len(TEXT), 16 * MIB) + stored(TEXT) + end(TEXT)


# --------------------------------------------------------------------------- bad


def bad() -> Iterator[Vector]:
    yield from bad_headers()
    yield from bad_frames()
    yield from bad_blocks()
    yield from bad_payloads()
    yield from bad_models()
    yield from bad_ends()


def bad_headers() -> Iterator[Vector]:
    whole = archive(TEXT)
    rest = whole[len(header(len(TEXT))) :]
    yield Vector("nothing", "no bytes at all", b"")
    yield Vector("text", "a text file", TEXT)
    yield Vector("magic", "first byte of the magic is 88", b"\x88" + whole[1:])
    yield Vector("magic-7-bit", "eighth bit of all bytes cleared", bytes(byte & 0x7F for byte in whole))
    yield Vector("magic-unix-line-ends", "CR LF became LF", whole.replace(b"\r\n", b"\n"))
    yield Vector("magic-dos-line-ends", "LF became CR LF", whole.replace(b"\n", b"\r\n"))
    yield Vector("header-check", "CRC-32 of the header is wrong", whole[:16] + bytes([whole[16] ^ 1]) + whole[17:])
    yield Vector("header-version-damaged", "version 1.0 by a flipped bit: damage, not a version", flip(whole, 9, 1))
    yield Vector("header-size-small", "header size 16", header_of(b"\0\x01\0\x01", 16) + rest)
    yield Vector("header-size-large", "header size 255, the file is shorter", header_of(b"\0\x01\0\x01", 255) + rest)
    yield Vector("header-extra-byte", "a byte after the last field", header_of(b"\0\x01\0\x01\0") + end(b"", 0))
    yield Vector(
        "header-no-size", "flag says that the size is known, it is missing", header_of(b"\0\x01\x01\x01") + end(b"")
    )
    yield Vector("header-block-size-0", "block size 0", header_of(b"\0\x01\0\0") + end(b"", 0))
    yield Vector("header-varint", "block size 1 in two bytes", header_of(b"\0\x01\0\x81\0") + end(b"", 0))
    yield Vector(
        "header-varint-long", "block size of ten bytes", header_of(b"\0\x01\0" + b"\x80" * 9 + b"\x01") + end(b"", 0)
    )
    yield Vector("header-truncated", "ends in the header", whole[:12])
    yield Vector("header-alone", "ends after the header", header(0))


def bad_frames() -> Iterator[Vector]:
    whole = archive(TEXT)
    start = len(header(len(TEXT)))
    yield Vector("record-check", "CRC-32 of a record header is wrong", flip(whole, start + 2, 1))
    yield Vector("record-type-damaged", "unknown type by a flipped bit: damage", flip(whole, start, 1))
    yield Vector("record-truncated", "ends in a record header", whole[: start + 5])
    fields = varint(3) + bytes([STORED]) + check(b"raw")
    yield Vector(
        "record-extra-field", "a byte after the last field", around(record(b"B", fields + b"\0", b"raw"), b"raw")
    )
    yield Vector("record-short", "the last field is cut off", around(record(b"B", fields[:-1], b"raw"), b"raw"))
    yield Vector("record-no-fields", "no fields at all", around(record(b"B", b""), b""))
    fields = varint(3, longer_by=1) + bytes([STORED]) + check(b"raw")
    yield Vector("record-varint", "payload size 3 in two bytes", around(record(b"B", fields, b"raw"), b"raw"))


def bad_blocks() -> Iterator[Vector]:
    whole = archive(b"first", b"other")
    first, second = stored(b"first"), stored(b"other")
    yield Vector("block-empty", "a stored block without bytes", around(stored(b""), b""))
    yield Vector("block-empty-coded", "a zstd block without original bytes", around(coded(ZSTD, b"", b"\0"), b""))
    large = header(3, 2) + stored(b"raw") + end(b"raw")
    yield Vector("block-over-block-size", "3 bytes, the header allows 2", large)
    yield Vector("block-missing-first", "first of two blocks missing", whole.replace(first, b""))
    yield Vector("block-missing-last", "last of two blocks missing", whole.replace(second, b""))
    yield Vector("block-missing-unknown-size", "as before, size in END", header(None) + first + end(b"firstother", 10))
    yield Vector("block-duplicated", "first block twice", whole.replace(first, first + first))
    yield Vector("block-swapped", "two blocks of equal size exchanged", whole.replace(first + second, second + first))
    fields = varint(3) + bytes([STORED]) + check(b"row")
    yield Vector("block-check", "CRC-32 of the block is wrong", around(record(b"B", fields, b"raw"), b"raw"))
    yield Vector("block-payload", "a bit of the payload flipped", whole.replace(b"first", b"fir3t"))
    yield Vector("block-truncated", "ends inside of a payload", whole[: whole.index(b"first") + 2])


def bad_payloads() -> Iterator[Vector]:
    run = bytes(1000)
    zstd, bzip, lzma = zstd_run(0, 1000), bz2.compress(TEXT), lzma2_uncompressed(TEXT)
    yield Vector("zstd-short", "999 of 1000 bytes", around(coded(ZSTD, run, zstd_run(0, 999)), run))
    yield Vector("zstd-long", "1001 of 1000 bytes", around(coded(ZSTD, run, zstd_run(0, 1001)), run))
    yield Vector(
        "zstd-bomb", "64 MiB where 1000 bytes are declared", around(coded(ZSTD, run, zstd_run(0, 64 * MIB)), run)
    )
    yield Vector("zstd-trailing", "a byte after the frame", around(coded(ZSTD, run, zstd + b"\0"), run))
    yield Vector("zstd-two-frames", "two frames", around(coded(ZSTD, run + run, zstd + zstd), run + run))
    yield Vector("zstd-truncated", "the frame is cut off", around(coded(ZSTD, run, zstd[:-1]), run))
    yield Vector("zstd-garbage", "not a zstd frame", around(coded(ZSTD, run, TEXT), run))
    yield Vector("lzma-truncated", "the end marker is missing", around(coded(LZMA, TEXT, lzma[:-1]), TEXT))
    yield Vector("lzma-trailing", "a byte after the end marker", around(coded(LZMA, TEXT, lzma + b"\0"), TEXT))
    yield Vector("lzma-garbage", "not an LZMA2 stream", around(coded(LZMA, TEXT, b"\xff" + lzma[1:]), TEXT))
    yield Vector("bz2-truncated", "the stream is cut off", around(coded(BZ2, TEXT, bzip[:-1]), TEXT))
    yield Vector("bz2-trailing", "a byte after the stream", around(coded(BZ2, TEXT, bzip + b"\0"), TEXT))
    yield Vector("bz2-two-streams", "two streams", around(coded(BZ2, TEXT + TEXT, bzip + bzip), TEXT + TEXT))
    yield Vector("bz2-empty", "no payload", around(coded(BZ2, TEXT, b""), TEXT))


def bad_models() -> Iterator[Vector]:
    block = coded(MODEL, b"raw", b"word", parameters())
    yield Vector("model-missing", "a model-coded block without a MODEL record", around(block, b"raw"))
    yield Vector("model-after", "MODEL after the first model-coded block", around(block + model(), b"raw"))
    yield Vector("model-twice", "two MODEL records", around(model() + model() + stored(b"raw"), b"raw"))
    yield Vector(
        "model-check", "the embedded model file is damaged", around(model(b"file", bytes(4)) + stored(b"raw"), b"raw")
    )
    yield Vector(
        "model-check-of-nothing", "a check, but no model file", around(model(b"", b"\1\0\0\0") + stored(b"raw"), b"raw")
    )
    yield Vector("model-truncated", "ends inside of the model file", header(3) + model(b"file" * 100)[:-1])
    no_lanes = coded(MODEL, b"raw", b"word", parameters(lanes=0))
    yield Vector("model-lanes-0", "no lanes", modelled(no_lanes))
    yield Vector(
        "model-lanes-4", "four lanes for three bytes", modelled(coded(MODEL, b"raw", b"word", parameters(lanes=4)))
    )
    yield Vector(
        "history-no-mixer",
        "a block of coding 5 without a mixer",
        around(coded(HISTORY, b"raw", b"word", parameters()), b"raw"),
    )
    adaptive = parameters(mixer=1, history=12)
    yield Vector(
        "history-payload",
        "words of coding 5 that nothing codes to",
        around(coded(HISTORY, b"raw", b"word", adaptive), b"raw"),
    )
    yield Vector(
        "model-no-parameters", "a model-coded block without parameters", modelled(coded(MODEL, b"raw", b"word"))
    )


def bad_ends() -> Iterator[Vector]:
    whole = archive(TEXT)
    start = header(len(TEXT)) + stored(TEXT)
    yield Vector("end-missing", "ends after the last block", start)
    yield Vector("end-truncated", "ends inside of END", whole[:-10])
    yield Vector("end-no-marker", "ends before the end marker", whole[:-2])
    yield Vector("end-half-marker", "ends inside of the end marker", whole[:-1])
    yield Vector("end-marker", "another end marker", start + end(TEXT, marker=b"\x89\x5a"))
    yield Vector("end-marker-long", "an end marker of three bytes", start + end(TEXT, marker=b"\x5a\x89\0"))
    yield Vector("end-content", "SHA-256 of another content", start + end(TEXT.upper()))
    yield Vector("end-size", "END states a byte too many", header(None) + stored(TEXT) + end(TEXT, len(TEXT) + 1))
    yield Vector("end-size-huge", "END states 2^63 - 1 bytes", header(None) + stored(TEXT) + end(TEXT, (1 << 63) - 1))
    yield Vector("end-two-sizes", "size in the header and in END", start + end(TEXT, len(TEXT)))
    yield Vector("end-size-lie", "the header states a byte too many", header(len(TEXT) + 1) + stored(TEXT) + end(TEXT))
    yield Vector("trailing-zeros", "512 zeros after END", whole + bytes(512))
    yield Vector("trailing-newline", "a line end after END", whole + b"\n")
    yield Vector("trailing-text", "text after END", whole + TEXT)
    yield Vector("second-archive-truncated", "the second archive ends in its magic", whole + MAGIC[:5])
    yield Vector(
        "second-archive-damaged",
        "the second archive's content is damaged",
        whole + archive(b"first").replace(b"first", b"f1rst"),
    )


def flip(data: bytes, place: int, mask: int) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


# --------------------------------------------------------------------------- unsupported, over a limit


def unsupported() -> Iterator[Vector]:
    yield Vector("major-version", "format version 1.0", header_of(b"\x01\0\0\x01") + end(b"", 0))
    yield Vector("minor-version", "format version 0.2", header_of(b"\0\x02\0\x01") + end(b"", 0))
    yield Vector("reserved-flag", "flag bit 1 set", header_of(b"\0\x01\x02\x01") + end(b"", 0))
    yield Vector(
        "record-type", "a record of type I", around(record(b"I", varint(5), b"index") + stored(b"raw"), b"raw")
    )
    yield Vector("coding-6", "coding 6", around(coded(6, b"raw", b"word"), b"raw"))
    for name, values in {
        "coder": parameters(coder=2),
        "precision": parameters(precision=33),
        "probability-bits": parameters(probability_bits=0),
        "mixer": parameters(mixer=2),
        "history": parameters(history=22),
        "history-small": parameters(mixer=1, history=11),
        "history-large": parameters(mixer=1, history=25),
        "kind": parameters(mixer=1, history=12, kind=2),
        "record": parameters(mixer=1, history=12, record=0),
        "record-large": parameters(mixer=1, history=12, record=65_536),
    }.items():
        body = coded(MODEL, b"raw", b"word", values)
        yield Vector(f"parameter-{name}", f"unknown value of the coding parameter {name}", modelled(body))


def over_a_limit() -> Iterator[Vector]:
    yield Vector("block-size", "block size 16 MiB + 1", header(0, 16 * MIB + 1) + end(b""))
    payload = record(b"B", varint(32 * MIB + 1) + bytes([ZSTD]) + varint(3) + check(b"raw"))
    yield Vector("payload", "a payload of 32 MiB + 1 is declared, nothing follows", header(3) + payload)
    lanes = coded(MODEL, bytes(5000), b"word", parameters(lanes=4097))
    yield Vector("lanes", "4097 lanes", header(5000) + model() + lanes)
    yield Vector(
        "model-file",
        "a model file of 4 GiB + 1 is declared",
        header(3) + record(b"M", varint((4 << 30) + 1) + MODEL_ID + bytes(4)),
    )
    block = bytes(16 * MIB)
    bomb = coded(ZSTD, block, zstd_run(0, len(block)))
    yield Vector("output", "1 GiB and 16 MiB of zeros in 35 KiB", header(None, 16 * MIB) + bomb * 65)


# --------------------------------------------------------------------------- files


def vectors() -> list[Vector]:
    """All vectors, with the prefix that says what a reader must do with them."""
    kinds = {"good": good(), "bad": bad(), "unsupported": unsupported(), "limit": over_a_limit()}
    return [
        Vector(f"{kind}-{vector.name}", vector.reason, vector.data, vector.content)
        for kind, members in kinds.items()
        for vector in members
    ]


def hashes(made: list[Vector]) -> str:
    """The text of SHA256SUMS, for ``sha256sum -c``."""
    return "".join(f"{hashlib.sha256(vector.data).hexdigest()}  {vector.name}.zllm\n" for vector in made)


def table(made: list[Vector]) -> str:
    """The table of README.md."""
    rows = [f"| `{vector.name}` | {len(vector.data)} | {vector.reason} |\n" for vector in made]
    return "| vector | bytes | why |\n| --- | --- | --- |\n" + "".join(rows)


def readme(text: str, made: list[Vector]) -> str:
    """README.md with its table made anew."""
    before = text.split("| vector |")[0]
    return before + table(made)


def main() -> None:
    """Write all files; vectors that no longer exist are removed."""
    made = vectors()
    for old in FOLDER.glob("*.zllm"):
        old.unlink()
    for vector in made:
        (FOLDER / f"{vector.name}.zllm").write_bytes(vector.data)
    (FOLDER / "SHA256SUMS").write_text(hashes(made), encoding="ascii")
    page = FOLDER / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
