"""Where the samples of a block lie and what they are: sound, pictures and DNA (FORMAT.md, section 6.9)."""

from dataclasses import dataclass

from zipllm.container.record import FieldReader, encode_varint
from zipllm.errors import UnsupportedData

SOUND, PICTURE, DNA = 1, 2, 3
"""What the samples are."""
BIG_ENDIAN, UNSIGNED = 1, 2
"""Bits of a sound's form."""
MOST_ROW = 1 << 18
"""Bytes of the longest row of pixels, which bounds the memory that a picture takes."""
NAMES = {SOUND: "sound", PICTURE: "picture", DNA: "dna"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The samples of a block; the bytes before and behind them are something else, such as a header.

    Attributes:
        kind: ``SOUND``, ``PICTURE`` or ``DNA``.
        begin: offset of the first sample in the block.
        length: bytes of samples: whole frames of a sound, whole rows of a picture, all of a block of DNA; 0 is allowed.
        row: bytes of a frame of sound (one sample for each of its one or two channels), or of a row of pixels, padding
            included; 1 for DNA.
        sample: bytes of a sample of sound, 1 to 3, or of a pixel: 1, 3 or 4; 1 for DNA.
        form: of sound: ``BIG_ENDIAN`` (only if a sample has several bytes) plus ``UNSIGNED``; else 0.
    """

    kind: int
    begin: int
    length: int
    row: int
    sample: int
    form: int = 0

    @property
    def name(self) -> str:
        """What the samples are, in a word."""
        return NAMES.get(self.kind, "samples")

    def fits(self, size: int) -> bool:
        """Return whether the layout may describe a block of ``size`` bytes.

        Every layout that fits is safe to decode by; a false one costs bytes in the archive, nothing else.
        """
        if min(self.begin, self.length, self.row - 1) < 0 or self.begin + self.length > size:
            return False
        if self.kind == DNA:
            return self == dna_layout(size)
        return self.length % self.row == 0 and (self._is_sound() or self._is_picture())

    def _is_sound(self) -> bool:
        forms = (0, UNSIGNED) if self.sample == 1 else range(4)
        widths = (self.sample, 2 * self.sample)
        return self.kind == SOUND and self.sample in (1, 2, 3) and self.row in widths and self.form in forms

    def _is_picture(self) -> bool:
        inside = self.sample in (1, 3, 4) and self.sample <= self.row <= MOST_ROW
        return self.kind == PICTURE and inside and self.form == 0

    def encode(self) -> bytes:
        """Return the fields' bytes."""
        places = b"".join(map(encode_varint, (self.begin, self.length, self.row)))
        return bytes([self.kind]) + places + bytes([self.sample, self.form])

    @classmethod
    def parse(cls, reader: FieldReader) -> "Layout":
        """Read the fields; ``CorruptData`` if cut off, ``UnsupportedData`` for a kind unknown to this version."""
        kind = reader.u8("kind of samples")
        begin, length, row = (reader.varint(f"{name} of the samples") for name in ("begin", "length", "row"))
        if kind not in NAMES:
            raise UnsupportedData(f"a block has samples of the unknown kind {kind}")
        return cls(kind, begin, length, row, reader.u8("bytes of a sample"), reader.u8("form of samples"))


def dna_layout(size: int) -> Layout:
    """Return the layout of a block of DNA."""
    return Layout(DNA, 0, size, 1, 1)
