"""Rows -> one line per corpus and codec: sums, weighted and geometric means, and the size from which weights pay.

A codec has totals of a corpus only if it gave every file of the corpus back.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from zipllm.bench.result import Row


@dataclass(frozen=True)
class Total:
    """One codec on all files of one corpus.

    Attributes:
        corpus: its name.
        codec: as written by the user.
        rows: one per file, all verified.
        raw_bytes: of all files.
        compressed_bytes: of all archives.
        weights_bytes: counted once, not once per file.
        program_bytes: counted once, not once per file.
        bits_per_byte: of the sums, so large files weigh more; None if all files are empty.
        geometric_bpb: geometric mean of the files, all with equal weight; empty files are left out.
        compress_s: sum of the medians.
        decompress_s: sum of the medians.
        peak_rss: the largest peak.
        contaminated: the reason of any row.
        rival: the smallest other codec without weights on this corpus; empty if there is no other.
        break_even_bytes: size of such a corpus from which the weights pay against the rival; 0 for a codec without
            weights, None if the weights never pay.
    """

    corpus: str
    codec: str
    rows: tuple[Row, ...]
    raw_bytes: int
    compressed_bytes: int
    weights_bytes: int
    program_bytes: int
    bits_per_byte: float | None
    geometric_bpb: float | None
    compress_s: float
    decompress_s: float
    peak_rss: int
    contaminated: str
    rival: str = ""
    break_even_bytes: int | None = 0

    @property
    def adjusted_bytes(self) -> int:
        """Archives and weights."""
        return self.compressed_bytes + self.weights_bytes

    @property
    def total_bytes(self) -> int:
        """Archives, weights and program."""
        return self.adjusted_bytes + self.program_bytes

    @property
    def adjusted_bpb(self) -> float | None:
        """Bits per byte with the weights counted."""
        return 8 * self.adjusted_bytes / self.raw_bytes if self.raw_bytes else None

    @property
    def total_bpb(self) -> float | None:
        """Bits per byte with weights and program counted."""
        return 8 * self.total_bytes / self.raw_bytes if self.raw_bytes else None


def corpora_of(rows: Iterable[Row]) -> list[str]:
    """Return the corpora in order of first appearance."""
    return list(dict.fromkeys(row.corpus for row in rows))


def codecs_of(rows: Iterable[Row]) -> list[str]:
    """Return the codecs in order of first appearance."""
    return list(dict.fromkeys(row.codec for row in rows))


def files_of(rows: Iterable[Row], corpus: str) -> list[str]:
    """Return the files of a corpus in order of first appearance."""
    return list(dict.fromkeys(row.file for row in rows if row.corpus == corpus))


def totals(rows: Sequence[Row]) -> list[Total]:
    """Return the totals of every corpus and codec that has a result for all files."""
    found: list[Total] = []
    for corpus in corpora_of(rows):
        files = files_of(rows, corpus)
        whole = []
        for codec in codecs_of(rows):
            mine = tuple(row for row in rows if row.corpus == corpus and row.codec == codec)
            if len(mine) == len(files) and all(row.verified for row in mine):
                whole.append(_total(corpus, codec, mine))
        found += [_with_rival(total, whole) for total in whole]
    return found


def _total(corpus: str, codec: str, rows: tuple[Row, ...]) -> Total:
    raw, packed = sum(row.raw_bytes for row in rows), sum(row.compressed_bytes or 0 for row in rows)
    rates = [row.bits_per_byte for row in rows if row.bits_per_byte]
    return Total(
        corpus=corpus,
        codec=codec,
        rows=rows,
        raw_bytes=raw,
        compressed_bytes=packed,
        weights_bytes=max(row.weights_bytes or 0 for row in rows),
        program_bytes=max(row.program_bytes or 0 for row in rows),
        bits_per_byte=8 * packed / raw if raw else None,
        geometric_bpb=math.exp(math.fsum(map(math.log, rates)) / len(rates)) if rates else None,
        compress_s=math.fsum(row.compress_s or 0.0 for row in rows),
        decompress_s=math.fsum(row.decompress_s or 0.0 for row in rows),
        peak_rss=max(row.peak_rss or 0 for row in rows),
        contaminated=next((row.contaminated for row in rows if row.contaminated), ""),
    )


def _with_rival(total: Total, all_totals: Sequence[Total]) -> Total:
    rivals = [other for other in all_totals if not other.weights_bytes and other is not total]
    if not rivals:
        return replace(total, break_even_bytes=None if total.weights_bytes else 0)
    rival = min(rivals, key=lambda other: other.compressed_bytes)
    if not total.weights_bytes:
        return replace(total, rival=rival.codec)
    saved = rival.compressed_bytes - total.compressed_bytes
    even = math.ceil(total.weights_bytes * total.raw_bytes / saved) if saved > 0 else None
    return replace(total, rival=rival.codec, break_even_bytes=even)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (size, speed) points that no other point beats in both, by falling speed."""
    order = sorted(range(len(points)), key=lambda index: (-points[index][1], points[index][0]))
    front: list[int] = []
    for index in order:
        if not front or points[index][0] < points[front[-1]][0]:
            front.append(index)
    return front
