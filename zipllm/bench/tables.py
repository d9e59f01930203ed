"""Rows as Markdown for a README, and as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from zipllm.bench.result import Row, failures
from zipllm.bench.totals import Total, codecs_of, corpora_of, files_of, totals

_COLUMNS = (
    "corpus", "file", "sha256", "codec", "level", "model", "model_id", "parameters", "status", "message",
    "verified", "raw_bytes", "compressed_bytes", "bits_per_byte", "ratio", "weights_bytes", "adjusted_bytes",
    "program_bytes", "total_bytes", "compress_s", "decompress_s", "peak_rss", "peak_vram", "contaminated",
)  # fmt: skip
_DIRECTIONS = ("min_s", "repeats", "cpu_s", "startup_s", "peak_rss")
_MARK = "†"


def to_csv(rows: Sequence[Row]) -> str:
    """Return one line per row; what is missing is empty."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    details = [f"{direction}_{name}" for direction in ("compress", "decompress") for name in _DIRECTIONS]
    writer.writerow([*_COLUMNS, *details])
    for row in rows:
        value = asdict(row)
        more = [(value[way] or {}).get(name) for way in ("compress", "decompress") for name in _DIRECTIONS]
        writer.writerow([_plain(value[name]) for name in _COLUMNS] + [_plain(item) for item in more])
    return sink.getvalue()


def to_markdown(rows: Sequence[Row]) -> str:
    """Return bits per byte by file and the totals of every corpus, best in bold."""
    parts = []
    for corpus in corpora_of(rows):
        parts += [f"**{_cell(corpus)}**, bits per byte\n", files_table(rows, corpus), totals_table(rows, corpus)]
    notes = []
    if any(row.contaminated for row in rows):
        notes.append(f"{_MARK} no fair test: the model's card names this data among what it was trained on.")
    notes += [
        f"No result: {_cell(row.codec)} on {_cell(row.file)}: {row.status} ({_cell(row.message)})"
        for row in failures(rows)
    ]
    return "\n".join([*parts, *notes]).rstrip() + "\n"


def files_table(rows: Sequence[Row], corpus: str) -> str:
    """Return bits per byte of every file by every codec."""
    mine = [row for row in rows if row.corpus == corpus]
    codecs = codecs_of(mine)
    lines = [_line(["file", "bytes", *map(_cell, codecs)]), _line(["---", "---:", *["---:"] * len(codecs)])]
    for file in files_of(mine, corpus):
        found = {row.codec: row for row in mine if row.file == file}
        best = min((row.compressed_bytes for row in found.values() if row.compressed_bytes is not None), default=None)
        size = next(iter(found.values())).raw_bytes
        cells = [_rate(found.get(codec), best) for codec in codecs]
        lines.append(_line([_cell(file), f"{size:,}", *cells]))
    return "\n".join(lines) + "\n"


def totals_table(rows: Sequence[Row], corpus: str) -> str:
    """Return the totals of a corpus, one line per codec."""
    mine = [total for total in totals(rows) if total.corpus == corpus]
    heads = ["codec", "bytes", "bpb", "geo. mean", "+ weights", "+ program", "break-even", "KB/s in", "KB/s out", "MB"]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    best = min((total.compressed_bytes for total in mine), default=None)
    lines += [_line(_total_cells(total, best)) for total in mine]
    return "\n".join(lines) + "\n"


def _total_cells(total: Total, best: int | None) -> list[str]:
    rate = bpb(total.bits_per_byte)
    return [
        _cell(total.codec) + (_MARK if total.contaminated else ""),
        f"{total.compressed_bytes:,}",
        f"**{rate}**" if total.compressed_bytes == best else rate,
        bpb(total.geometric_bpb),
        bpb(total.adjusted_bpb),
        bpb(total.total_bpb),
        break_even(total),
        kilobytes(total.raw_bytes, total.compress_s),
        kilobytes(total.raw_bytes, total.decompress_s),
        f"{total.peak_rss / 1e6:,.0f}",
    ]


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


def break_even(total: Total) -> str:
    """Return from which corpus size on the weights pay, in MB of 10**6 bytes."""
    if total.break_even_bytes is None:
        return "never" if total.rival else "-"
    return f"{total.break_even_bytes / 1e6:,.3g} MB" if total.break_even_bytes else "-"


def _rate(row: Row | None, best: int | None) -> str:
    if row is None:
        return "-"
    if not row.verified:
        return row.status
    mark = _MARK if row.contaminated else ""
    rate = bpb(row.bits_per_byte)
    return (f"**{rate}**" if row.compressed_bytes == best else rate) + mark


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """No name may end a cell, a line, or begin markup."""
    for character in "\\|<>[]*_`&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _plain(value: object) -> object:
    """A spreadsheet runs what begins like a formula."""
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return "'" + value
    return "" if value is None else value
