"""The record of one block: how its bytes are coded and what they must decode to (FORMAT.md, section 5)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from zipllm.container.record import MAX_VALUE, FieldReader, RecordType, encode_varint, frame
from zipllm.container.samples import Layout
from zipllm.errors import CorruptData, UnsupportedData, UsageError

RANGE_CODER = 1
MAX_BITS = 32


class Coding(IntEnum):
    """How the payload of a block is coded."""

    STORED = 0
    ZSTD = 1
    LZMA = 2
    BZ2 = 3
    MODEL = 4
    HISTORY = 5
    SAMPLES = 7


PREDICTED = (Coding.MODEL, Coding.HISTORY)
"""Codings by prediction; their blocks carry coding parameters."""

TRANSCODED = 6
"""In place of the coding of a predicted block whose text was transcoded to UTF-8; the coding follows."""

ENCODINGS = {1: "gb18030", 2: "utf-16-le", 3: "utf-16-be"}

LEAN_MIXER, FULL_MIXER = MIXERS = (1, 2)
"""Versions of the mixer. Each names everything in ``zipllm/mixing`` that a coded bit depends on, its prior included."""

HISTORY_BITS = range(12, 25)
FAMILIES = {0: 1, LEAN_MIXER: 2, FULL_MIXER: 3}
"""How many families of contexts each mixer knows."""
ROWS = 1
MAX_ROW, MAX_SAMPLE = 65_535, 4


@dataclass(frozen=True, slots=True)
class CodingParameters:
    """Everything besides the model that the decoder of a predicted block needs.

    Attributes:
        lanes: parts of the block that are coded side by side, from 1 to the block's raw size.
        probability_bits: a decision's probability is k / 2**probability_bits; 1 to 32.
        coder: how decisions become words; 1 is the range coder of FORMAT.md, section 6.
        precision: frequencies sum to 2**precision; 1 to 32.
        mixer: version of the adaptive predictor, FORMAT.md, section 12: 0 is none, 1 the lean one, 2 the full one.
        history: 2**history slots of bit histories, 12 to 24; 0 without a mixer.
        family: which contexts the history uses: 0 text, 1 rows; of the full mixer 2, x86 programs, as well.
        row: length of a row in bytes, 1 to 65535; 1 for text and programs.
        sample: bytes of a number or pixel, 1 to 4; 1 but for rows of the full mixer.

    Raises:
        UsageError: a value is out of range.
    """

    lanes: int
    probability_bits: int
    coder: int = RANGE_CODER
    precision: int = 24
    mixer: int = 0
    history: int = 0
    family: int = 0
    row: int = 1
    sample: int = 1

    def __post_init__(self) -> None:
        """Check the ranges; the reader turns the error into UnsupportedData."""
        for name in ("probability_bits", "precision"):
            if not 1 <= getattr(self, name) <= MAX_BITS:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be from 1 to {MAX_BITS}")
        sizes = HISTORY_BITS if self.mixer else (0,)
        known = {
            "coder": (RANGE_CODER,),
            "mixer": (0, *MIXERS),
            "history": sizes,
            "family": range(FAMILIES.get(self.mixer, 1)),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise UsageError(f"{name} is {getattr(self, name)}, which this version does not know")
        for name, most in (("row", MAX_ROW), ("sample", MAX_SAMPLE if self._has_samples else 1)):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be from 1 to {most}")

    @property
    def _has_samples(self) -> bool:
        return self.mixer == FULL_MIXER and self.family == ROWS

    def encode(self) -> bytes:
        """Return the fields' bytes."""
        fixed = struct.pack("<BBBBB", self.coder, self.precision, self.probability_bits, self.mixer, self.history)
        adaptive = bytes([self.family]) + encode_varint(self.row) if self.mixer else b""
        return fixed + encode_varint(self.lanes) + adaptive + (bytes([self.sample]) if self._has_samples else b"")

    @classmethod
    def parse(cls, reader: FieldReader) -> "CodingParameters":
        """Read the fields; ``CorruptData`` if cut off, ``UnsupportedData`` for a value unknown to this version."""
        coder, precision = reader.u8("coder"), reader.u8("precision")
        probability_bits, mixer, history = reader.u8("probability bits"), reader.u8("mixer"), reader.u8("history")
        lanes = reader.varint("lanes")
        family, row = (reader.u8("family"), reader.varint("row")) if mixer in MIXERS else (0, 1)
        sample = reader.u8("sample") if (mixer, family) == (FULL_MIXER, ROWS) else 1
        try:
            return cls(lanes, probability_bits, coder, precision, mixer, history, family, row, sample)
        except UsageError as error:
            raise UnsupportedData(f"a block's coding parameters: {error}") from error


class Transcoding(NamedTuple):
    """How a block's text became the UTF-8 that was coded.

    Attributes:
        encoding: of the original text, a key of ``ENCODINGS``.
        head: bytes at the block's beginning that belong to a character of the block before; 0 to 3, kept as they are.
        tail: bytes at its end that belong to a character of the next block; 0 to 3, kept as they are.
        size: bytes of the UTF-8, head and tail included.
    """

    encoding: int
    head: int
    tail: int
    size: int

    @property
    def name(self) -> str:
        """Name of the original encoding."""
        return ENCODINGS[self.encoding]

    def encode(self) -> bytes:
        """Return the fields' bytes."""
        return bytes([self.encoding, self.head, self.tail]) + encode_varint(self.size)

    @classmethod
    def parse(cls, reader: FieldReader) -> "Transcoding":
        """Read the fields; ``CorruptData`` if cut off, ``UnsupportedData`` for an encoding unknown to this version."""
        transcoding = cls(reader.u8("encoding"), reader.u8("head"), reader.u8("tail"), reader.varint("text size"))
        if transcoding.encoding not in ENCODINGS:
            raise UnsupportedData(f"a block's text is in the unknown encoding {transcoding.encoding}")
        return transcoding


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What is known of a block before its payload is read.

    Attributes:
        coding: how the payload is coded.
        raw_size: original bytes, at least 1.
        payload_size: coded bytes; for a stored block the same as ``raw_size``.
        raw_crc32: CRC-32 of the original bytes.
        parameters: for a predicted block and for no other.
        transcoding: of a predicted block whose text was transcoded to UTF-8, otherwise None.
        layout: of a block of samples, otherwise None.

    Raises:
        UsageError: the values contradict each other or are out of range.
    """

    coding: Coding
    raw_size: int
    payload_size: int
    raw_crc32: int
    parameters: CodingParameters | None = None
    transcoding: Transcoding | None = None
    layout: Layout | None = None

    def __post_init__(self) -> None:
        """Check the ranges; the reader turns the error into CorruptData."""
        if not 1 <= self.raw_size <= MAX_VALUE:
            raise UsageError(f"a block has {self.raw_size} original bytes; it must have at least 1")
        if not 0 <= self.payload_size <= MAX_VALUE:
            raise UsageError(f"a block's payload has {self.payload_size} bytes; it must be from 0 to 2**63 - 1")
        if self.coding == Coding.STORED and self.payload_size != self.raw_size:
            raise UsageError(f"a stored block of {self.raw_size} bytes has a payload of {self.payload_size} bytes")
        if not 0 <= self.raw_crc32 < 1 << 32:
            raise UsageError(f"the CRC-32 {self.raw_crc32} does not fit 32 bits")
        if (self.coding in PREDICTED) != (self.parameters is not None):
            raise UsageError("coding parameters belong to predicted blocks, to each of them and to no other")
        if self.coding == Coding.HISTORY and self.parameters is not None and not self.parameters.mixer:
            raise UsageError("a block coded by its history has no mixer")
        self._check_layout()
        if self.transcoding is not None:
            self._check_transcoding(self.transcoding)
        if self.parameters is not None and not 1 <= self.parameters.lanes <= self.coded_size:
            raise UsageError(f"a block of {self.coded_size} bytes has {self.parameters.lanes} lanes")

    def _check_layout(self) -> None:
        if (self.coding == Coding.SAMPLES) != (self.layout is not None):
            raise UsageError("a layout belongs to blocks of samples, to each of them and to no other")
        if self.layout is not None and not self.layout.fits(self.raw_size):
            raise UsageError(f"a block of {self.raw_size} bytes cannot have the layout {self.layout}")

    def _check_transcoding(self, transcoding: Transcoding) -> None:
        if self.parameters is None:
            raise UsageError("only predicted blocks are transcoded")
        if max(transcoding.head, transcoding.tail) > 3 or transcoding.head + transcoding.tail > self.raw_size:
            raise UsageError("head and tail of a transcoded block are longer than a character")
        if not self.raw_size <= 2 * transcoding.size <= 4 * self.raw_size:
            raise UsageError(f"{self.raw_size} bytes of text cannot be {transcoding.size} bytes of UTF-8")

    @property
    def kind_name(self) -> str:
        """The coding in a word: "model", "zstd", or what its samples are: "sound"."""
        return self.coding.name.lower() if self.layout is None else self.layout.name

    @property
    def coding_name(self) -> str:
        """The coding in words: "zstd", "model", "history of gb18030", "sound"."""
        name = self.kind_name
        return name if self.transcoding is None else f"{name} of {self.transcoding.name}"

    @property
    def coded_size(self) -> int:
        """Bytes that the payload decodes to: of the UTF-8 if the block was transcoded, otherwise the original."""
        return self.raw_size if self.transcoding is None else self.transcoding.size

    def encode(self) -> bytes:
        """Return all bytes of the record that stand before the payload."""
        fields = bytes([self.coding if self.transcoding is None else TRANSCODED])
        if self.coding != Coding.STORED:
            fields += encode_varint(self.raw_size)
        fields += struct.pack("<I", self.raw_crc32)
        if self.transcoding is not None:
            fields += self.transcoding.encode() + bytes([self.coding])
        if self.parameters is not None:
            fields += self.parameters.encode()
        if self.layout is not None:
            fields += self.layout.encode()
        return frame(RecordType.BLOCK, self.payload_size, fields)

    @classmethod
    def parse(cls, reader: FieldReader) -> "BlockHeader":
        """Read the fields of a BLOCK record.

        Raises:
            CorruptData: they are cut off or contradict each other.
            UnsupportedData: a coding or a parameter that this version does not know.
        """
        payload_size = reader.varint("payload size")
        code, transcoding = reader.u8("coding"), None
        if code != TRANSCODED:
            coding = _coding(code)
        raw_size = payload_size if code == Coding.STORED else reader.varint("raw size")
        raw_crc32 = reader.u32("CRC-32 of the block")
        if code == TRANSCODED:
            transcoding, coding = Transcoding.parse(reader), _coding(reader.u8("coding of the text"))
        parameters = CodingParameters.parse(reader) if coding in PREDICTED else None
        layout = Layout.parse(reader) if coding == Coding.SAMPLES else None
        reader.finish()
        try:
            return cls(coding, raw_size, payload_size, raw_crc32, parameters, transcoding, layout)
        except UsageError as error:
            raise CorruptData(f"a block's header contradicts itself: {error}") from error


def _coding(code: int) -> Coding:
    try:
        return Coding(code)
    except ValueError as error:
        raise UnsupportedData(f"a block is coded by the unknown method {code}") from error


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it stands in the archive, still coded."""

    header: BlockHeader
    payload: bytes


def check_block(header: BlockHeader, raw: bytes | bytearray | memoryview) -> None:
    """Raise ``CorruptData`` if the size or the CRC-32 of decoded bytes is not that of the block's header."""
    if len(raw) != header.raw_size:
        raise CorruptData(f"a block of {header.raw_size} bytes decoded to {len(raw)} bytes")
    if crc32(raw) != header.raw_crc32:
        raise CorruptData(f"a block decoded to CRC-32 {crc32(raw):08x}, its header says {header.raw_crc32:08x}")
