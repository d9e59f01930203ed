"""The records that name the model of the blocks that follow: MODEL and LOCAL (FORMAT.md, section 5)."""

import hashlib
import struct
from dataclasses import dataclass
from zlib import crc32

from zipllm.container.record import FieldReader, RecordType, frame
from zipllm.errors import CorruptData, UsageError

MODEL_ID_BYTES = 32
MAX_NUMERICS_BYTES = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """A MODEL or LOCAL record without its payload; ``UsageError`` if a length is not allowed.

    Attributes:
        model_id: SHA-256 of the model's canonical content, or of a LOCAL record's payload, 32 bytes.
        payload_size: bytes of the embedded model file or of the record of the machine; 0 if no file is embedded.
        payload_crc32: CRC-32 of the payload; 0 if it is empty.
        local: whether only the machine that wrote the archive computes the model's numbers.
    """

    model_id: bytes
    payload_size: int = 0
    payload_crc32: int = 0
    local: bool = False

    def __post_init__(self) -> None:
        """Check the lengths; the parser turns the second error into CorruptData and cannot produce the first."""
        if len(self.model_id) != MODEL_ID_BYTES:
            raise UsageError(f"a model_id has {MODEL_ID_BYTES} bytes, this one {len(self.model_id)}")
        if self.local and not 1 <= self.payload_size <= MAX_NUMERICS_BYTES:
            raise UsageError(
                f"the record of the machine has {self.payload_size} bytes; it must have 1 to {MAX_NUMERICS_BYTES}"
            )

    @property
    def payload_name(self) -> str:
        """What the payload is, for messages."""
        return "the record of the machine" if self.local else "the embedded model file"

    def encode(self) -> bytes:
        """Return all bytes of the record that stand before the payload."""
        kind = RecordType.LOCAL if self.local else RecordType.MODEL
        return frame(kind, self.payload_size, self.model_id + struct.pack("<I", self.payload_crc32))

    @classmethod
    def parse(cls, reader: FieldReader, *, local: bool) -> "ModelHeader":
        """Read the fields of a MODEL or LOCAL record; ``CorruptData`` if they are cut off or contradict each other."""
        payload_size = reader.varint("payload size")
        model_id = reader.take(MODEL_ID_BYTES, "model_id")
        payload_crc32 = reader.u32("CRC-32 of the payload")
        reader.finish()
        if payload_size == 0 and payload_crc32 != 0:
            raise CorruptData("a MODEL record without a model file states a CRC-32 of one")
        try:
            return cls(model_id, payload_size, payload_crc32, local)
        except UsageError as error:
            raise CorruptData(str(error)) from error

    def with_payload(self, payload: bytes) -> "ModelRecord":
        """Return the whole record.

        Raises:
            CorruptData: the payload's CRC-32 or, in a LOCAL record, its SHA-256 differs.
        """
        check = crc32(payload)
        if check != self.payload_crc32:
            raise CorruptData(
                f"{self.payload_name} is damaged: its CRC-32 is {check:08x}, {self.payload_crc32:08x} is stored"
            )
        if not self.local:
            return ModelRecord(self.model_id, embedded=payload or None)
        if hashlib.sha256(payload).digest() != self.model_id:
            raise CorruptData("the model_id is not the SHA-256 of the record of the machine")
        return ModelRecord(self.model_id, numerics=payload)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model of the blocks that follow.

    Attributes:
        model_id: SHA-256 of the model's canonical content, or of ``numerics``, 32 bytes.
        embedded: the model file's bytes; None if the reader has to find it.
        numerics: the record of the machine, for a model whose numbers only that machine computes; otherwise None.
    """

    model_id: bytes
    embedded: bytes | None = None
    numerics: bytes | None = None

    def header(self) -> ModelHeader:
        """Return the record's header.

        Raises:
            UsageError: the model_id does not have 32 bytes or is not that of ``numerics``; the file is empty; the
                record of the machine is empty, too long, or stands beside a file.
        """
        payload, local = self.embedded, self.numerics is not None
        if self.numerics is not None:
            if payload is not None:
                raise UsageError("a model of floats has no file that an archive could carry")
            if hashlib.sha256(self.numerics).digest() != self.model_id:
                raise UsageError("the model_id is not the SHA-256 of the record of the machine")
            payload = self.numerics
        elif payload == b"":
            raise UsageError("the embedded model file is empty")
        return ModelHeader(self.model_id, len(payload or b""), crc32(payload or b""), local)
