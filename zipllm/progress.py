"""What a caller is told while coding, and afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Stage = Literal["encode", "verify", "decode"]


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        stage: what is being done.
        done: raw bytes' worth of finished work. Never falls; the raw size at the end. While compressing with
            verification, a byte counts half when it is encoded and half when it is verified.
        raw_bytes: raw bytes coded or decoded so far.
        coded_bytes: archive bytes that they take, headers included; an estimate inside a block.
    """

    stage: Stage
    done: float
    raw_bytes: int
    coded_bytes: int

    @property
    def bits_per_byte(self) -> float | None:
        """Archive bits per raw byte so far; None at the beginning."""
        return 8 * self.coded_bytes / self.raw_bytes if self.raw_bytes else None


Advance = Callable[[float, int], None]
"""Told the fraction of a block that is done, from 0 to 1, and about how many payload bytes that took."""

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Lost:
    """What a salvaged archive could not give back.

    Attributes:
        begin: offset in the result; None when nobody can tell where.
        end: offset of the first byte after it; None when its length is unknown, then it is left out.
        reason: what was wrong.
    """

    begin: int | None
    end: int | None
    reason: str

    def __str__(self) -> str:
        if self.begin is None:
            return self.reason
        if self.end == self.begin:
            return f"nothing is lost at byte {self.begin}: {self.reason}"
        if self.end is None:
            return f"an unknown number of bytes is lost at byte {self.begin}: {self.reason}"
        return f"bytes {self.begin} to {self.end} are lost: {self.reason}"


@dataclass(frozen=True)
class Summary:
    """What was coded.

    Attributes:
        raw_bytes: size of the original data.
        coded_bytes: size of the archive, headers and embedded models included.
        archives: how many archives followed each other (always 1 when compressing).
        codings: blocks by the name of their coding ("stored", "zstd", "lzma", "bz2", "model", "history").
        model_ids: the 32-byte ids of the models used, in order of first use.
        sha256: digest of all original bytes.
        lost: damage that was passed over when salvaging; otherwise damage is an error.
        portable: of an archive that was written: whether it decodes on other machines, too.
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
