"""The parts of an archive, written out after ``zipllm/container/FORMAT.md`` without anything of zipllm."""

import hashlib
import struct
import zlib
from dataclasses import dataclass

MAGIC = b"\x89ZLM\r\n\x1a\n"
KIB = 1 << 10
MIB = 1 << 20
TEXT = b"The quick brown fox jumps over the lazy dog.\n"
ALL_BYTES = bytes(range(256))
MODEL_ID = hashlib.sha256(b"no such model").digest()
STORED, ZSTD, LZMA, BZ2, MODEL, HISTORY, TRANSCODED, SAMPLES = range(8)
MINOR = 1


@dataclass(frozen=True)
class Vector:
    """An archive, why it is here and, when it is good, what it decodes to."""

    name: str
    reason: str
    data: bytes
    content: bytes | None = None


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


def transcoding(encoding: int, text_size: int, head: int = 0, tail: int = 0, coding: int = HISTORY) -> bytes:
    """The fields that stand before the parameters of a block of coding 6."""
    return bytes([encoding, head, tail]) + varint(text_size) + bytes([coding])


def model(embedded: bytes = b"", crc: bytes | None = None, model_id: bytes = MODEL_ID) -> bytes:
    payload_check = (check(embedded) if embedded else bytes(4)) if crc is None else crc
    return record(b"M", varint(len(embedded)) + model_id + payload_check, embedded)


def local(description: bytes, model_id: bytes | None = None, crc: bytes | None = None) -> bytes:
    identity = hashlib.sha256(description).digest() if model_id is None else model_id
    fields = varint(len(description)) + identity + (check(description) if crc is None else crc)
    return record(b"L", fields, description)


def parameters(
    lanes: int = 1,
    coder: int = 1,
    precision: int = 24,
    probability_bits: int = 24,
    mixer: int = 0,
    history: int = 0,
    family: int = 0,
    row: int = 1,
    sample: int = 1,
) -> bytes:
    adaptive = bytes([family]) + varint(row) if mixer else b""
    adaptive += bytes([sample]) if (mixer, family) == (2, 1) else b""
    return bytes([coder, precision, probability_bits, mixer, history]) + varint(lanes) + adaptive


def layout(kind: int, begin: int, length: int, row: int, sample: int, form: int = 0) -> bytes:
    """The fields of a block of coding 7."""
    return bytes([kind]) + varint(begin) + varint(length) + varint(row) + bytes([sample, form])


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


def modeled(body: bytes) -> bytes:
    """Up to a model-coded block, whose header already has to be refused."""
    return header(3) + model() + body
