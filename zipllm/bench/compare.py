"""Changes against an earlier run: what became smaller or larger, or stopped working."""

from collections.abc import Sequence
from dataclasses import dataclass

from zipllm.bench.result import Row


@dataclass(frozen=True)
class Change:
    """One codec on one file in two runs.

    Attributes:
        old: the earlier row.
        new: the row of this run.
        size: relative change of the archive, 0.01 is 1 % larger; None if either run has no result.
        compress: relative change of the seconds; only comparable on one machine.
        decompress: the same.
    """

    old: Row
    new: Row
    size: float | None
    compress: float | None
    decompress: float | None

    @property
    def worse(self) -> bool:
        """Whether the archive grew, or the result was lost."""
        return (self.size is not None and self.size > 0) or (self.old.verified and not self.new.verified)


def compare(old: Sequence[Row], new: Sequence[Row]) -> list[Change]:
    """Pair the rows of two runs with the same bytes, codec and settings; the model's id may differ.

    Rows without a partner are left out.
    """
    before = {row.key[:4]: row for row in old}
    return [
        Change(
            earlier,
            row,
            size=_relative(earlier.compressed_bytes, row.compressed_bytes),
            compress=_relative(earlier.compress_s, row.compress_s),
            decompress=_relative(earlier.decompress_s, row.decompress_s),
        )
        for row in new
        if (earlier := before.get(row.key[:4])) is not None
    ]


def _relative(old: float | None, new: float | None) -> float | None:
    return new / old - 1 if old and new is not None else None
