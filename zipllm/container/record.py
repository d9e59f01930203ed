"""The frame that all records share (FORMAT.md, section 4).

    u8 type | u8 n | n bytes of fields | u32 CRC-32 of all before | payload

The first field is always the payload's size, so that a reader can step over the payload.
"""

from enum import IntEnum

from zipllm.container.checksum import CRC_BYTES, check_sealed, seal
from zipllm.container.streams import ByteSource
from zipllm.container.varint import FieldReader, encode_varint
from zipllm.errors import UnsupportedData

PREFIX_BYTES = 2
MAX_FIELD_BYTES = 255


class RecordType(IntEnum):
    """The first byte of a record; letters, so that a hex dump can be read."""

    BLOCK = ord("B")
    END = ord("E")
    LOCAL = ord("L")
    MODEL = ord("M")


def frame(kind: RecordType, payload_size: int, fields: bytes) -> bytes:
    """Return all bytes of a record that stand before its payload."""
    body = encode_varint(payload_size) + fields
    assert len(body) <= MAX_FIELD_BYTES, "record fields are bounded by their definitions"
    return seal(bytes([kind, len(body)]) + body)


def read_frame(source: ByteSource) -> bytes:
    """Return the bytes of a record up to its payload, unchecked.

    Raises:
        CorruptData: the source ends before.
    """
    prefix = source.read(PREFIX_BYTES, "a record header")
    return prefix + source.read(prefix[1] + CRC_BYTES, "the rest of a record header")


def parse_frame(data: bytes) -> tuple[RecordType, FieldReader]:
    """Check a whole frame and return its type and its fields.

    Raises:
        CorruptData: the CRC-32 differs.
        UnsupportedData: intact, but of a type that this version does not know.
    """
    body = check_sealed(data, "a record header")
    try:
        kind = RecordType(body[0])
    except ValueError as error:
        raise UnsupportedData(f"the archive has a record of unknown type 0x{body[0]:02x}") from error
    return kind, FieldReader(body[PREFIX_BYTES:], f"the header of a {kind.name} record")
