"""The frame that all records share (FORMAT.md, sections 2 and 4): varints, CRC-32, and the fields between.

    u8 type | u8 n | n bytes of fields | u32 CRC-32 of all before | payload

The first field is always the payload's size, so that a reader can step over the payload. CRC-32 is that of zlib, gzip
and PNG; it finds damage, it proves no author. A varint has seven bits a byte, the lowest first, bit 7 set on every byte
but the last (the encoding of xz, section 1.2, and of LEB128). Only its shortest form is valid.
"""

import struct
from enum import IntEnum
from zlib import crc32

from zipllm.container.streams import ByteSource
from zipllm.errors import CorruptData, UnsupportedData, UsageError

MAX_BYTES = 9
MAX_VALUE = (1 << (7 * MAX_BYTES)) - 1
"""Of a varint."""

PREFIX_BYTES = 2
MAX_FIELD_BYTES = 255
CRC_BYTES = 4
_RESIDUE = 0x2144DF1C
"""CRC-32 of any bytes followed by their own CRC-32."""


class RecordType(IntEnum):
    """The first byte of a record; letters, so that a hex dump can be read."""

    BLOCK = ord("B")
    END = ord("E")
    LOCAL = ord("L")
    MODEL = ord("M")


def encode_varint(value: int) -> bytes:
    """Encode ``value``, from 0 to 2**63 - 1, in 1 to 9 bytes.

    Raises:
        UsageError: the value is out of range.
    """
    if not 0 <= value <= MAX_VALUE:
        raise UsageError(f"{value} has no variable-length form; the range is 0 to 2**63 - 1")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def seal(data: bytes) -> bytes:
    """Return ``data`` followed by its CRC-32, four bytes, little-endian."""
    return data + struct.pack("<I", crc32(data))


def is_sealed(data: bytes) -> bool:
    """Whether ``data`` ends in its own CRC-32."""
    return crc32(data) == _RESIDUE


def check_sealed(data: bytes, what: str) -> bytes:
    """Return ``data`` without the CRC-32 at its end, or raise ``CorruptData`` if that differs."""
    body = data[:-CRC_BYTES]
    (stored,) = struct.unpack("<I", data[-CRC_BYTES:])
    if crc32(body) != stored:
        raise CorruptData(f"{what} is damaged: its CRC-32 is {crc32(body):08x}, {stored:08x} is stored")
    return body


def frame(kind: RecordType, payload_size: int, fields: bytes) -> bytes:
    """Return all bytes of a record that stand before its payload."""
    body = encode_varint(payload_size) + fields
    assert len(body) <= MAX_FIELD_BYTES, "record fields are bounded by their definitions"
    return seal(bytes([kind, len(body)]) + body)


def read_frame(source: ByteSource) -> bytes:
    """Return the bytes of a record up to its payload, unchecked; ``CorruptData`` if the source ends before."""
    prefix = source.read(PREFIX_BYTES, "a record header")
    return prefix + source.read(prefix[1] + CRC_BYTES, "the rest of a record header")


def parse_frame(data: bytes) -> tuple[RecordType, "FieldReader"]:
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


class FieldReader:
    """Reads the fields of a checked header one after another; every shortage is ``CorruptData``.

    Args:
        data: the bytes of all fields.
        what: name of the header, for messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def take(self, count: int, name: str) -> bytes:
        """Return the next ``count`` bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise CorruptData(f"{self._what}: too short, the field {name!r} is cut off")
        self._at += count
        return taken

    def u8(self, name: str) -> int:
        """Return one byte as an integer."""
        return self.take(1, name)[0]

    def u32(self, name: str) -> int:
        """Return four bytes as an integer, little-endian."""
        value: int = struct.unpack("<I", self.take(4, name))[0]
        return value

    def varint(self, name: str) -> int:
        """Return an integer of variable length, in its shortest form."""
        value = 0
        for index in range(MAX_BYTES):
            byte = self.u8(name)
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index > 0:
                    raise CorruptData(f"{self._what}: the integer {name!r} is not in its shortest form")
                return value
        raise CorruptData(f"{self._what}: the integer {name!r} is longer than {MAX_BYTES} bytes")

    def finish(self) -> None:
        """Require that every byte has been read."""
        left = len(self._data) - self._at
        if left:
            raise CorruptData(f"{self._what}: {left} bytes more than its fields need")
