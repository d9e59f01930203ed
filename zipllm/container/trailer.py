"""The record that ends every archive, and the check of its content (FORMAT.md, sections 5 and 7)."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from zipllm.container.header import MAGIC
from zipllm.container.record import RecordType, frame
from zipllm.container.varint import MAX_VALUE, FieldReader, encode_varint
from zipllm.errors import CorruptData, UsageError

SHA256_BYTES = 32
# The payload of every END record, hence the last bytes of every archive: the magic's first two bytes in reverse.
END_MARKER = MAGIC[1::-1]


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
        if not 0 <= self.original_size <= MAX_VALUE:
            raise UsageError(f"the original size is {self.original_size}; it must be from 0 to 2**63 - 1")

    def encode(self, header_has_size: bool) -> bytes:
        """Return the whole record.

        Args:
            header_has_size: the archive's header states the original size, so END does not.
        """
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
    """Check the payload of an END record.

    Raises:
        CorruptData: it is not the end marker.
    """
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
        """Compare with the totals at the archive's end.

        Raises:
            CorruptData: the length or the SHA-256 differs.
        """
        if self.size != end.original_size:
            raise CorruptData(f"{self.size} bytes were decoded, the archive holds {end.original_size}")
        if self.digest() != end.sha256:
            raise CorruptData(
                f"the content is damaged: its SHA-256 is {self.digest().hex()}, {end.sha256.hex()} is stored"
            )
