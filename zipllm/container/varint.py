"""Unsigned integers of variable length, and the cursor that reads fields from a checked header.

Seven bits a byte, the lowest first, bit 7 set on every byte but the last (the encoding of xz, section 1.2, and of
LEB128). Only the shortest form is valid, so that every value has exactly one encoding.
"""

import struct

from zipllm.errors import CorruptData, UsageError

MAX_BYTES = 9
MAX_VALUE = (1 << (7 * MAX_BYTES)) - 1


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


class FieldReader:
    """Reads fields one after another from a header that lies in memory; every shortage is an error.

    Args:
        data: the bytes of all fields.
        what: name of the header, for messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    def take(self, count: int, name: str) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            CorruptData: fewer are left.
        """
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
        """Return an integer of variable length.

        Raises:
            CorruptData: it is cut off, longer than 9 bytes, or not in its shortest form.
        """
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
        """Require that every byte has been read.

        Raises:
            CorruptData: bytes are left over.
        """
        left = len(self._data) - self._at
        if left:
            raise CorruptData(f"{self._what}: {left} bytes more than its fields need")
