"""Rows as Markdown for a README, and as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from zipllm.bench.columns import CONTAMINATED, MARK, TOTALS, Cell, file_cells, file_heads, total_cells
from zipllm.bench.result import Row, failures
from zipllm.bench.totals import corpora_of

_COLUMNS = (
    "corpus", "file", "sha256", "codec", "level", "model", "model_id", "parameters", "status", "message",
    "verified", "raw_bytes", "compressed_bytes", "bits_per_byte", "ratio", "weights_bytes", "adjusted_bytes",
    "program_bytes", "total_bytes", "compress_s", "decompress_s", "peak_rss", "peak_vram", "contaminated",
)  # fmt: skip
_DIRECTIONS = ("min_s", "repeats", "cpu_s", "startup_s", "peak_rss")


def to_csv(rows: Sequence[Row]) -> str:
    """Return one line per row; missing numbers are empty."""
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
        files = [[_cell(cell) for cell in line] for line in file_cells(rows, corpus)]
        totals = [
            [_cell(cell, bold=column.best == "bits_per_byte") for cell, column in zip(line, TOTALS, strict=True)]
            for line in total_cells(rows, corpus).values()
            if line is not None
        ]
        heads = [escape_markdown(head) for head in file_heads(rows, corpus)]
        parts += [f"**{escape_markdown(corpus)}**, bits per byte\n", markdown_table(heads, files)]
        parts.append(markdown_table([column.head for column in TOTALS], totals))
    notes = [f"{CONTAMINATED}."] if any(row.contaminated for row in rows) else []
    notes += [
        f"No result: {escape_markdown(row.codec)} on {escape_markdown(row.file)}: {row.status} "
        f"({escape_markdown(row.message)})"
        for row in failures(rows)
    ]
    return "\n".join([*parts, *notes]).rstrip() + "\n"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of escaped cells: the first column holds names, the others numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape_markdown(text: str) -> str:
    """Return text that cannot end a table's cell or line, nor begin markup."""
    for character in "\\|<>[]*_`&":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _cell(cell: Cell, *, bold: bool = True) -> str:
    text = escape_markdown(cell.text)
    return (f"**{text}**" if cell.best and bold else text) + MARK * cell.contaminated


def _plain(value: object) -> object:
    """A spreadsheet runs what begins like a formula."""
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return "'" + value
    return "" if value is None else value
