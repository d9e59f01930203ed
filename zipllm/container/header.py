"""What stands around the blocks: the header that begins an archive, END, and the check of the content between.

FORMAT.md, sections 3, 5.4 and 7.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import ClassVar

from zipllm.container.record import (
    CRC_BYTES,
    MAX_VALUE,
    FieldReader,
    RecordType,
    check_sealed,
    encode_varint,
    frame,
    seal,
)
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
SHA256_BYTES = 32
# The payload of every END record, hence the last bytes of every archive: the magic's first two bytes in reverse.
END_MARKER = MAGIC[1::-1]
_OTHERS = {
    b"\x1f\x8b": "a .gz file",
    b"\x28\xb5\x2f\xfd": "a .zst file",
    b"\xfd7zXZ": "an .xz file",
    b"BZh": "a .bz2 file",
}
"""How other files begin that one may take for an archive."""


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
        if self.original_size is not None:
            _check_size(self.original_size)

    def encode(self) -> bytes:
        """Return the header's bytes, magic and CRC-32 included."""
        fields = struct.pack("<BBB", self.major, self.minor, 0 if self.original_size is None else FLAG_SIZE_KNOWN)
        fields += encode_varint(self.block_size)
        if self.original_size is not None:
            fields += encode_varint(self.original_size)
        size = PREFIX_BYTES + len(fields) + CRC_BYTES
        return seal(MAGIC + bytes([size]) + fields)


def _check_size(original_size: int) -> None:
    if not 0 <= original_size <= MAX_VALUE:
        raise UsageError(f"the original size is {original_size}; it must be from 0 to 2**63 - 1")


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
    name = next((name for magic, name in _OTHERS.items() if prefix.startswith(magic)), "")
    return "not a zipllm archive" + (f"; it begins like {name}" if name else ", or its first bytes are damaged")


@dataclass(frozen=True, slots=True)
class End:
    """The totals of an archive.

    Attributes:
        original_size: original bytes of all blocks together.
        sha256: SHA-256 of the original bytes, 32 bytes.

    Raises:
        UsageError: a value is out of range.
    """

    payload_size: ClassVar[int] = len(END_MARKER)
    original_size: int
    sha256: bytes

    def __post_init__(self) -> None:
        """Check the ranges; the parser cannot produce others."""
        if len(self.sha256) != SHA256_BYTES:
            raise UsageError(f"a SHA-256 has {SHA256_BYTES} bytes, this one {len(self.sha256)}")
        _check_size(self.original_size)

    def encode(self, header_has_size: bool) -> bytes:
        """Return the whole record; the original size is left out if the header states it."""
        fields = b"" if header_has_size else encode_varint(self.original_size)
        return frame(RecordType.END, len(END_MARKER), fields + self.sha256) + END_MARKER

    @classmethod
    def parse(cls, reader: FieldReader, original_size: int | None) -> "End":
        """Read the fields of an END record.

        Args:
            reader: the record's fields.
            original_size: what the archive's header states.

        Raises:
            CorruptData: they are cut off, or the payload has another size than the end marker.
        """
        marker = reader.varint("payload size")
        if marker != len(END_MARKER):
            raise CorruptData(f"the payload of an END record has {len(END_MARKER)} bytes, this one {marker}")
        size = reader.varint("original size") if original_size is None else original_size
        sha256 = reader.take(SHA256_BYTES, "SHA-256")
        reader.finish()
        return cls(size, sha256)


def check_marker(payload: bytes) -> None:
    """Raise ``CorruptData`` if the payload of an END record is not the end marker."""
    if payload != END_MARKER:
        raise CorruptData(f"the end marker is damaged: {payload.hex(' ')}, not {END_MARKER.hex(' ')}")


class ContentHash:
    """SHA-256 and length of the original bytes of one archive, block after block."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size = 0

    def update(self, raw: bytes | bytearray | memoryview) -> None:
        """Add the original bytes of the next block."""
        self._sha256.update(raw)
        self.size += len(raw)

    def digest(self) -> bytes:
        """Return the 32 bytes of the SHA-256 so far."""
        return self._sha256.digest()

    def check(self, end: End) -> None:
        """Raise ``CorruptData`` if the length or the SHA-256 differs from the totals."""
        if self.size != end.original_size:
            raise CorruptData(f"{self.size} bytes were decoded, the archive holds {end.original_size}")
        if self.digest() != end.sha256:
            raise CorruptData(
                f"the content is damaged: its SHA-256 is {self.digest().hex()}, {end.sha256.hex()} is stored"
            )
