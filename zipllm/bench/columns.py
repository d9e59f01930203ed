"""The tables of a benchmark, defined once for the terminal, Markdown and HTML: columns, cells, and which are best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zipllm.bench.result import Row
from zipllm.bench.totals import Total, codecs_of, files_of, totals

MARK = "†"
CONTAMINATED = f"{MARK} no fair test: the model has learned from this data, or nobody knows whether it has"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: the content, not escaped.
        best: no other cell in its row (rates of a file) or column (totals) is smaller.
        contaminated: the codec's model may have learned from this data.
        failed: the codec gave no result, and the text is the status.
    """

    text: str
    best: bool = False
    contaminated: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Column:
    """One column of the totals.

    Attributes:
        narrow: its head where ten columns must fit 80 characters.
        head: its head in Markdown.
        wide: its head where there is room.
        show: the cell of a codec.
        best: the attribute of ``Total`` whose smallest value is marked.
        size: the attribute of ``Total``, in bytes, that a narrow table shows instead.
    """

    narrow: str
    head: str
    wide: str
    show: Callable[[Total], str]
    best: str | None = None
    size: str | None = None


def bpb(value: float | None) -> str:
    """Return bits per byte with three decimals, or a dash; without decimals where they say nothing."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 100 else f"{value:,.0f}"


def kilobytes(raw_bytes: int, seconds: float) -> str:
    """Return KB/s with about three digits, or a dash."""
    if seconds <= 0:
        return "-"
    speed = raw_bytes / seconds / 1e3
    return f"{speed:,.0f}" if speed >= 99.5 else f"{speed:.3g}"


def amount(size: float) -> str:
    """Return a size with about three digits; KB, MB and GB are powers of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= 0.9995 * factor:
            return f"{size / factor:,.0f} {unit}" if size >= 99.95 * factor else f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"


def break_even(total: Total) -> str:
    """Return the amount of such data from which the weights have paid for themselves."""
    if total.break_even_bytes is None:
        return "never" if total.rival else "-"
    return amount(total.break_even_bytes) if total.break_even_bytes else "-"


def conclusion(rows: Sequence[Row], corpus: str) -> str:
    """Say in a sentence which codec makes the smallest archives, by how much, and where its weights break even.

    A codec whose model may have learned from the data takes no part.
    """
    found = [total for total in totals(rows) if total.corpus == corpus and total.raw_bytes and not total.contaminated]
    if not found:
        return "No codec has a fair result for every file."
    best = min(found, key=lambda total: total.compressed_bytes)
    size = f"{best.compressed_bytes:,} of {best.raw_bytes:,} bytes"
    said = f"{best.codec} is the smallest: {size} ({100 * best.compressed_bytes / best.raw_bytes:.1f} %)"
    others = [total for total in found if total is not best and not total.weights_bytes]
    if others:
        rival = min(others, key=lambda total: total.compressed_bytes)
        less = 100 * (1 - best.compressed_bytes / rival.compressed_bytes)
        said += f", {less:.1f} % less than {rival.codec}" + (", the best without weights" if best.weights_bytes else "")
        if best.weights_bytes:
            said += f"; break-even is at {break_even(best)} of such data"
    return said + "."


TOTALS = (
    Column("codec", "codec", "codec", lambda total: total.codec),
    Column("bytes", "bytes", "bytes", lambda total: f"{total.compressed_bytes:,}"),
    Column("bpb", "bpb", "bits per byte", lambda total: bpb(total.bits_per_byte), "bits_per_byte"),
    Column("geo.", "geo. mean", "geometric mean", lambda total: bpb(total.geometric_bpb), "geometric_bpb"),
    Column(
        "+weights", "+ weights", "with weights", lambda total: bpb(total.adjusted_bpb), "adjusted_bpb", "adjusted_bytes"
    ),
    Column("+program", "+ program", "with program", lambda total: bpb(total.total_bpb), "total_bpb", "total_bytes"),
    Column("break even", "break-even", "break-even", break_even),
    Column("in", "KB/s in", "KB/s in", lambda total: kilobytes(total.raw_bytes, total.compress_s)),
    Column("out", "KB/s out", "KB/s out", lambda total: kilobytes(total.raw_bytes, total.decompress_s)),
    Column("RAM", "MB", "MB RAM", lambda total: f"{total.peak_rss / 1e6:,.0f}", size="peak_rss"),
)


def file_heads(rows: Sequence[Row], corpus: str) -> list[str]:
    """Return the heads over ``file_cells``."""
    return ["file", "bytes", *codecs_of(row for row in rows if row.corpus == corpus)]


def file_cells(rows: Sequence[Row], corpus: str) -> list[list[Cell]]:
    """Return a line for each file of a corpus: name, size, and bits per byte by each codec."""
    mine = [row for row in rows if row.corpus == corpus]
    lines = []
    for file in files_of(mine, corpus):
        found = {row.codec: row for row in mine if row.file == file}
        best = min((row.compressed_bytes for row in found.values() if row.compressed_bytes is not None), default=None)
        size = next(iter(found.values())).raw_bytes
        lines.append([Cell(file), Cell(f"{size:,}"), *(_rate(found.get(codec), best) for codec in codecs_of(mine))])
    return lines


def total_cells(
    rows: Sequence[Row], corpus: str, format_size: Callable[[int], str] | None = None
) -> dict[str, list[Cell] | None]:
    """Return the cells under ``TOTALS`` by codec; None for a codec that lacks a result for some file.

    ``format_size`` writes the sizes that a narrow table shows instead of rates.
    """
    mine = {total.codec: total for total in totals(rows) if total.corpus == corpus}

    def cells(total: Total) -> list[Cell]:
        return [
            Cell(
                format_size(getattr(total, column.size)) if format_size and column.size else column.show(total),
                best=_is_least(column.best, total, mine.values()),
                contaminated=column is TOTALS[0] and bool(total.contaminated),
            )
            for column in TOTALS
        ]

    codecs = codecs_of(row for row in rows if row.corpus == corpus)
    return {codec: cells(mine[codec]) if codec in mine else None for codec in codecs}


def _is_least(name: str | None, total: Total, others: Iterable[Total]) -> bool:
    """Whether no other total has a smaller value of this attribute; False without a name or a value."""
    value = getattr(total, name) if name else None
    return value is not None and value == min(v for other in others if (v := getattr(other, str(name))) is not None)


def _rate(row: Row | None, best: int | None) -> Cell:
    if row is None:
        return Cell("-")
    if not row.verified:
        return Cell(row.status, failed=True)
    return Cell(bpb(row.bits_per_byte), row.compressed_bytes == best, bool(row.contaminated))
