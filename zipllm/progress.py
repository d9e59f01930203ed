"""What a coder reports while it works, and at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Stage = Literal["encode", "verify", "decode"]


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        done: finished work in raw bytes. Never falls, and ends at the raw size. While compressing with verification,
            encoding a byte counts half and verifying it half.
        raw_bytes: raw bytes coded or decoded so far.
        coded_bytes: archive bytes that hold them, headers included; an estimate inside a block.
    """

    stage: Stage
    done: float
    raw_bytes: int
    coded_bytes: int

    @property
    def bits_per_byte(self) -> float | None:
        """Archive bits per raw byte so far; None before the first byte."""
        return 8 * self.coded_bytes / self.raw_bytes if self.raw_bytes else None


Advance = Callable[[float, int], None]
"""Called with the fraction of a block that is done, from 0 to 1, and an estimate of its payload bytes so far."""

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Lost:
    """A part of a damaged archive that could not be salvaged, or of which nobody knows where it belongs.

    Attributes:
        begin: offset in the result.
        end: offset of the first byte after it; None if its length is unknown and it was left out.
        reason: the damage.
        uncertain: whether bytes were found and written there that may belong elsewhere; otherwise zeros stand there.
    """

    begin: int
    end: int | None
    reason: str
    uncertain: bool = False

    def __str__(self) -> str:
        if self.end == self.begin:
            return f"nothing is lost at byte {self.begin}: {self.reason}"
        if self.end is None:
            return f"an unknown number of bytes is lost at byte {self.begin}: {self.reason}"
        return f"bytes {self.begin} to {self.end} are {'uncertain' if self.uncertain else 'lost'}: {self.reason}"


@dataclass(frozen=True)
class Summary:
    """The result of coding.

    Attributes:
        raw_bytes: size of the original data.
        coded_bytes: size of the archive, headers and embedded models included.
        archives: concatenated archives; 1 when compressing.
        codings: blocks by the name of their coding ("stored", "zstd", "lzma", "bz2", "model", "history").
        model_ids: the 32-byte ids of the models used, in order of first use.
        sha256: digest of all original bytes.
        lost: damage that salvaging left out; elsewhere damage is an error.
        portable: whether a written archive decodes on other machines, too.
    """

    raw_bytes: int
    coded_bytes: int
    archives: int
    codings: Mapping[str, int]
    model_ids: tuple[bytes, ...]
    sha256: bytes
    lost: tuple[Lost, ...] = ()
    portable: bool = True

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return sum(self.codings.values())

    @property
    def bits_per_byte(self) -> float | None:
        """Archive bits per raw byte; None for empty data."""
        return 8 * self.coded_bytes / self.raw_bytes if self.raw_bytes else None

    @property
    def ratio(self) -> float:
        """Raw size / archive size."""
        return self.raw_bytes / self.coded_bytes if self.coded_bytes else 0.0
