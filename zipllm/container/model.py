"""The record that names the model of the blocks that follow (FORMAT.md, section 5)."""

import struct
from dataclasses import dataclass

from zipllm.container.checksum import crc32
from zipllm.container.record import RecordType, frame
from zipllm.container.varint import FieldReader
from zipllm.errors import CorruptData, UsageError

MODEL_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What is known of the model before an embedded model file is read.

    Attributes:
        model_id: SHA-256 of the model's canonical content, 32 bytes.
        payload_size: bytes of the embedded model file; 0 when none is embedded.
        payload_crc32: CRC-32 of the embedded model file; 0 when none is embedded.

    Raises:
        UsageError: the model_id has not 32 bytes.
    """

    model_id: bytes
    payload_size: int = 0
    payload_crc32: int = 0

    def __post_init__(self) -> None:
        """Check the length; the reader cannot produce another one."""
        if len(self.model_id) != MODEL_ID_BYTES:
            raise UsageError(f"a model_id has {MODEL_ID_BYTES} bytes, this one {len(self.model_id)}")

    def encode(self) -> bytes:
        """Return all bytes of the record that stand before the payload."""
        return frame(RecordType.MODEL, self.payload_size, self.model_id + struct.pack("<I", self.payload_crc32))

    @classmethod
    def parse(cls, reader: FieldReader) -> "ModelHeader":
        """Read the fields of a MODEL record.

        Raises:
            CorruptData: they are cut off or contradict each other.
        """
        payload_size = reader.varint("payload size")
        model_id = reader.take(MODEL_ID_BYTES, "model_id")
        payload_crc32 = reader.u32("CRC-32 of the model file")
        reader.finish()
        if payload_size == 0 and payload_crc32 != 0:
            raise CorruptData("a MODEL record without a model file states a CRC-32 of one")
        return cls(model_id, payload_size, payload_crc32)


@dataclass(frozen=True, slots=True)
class Model:
    """The model of the blocks that follow.

    Attributes:
        model_id: SHA-256 of the model's canonical content, 32 bytes.
        embedded: the bytes of the model file, or None when the reader has to find it.
    """

    model_id: bytes
    embedded: bytes | None = None

    def header(self) -> ModelHeader:
        """Return the record's header.

        Raises:
            UsageError: the model_id has not 32 bytes, or an empty file is embedded.
        """
        if self.embedded is None:
            return ModelHeader(self.model_id)
        if not self.embedded:
            raise UsageError("the embedded model file is empty")
        return ModelHeader(self.model_id, len(self.embedded), crc32(self.embedded))


def check_model(header: ModelHeader, payload: bytes) -> Model:
    """Return the record with its payload, when the payload is what the header says.

    Raises:
        CorruptData: its CRC-32 differs.
    """
    if crc32(payload) != header.payload_crc32:
        raise CorruptData(
            f"the embedded model file is damaged: its CRC-32 is {crc32(payload):08x}, "
            f"{header.payload_crc32:08x} is stored"
        )
    return Model(header.model_id, payload if header.payload_size else None)
