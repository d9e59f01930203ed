"""The records that name the model of the blocks that follow: MODEL and LOCAL (FORMAT.md, section 5)."""

import hashlib
import struct
from dataclasses import dataclass

from zipllm.container.checksum import crc32
from zipllm.container.record import RecordType, frame
from zipllm.container.varint import FieldReader
from zipllm.errors import CorruptData, UsageError

MODEL_ID_BYTES = 32
MAX_NUMERICS_BYTES = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What is known of the model before the record's payload is read.

    Attributes:
        model_id: SHA-256 of the model's canonical content, or of the payload of a LOCAL record, 32 bytes.
        payload_size: bytes of the embedded model file, 0 when none is embedded; or of the record of the machine.
        payload_crc32: CRC-32 of the payload; 0 when there is none.
        local: whether the model's numbers are those of one machine, so that the archive is not portable.

    Raises:
        UsageError: the model_id has not 32 bytes, or a record of a machine is missing or too long.
    """

    model_id: bytes
    payload_size: int = 0
    payload_crc32: int = 0
    local: bool = False

    def __post_init__(self) -> None:
        """Check the lengths; the reader turns the second error into CorruptData and cannot produce the first."""
        if len(self.model_id) != MODEL_ID_BYTES:
            raise UsageError(f"a model_id has {MODEL_ID_BYTES} bytes, this one {len(self.model_id)}")
        if self.local and not 1 <= self.payload_size <= MAX_NUMERICS_BYTES:
            raise UsageError(
                f"the record of a machine has {self.payload_size} bytes; it must have 1 to {MAX_NUMERICS_BYTES}"
            )

    def encode(self) -> bytes:
        """Return all bytes of the record that stand before the payload."""
        kind = RecordType.LOCAL if self.local else RecordType.MODEL
        return frame(kind, self.payload_size, self.model_id + struct.pack("<I", self.payload_crc32))

    @classmethod
    def parse(cls, reader: FieldReader, *, local: bool = False) -> "ModelHeader":
        """Read the fields of a MODEL or LOCAL record.

        Raises:
            CorruptData: they are cut off or contradict each other.
        """
        payload_size = reader.varint("payload size")
        model_id = reader.take(MODEL_ID_BYTES, "model_id")
        payload_crc32 = reader.u32("CRC-32 of the model file")
        reader.finish()
        if payload_size == 0 and payload_crc32 != 0:
            raise CorruptData("a MODEL record without a model file states a CRC-32 of one")
        try:
            return cls(model_id, payload_size, payload_crc32, local)
        except UsageError as error:
            raise CorruptData(str(error)) from error


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model of the blocks that follow.

    Attributes:
        model_id: SHA-256 of the model's canonical content, or of ``numerics``, 32 bytes.
        embedded: the bytes of the model file, or None when the reader has to find it.
        numerics: for a model whose numbers are those of one machine, what they depend on; None for the others.
    """

    model_id: bytes
    embedded: bytes | None = None
    numerics: bytes | None = None

    def header(self) -> ModelHeader:
        """Return the record's header.

        Raises:
            UsageError: the model_id has not 32 bytes or is not that of ``numerics``, an empty file is embedded, or a
                record of a machine is empty, too long, or stands beside a file.
        """
        if self.numerics is not None:
            if self.embedded is not None:
                raise UsageError("a model of floats has no file that an archive could carry")
            if hashlib.sha256(self.numerics).digest() != self.model_id:
                raise UsageError("the model_id is not the SHA-256 of the record of the machine")
            return ModelHeader(self.model_id, len(self.numerics), crc32(self.numerics), local=True)
        if self.embedded is None:
            return ModelHeader(self.model_id)
        if not self.embedded:
            raise UsageError("the embedded model file is empty")
        return ModelHeader(self.model_id, len(self.embedded), crc32(self.embedded))


def check_model(header: ModelHeader, payload: bytes) -> ModelRecord:
    """Return the record with its payload, when the payload is what the header says.

    Raises:
        CorruptData: its CRC-32 or, of the record of a machine, its SHA-256 differs.
    """
    if crc32(payload) != header.payload_crc32:
        raise CorruptData(
            f"the {'record of the machine' if header.local else 'embedded model file'} is damaged: "
            f"its CRC-32 is {crc32(payload):08x}, {header.payload_crc32:08x} is stored"
        )
    if header.local:
        if hashlib.sha256(payload).digest() != header.model_id:
            raise CorruptData("the model_id is not the SHA-256 of the record of the machine")
        return ModelRecord(header.model_id, numerics=payload)
    return ModelRecord(header.model_id, payload if header.payload_size else None)
