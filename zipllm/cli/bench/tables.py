"""The tables of ``zipllm bench`` on standard output: bits per byte by file, totals, changes; best in bold.

Imported after the measuring, because rich takes a while to import.
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from zipllm.bench.compare import Change, compare
from zipllm.bench.result import Row
from zipllm.bench.tables import bpb, break_even, kilobytes
from zipllm.bench.totals import Total, codecs_of, corpora_of, files_of, totals
from zipllm.cli.messages import format_size
from zipllm.cli.results import write_stdout
from zipllm.cli.tables import new_table, render, shown

_MOST_FILES = 40
_NOTE = (
    "bpb: archive bits per byte of the original, less is better. geo.: its geometric mean, every file weighs the same. "
    "+weights: bytes with the model file counted once. +program: with the codec's own code too. pays at: size of such "
    "data from which the weights have paid for themselves against the best codec without weights. in, out: KB/s of "
    "compressing and decompressing without start-up. RAM: peak memory. K and M are powers of 1024."
)
_CONTAMINATED = "† no fair test: the model's card names this data among what it was trained on"


def print_tables(rows: Sequence[Row], old: Sequence[Row]) -> None:
    """Print everything there is to say about the rows, and the changes against an earlier run."""
    parts: list[RenderableType] = []
    for corpus in corpora_of(rows):
        if len(files_of(rows, corpus)) <= _MOST_FILES:
            parts.append(_files(rows, corpus))
        parts.append(_totals(rows, corpus))
    parts.append(Text(_NOTE, style="dim"))
    if any(row.contaminated for row in rows):
        parts.append(Text(_CONTAMINATED))
    changes = compare(old, rows)
    if old:
        parts.append(_changes(changes))
    write_stdout(render(parts))


def _files(rows: Sequence[Row], corpus: str) -> Table:
    mine = [row for row in rows if row.corpus == corpus]
    codecs = codecs_of(mine)
    table = new_table(f"{corpus}: bits per byte of each file", ["file", "bytes", *codecs])
    for file in files_of(mine, corpus):
        found = {row.codec: row for row in mine if row.file == file}
        best = min((row.compressed_bytes for row in found.values() if row.compressed_bytes is not None), default=None)
        size = next(iter(found.values())).raw_bytes
        table.add_row(shown(file), f"{size:,}", *(_rate(found.get(codec), best) for codec in codecs))
    return table


def _rate(row: Row | None, best: int | None) -> Text:
    if row is None:
        return Text("-")
    if not row.verified:
        return Text(row.status.upper(), style="bold red")
    style = "bold" if row.compressed_bytes == best else ""
    return Text(bpb(row.bits_per_byte) + ("†" if row.contaminated else ""), style=style)


def _totals(rows: Sequence[Row], corpus: str) -> Table:
    heads = ["codec", "bytes", "bpb", "geo.", "+weights", "+program", "pays at", "in", "out", "RAM"]
    table = new_table(f"{corpus}: {_files_together(len(files_of(rows, corpus)))}", heads)
    found = {total.codec: total for total in totals(rows) if total.corpus == corpus}
    best = {
        name: min((value for total in found.values() if (value := getattr(total, name)) is not None), default=None)
        for name in ("bits_per_byte", "geometric_bpb", "adjusted_bytes", "total_bytes")
    }
    for codec in codecs_of(row for row in rows if row.corpus == corpus):
        if codec in found:
            table.add_row(*_total_cells(found[codec], best))
        else:
            table.add_row(shown(codec), Text("not complete", style="bold red"))
    return table


def _short_size(size: int) -> str:
    """``8.73M`` for 8.73 MiB: ten columns are to fit 80 characters."""
    return format_size(size).removesuffix("iB").replace(" ", "")


def _files_together(count: int) -> str:
    return f"all {count} files" if count > 1 else "the file"


def _total_cells(total: Total, best: dict[str, float | None]) -> list[Text]:
    def rate(name: str) -> Text:
        value = getattr(total, name)
        return Text(bpb(value), style="bold" if value == best[name] else "")

    def size(name: str) -> Text:
        value = getattr(total, name)
        return Text(_short_size(value), style="bold" if value == best[name] else "")

    return [
        shown(total.codec + ("†" if total.contaminated else "")),
        Text(f"{total.compressed_bytes:,}"),
        rate("bits_per_byte"),
        rate("geometric_bpb"),
        size("adjusted_bytes"),
        size("total_bytes"),
        Text(break_even(total)),
        Text(kilobytes(total.raw_bytes, total.compress_s)),
        Text(kilobytes(total.raw_bytes, total.decompress_s)),
        Text(_short_size(total.peak_rss)),
    ]


def _changes(changes: Sequence[Change]) -> Table:
    table = new_table("changes against the earlier run", ["file", "codec", "before", "now", "size", "in", "out"])
    for change in changes:
        style = "red" if change.worse else "green" if (change.size or 0) < 0 else ""
        table.add_row(
            shown(change.new.file),
            shown(change.new.codec),
            _bytes(change.old),
            _bytes(change.new),
            Text(_percent(change.size), style=style),
            _percent(change.compress),
            _percent(change.decompress),
        )
    return table


def _bytes(row: Row) -> str:
    return row.status if row.compressed_bytes is None else f"{row.compressed_bytes:,}"


def _percent(change: float | None) -> str:
    return "-" if change is None else f"{100 * change:+.2f} %"
