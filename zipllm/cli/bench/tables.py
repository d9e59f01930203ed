"""The tables of ``zipllm bench`` on standard output: bits per byte by file, totals, changes; best in bold."""

from collections.abc import Sequence

from zipllm.bench.columns import CONTAMINATED, MARK, TOTALS, Cell, amount, file_cells, file_heads, total_cells
from zipllm.bench.compare import Change, compare
from zipllm.bench.result import Row
from zipllm.bench.totals import corpora_of, files_of
from zipllm.cli.tables import BOLD, BOLD_RED, GREEN, RED, Styled, Table, new_table, note, print_parts

_MOST_FILES = 40
_NOTE = (
    "bpb: archive bits per byte of the original, less is better. geo.: its geometric mean, every file weighs the same. "
    "+weights: bytes with the model file counted once. +program: with the codec's own code too. break-even: amount of "
    "such data above which the weights pay off against the best codec without weights. in, out: KB/s of coding and "
    "decoding, without start-up. RAM: peak memory. K, M and G are powers of 1000."
)


def print_tables(rows: Sequence[Row], old: Sequence[Row]) -> None:
    """Print the rows and totals of every corpus, and the changes against an earlier run."""
    parts: list[Table | Styled | str] = []
    for corpus in corpora_of(rows):
        if len(files_of(rows, corpus)) <= _MOST_FILES:
            lines = (map(_shown, line) for line in file_cells(rows, corpus))
            parts.append(new_table(f"{corpus}: bits per byte of each file", file_heads(rows, corpus), lines))
        parts.append(_totals(rows, corpus))
    parts.append(note(_NOTE))
    if any(row.contaminated for row in rows):
        parts.append(CONTAMINATED)
    if old:
        parts.append(_changes(compare(old, rows)))
    print_parts(parts)


def _totals(rows: Sequence[Row], corpus: str) -> Table:
    count = len(files_of(rows, corpus))
    title = f"{corpus}: {f'all {count} files' if count > 1 else 'the file'}"
    codecs, incomplete = total_cells(rows, corpus, _short_size), Styled("not complete", BOLD_RED)
    lines = [map(_shown, line) if line else (codec, incomplete) for codec, line in codecs.items()]
    return new_table(title, [column.narrow for column in TOTALS], lines)


def _shown(cell: Cell) -> Styled:
    text = (cell.text.upper() if cell.failed else cell.text) + MARK * cell.contaminated
    return Styled(text, BOLD_RED if cell.failed else BOLD if cell.best else "")


def _short_size(size: int) -> str:
    """Return ``8.73M`` for 8.73 MB, so that ten columns fit 80 characters."""
    return amount(size).removesuffix("B").replace(" ", "")


def _changes(changes: Sequence[Change]) -> Table:
    heads = ("file", "codec", "before", "now", "size", "in", "out")
    return new_table("changes against the earlier run", heads, map(_change, changes))


def _change(change: Change) -> tuple[str | Styled, ...]:
    style = RED if change.worse else GREEN if (change.size or 0) < 0 else ""
    size = Styled(_percent(change.size), style)
    speeds = (_percent(change.compress), _percent(change.decompress))
    return (change.new.file, change.new.codec, _bytes(change.old), _bytes(change.new), size, *speeds)


def _bytes(row: Row) -> str:
    return row.status if row.compressed_bytes is None else f"{row.compressed_bytes:,}"


def _percent(change: float | None) -> str:
    return "-" if change is None else f"{100 * change:+.2f} %"
