"""CRC-32, the check of headers, records and blocks.

It is the CRC-32 of zlib, gzip and PNG (reflected polynomial 0xEDB88320). It finds damage; it proves no author.
"""

import struct
import zlib

from zipllm.errors import CorruptData

CRC_BYTES = 4
_RESIDUE = 0x2144DF1C
"""CRC-32 of any bytes followed by their own CRC-32."""


def crc32(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32 of ``data`` as an unsigned integer."""
    return zlib.crc32(data)


def seal(data: bytes) -> bytes:
    """Return ``data`` followed by its CRC-32, four bytes, little-endian."""
    return data + struct.pack("<I", crc32(data))


def is_sealed(data: bytes) -> bool:
    """Whether ``data`` ends in its own CRC-32, as :func:`seal` appends it."""
    return crc32(data) == _RESIDUE


def check_sealed(data: bytes, what: str) -> bytes:
    """Return ``data`` without the CRC-32 that :func:`seal` appended.

    Raises:
        CorruptData: the CRC-32 differs.
    """
    body = data[:-CRC_BYTES]
    (stored,) = struct.unpack("<I", data[-CRC_BYTES:])
    if crc32(body) != stored:
        raise CorruptData(f"{what} is damaged: its CRC-32 is {crc32(body):08x}, {stored:08x} is stored")
    return body
