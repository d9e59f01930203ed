"""These rows against those of an earlier run: what became smaller, larger, or stopped working."""

from collections.abc import Sequence
from dataclasses import dataclass

from zipllm.bench.result import Row


@dataclass(frozen=True)
class Change:
    """One codec on one file, then and now.

    Attributes:
        old: the earlier row.
        new: the row of this run.
        size: relative change of the archive, 0.01 is 1 % larger; None if one of the two has no result.
        compress: relative change of the seconds to compress; meaningful on the same machine only.
        decompress: likewise.
    """

    old: Row
    new: Row
    size: float | None
    compress: float | None
    decompress: float | None

    @property
    def worse(self) -> bool:
        """Whether the archive grew, or there is no result where there was one."""
        return (self.size is not None and self.size > 0) or (self.old.verified and not self.new.verified)


def compare(old: Sequence[Row], new: Sequence[Row]) -> list[Change]:
    """Pair the rows of two runs: the same bytes by the same codec and settings, whatever the model's id.

    Rows without a partner are left out.
    """
    before = {(row.corpus, row.file, row.sha256, row.codec): row for row in old}
    pairs = ((before.get((row.corpus, row.file, row.sha256, row.codec)), row) for row in new)
    return [_change(earlier, row) for earlier, row in pairs if earlier is not None]


def _change(old: Row, new: Row) -> Change:
    return Change(
        old,
        new,
        size=_relative(old.compressed_bytes, new.compressed_bytes),
        compress=_relative(old.compress_s, new.compress_s),
        decompress=_relative(old.decompress_s, new.decompress_s),
    )


def _relative(old: float | None, new: float | None) -> float | None:
    return new / old - 1 if old and new is not None else None
