"""The header that begins every archive (FORMAT.md, section 3)."""

import struct
from dataclasses import dataclass
from typing import ClassVar

from zipllm.container.checksum import CRC_BYTES, check_sealed, seal
from zipllm.container.varint import MAX_VALUE, FieldReader, encode_varint
from zipllm.errors import CorruptData, UnsupportedData, UsageError

# Not text (first byte over 127), not cut at a line end by accident: as PNG, a CR LF and a lone LF show a transfer in
# text mode, and 1A ends the display under DOS.
MAGIC = b"\x89ZLM\r\n\x1a\n"
MAJOR = 0
MINOR = 1
PREFIX_BYTES = len(MAGIC) + 1
FLAG_SIZE_KNOWN = 0x01
# magic, size, major, minor, flags, block size of one byte, CRC-32
SHORTEST = PREFIX_BYTES + 3 + 1 + CRC_BYTES


@dataclass(frozen=True, slots=True)
class ArchiveHeader:
    """What a reader knows before the first record.

    Attributes:
        block_size: no block of the archive holds more original bytes than this.
        original_size: original bytes of the whole archive; None when unknown at the time of writing, as for a pipe.
        major: format version; another one cannot be read at all.
        minor: format revision.

    Raises:
        UsageError: a value is out of range.
    """

    payload_size: ClassVar[int] = 0
    block_size: int
    original_size: int | None = None
    major: int = MAJOR
    minor: int = MINOR

    def __post_init__(self) -> None:
        """Check the ranges; the reader turns the error into CorruptData."""
        if not 1 <= self.block_size <= MAX_VALUE:
            raise UsageError(f"the block size is {self.block_size}; it must be from 1 to 2**63 - 1")
        if self.original_size is not None and not 0 <= self.original_size <= MAX_VALUE:
            raise UsageError(f"the original size is {self.original_size}; it must be from 0 to 2**63 - 1")

    def encode(self) -> bytes:
        """Return the header's bytes, magic and CRC-32 included."""
        known = self.original_size is not None
        fields = struct.pack("<BBB", self.major, self.minor, FLAG_SIZE_KNOWN if known else 0)
        fields += encode_varint(self.block_size)
        if self.original_size is not None:
            fields += encode_varint(self.original_size)
        size = PREFIX_BYTES + len(fields) + CRC_BYTES
        return seal(MAGIC + bytes([size]) + fields)


def header_bytes(prefix: bytes) -> int:
    """Return how many bytes the header has, from its first ``PREFIX_BYTES`` bytes.

    Raises:
        CorruptData: this is not an archive, or its magic or size is damaged.
    """
    if prefix[: len(MAGIC)] != MAGIC:
        raise CorruptData(_wrong_magic(prefix))
    size = prefix[len(MAGIC)]
    if size < SHORTEST:
        raise CorruptData(f"the header's size is {size}, the shortest header has {SHORTEST} bytes")
    return size


def parse_header(data: bytes) -> ArchiveHeader:
    """Parse a whole header of the length that :func:`header_bytes` gave.

    The CRC-32 comes first, so that a damaged version reads as damage and an intact one as a version.

    Raises:
        CorruptData: damage, or values that no writer may write.
        UnsupportedData: intact, but of another version or with a reserved flag.
    """
    body = check_sealed(data, "the header")
    reader = FieldReader(body[PREFIX_BYTES:], "the header")
    major, minor = reader.u8("major version"), reader.u8("minor version")
    if (major, minor) != (MAJOR, MINOR):
        raise UnsupportedData(
            f"the archive has format version {major}.{minor}; this zipllm reads version {MAJOR}.{MINOR} only"
        )
    flags = reader.u8("flags")
    if flags & ~FLAG_SIZE_KNOWN:
        raise UnsupportedData(f"the header sets reserved flags: 0x{flags & ~FLAG_SIZE_KNOWN:02x}")
    block_size = reader.varint("block size")
    original_size = reader.varint("original size") if flags & FLAG_SIZE_KNOWN else None
    reader.finish()
    try:
        return ArchiveHeader(block_size, original_size, major, minor)
    except UsageError as error:
        raise CorruptData(f"the header: {error}") from error


def _wrong_magic(prefix: bytes) -> str:
    if prefix[1:4] == MAGIC[1:4]:
        if prefix[0] == MAGIC[0] & 0x7F:
            return "the archive was damaged by a transfer that cleared the eighth bit of every byte"
        if prefix[0] == MAGIC[0] and prefix[4:5] in (b"\r", b"\n"):
            return "the archive was damaged by a transfer in text mode that changed line ends, or its magic is damaged"
    return f"not a zipllm archive: it begins with {prefix[: len(MAGIC)].hex(' ')}, not with {MAGIC.hex(' ')}"
