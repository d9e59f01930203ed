"""Tables of several columns, and the texts around them, on standard output: as wide as the terminal, in its colors."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zipllm.cli.results import write_stdout
from zipllm.files.names import escape_name

BOLD, DIM, RED, GREEN, BOLD_RED = "1", "2", "31", "32", "1;31"
"""Styles, as the numbers of ANSI's codes."""
_LEAST_NAME = 12  # columns; a table whose names would get less is shown row by row
_LEAST_TEXT = 40  # columns; a text that would get less stands below its name


@dataclass(frozen=True)
class Styled:
    """A text with a style."""

    text: str
    style: str = ""


Cell = str | Styled


@dataclass(frozen=True)
class Table:
    """Rows of cells under heads: the first column holds names, the others numbers; the last row may be a ``total``."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    total: bool = False


def note(text: str) -> Styled:
    """Return what explains a table."""
    return Styled(text, DIM)


def new_table(title: str, heads: Sequence[str], rows: Iterable[Iterable[Cell]], total: Iterable[Cell] = ()) -> Table:
    """Return a table; ``total`` is a row below a line, and short rows end in empty cells."""
    lines = [(*row, *[""] * (len(heads) - len(row))) for row in map(tuple, rows)]
    last = tuple(total)
    return Table(title, tuple(heads), [*lines, last] if last else lines, total=bool(last))


def print_parts(parts: Iterable[Table | Cell]) -> None:
    """Print tables and texts on standard output: styled and wrapped on a terminal, plain elsewhere."""
    width, styled = _width(), shows_colors(os.environ)
    lines: list[str] = []
    for part in parts:
        if isinstance(part, Table):
            lines += [_show(Styled(part.title, BOLD), styled), *_table(part, width, styled), ""]
        else:
            cell = part if isinstance(part, Styled) else Styled(part)
            wrapped = (part for line in cell.text.splitlines() for part in _wrapped(escape_name(line), width))
            lines += [_show(Styled(line, cell.style), styled) for line in wrapped]
    write_stdout("".join(f"{line}\n" for line in lines))


def print_described(texts: Mapping[str, Sequence[str]]) -> None:
    """Print names with lines of text beside them or, on a narrow terminal, below them."""
    width, indent = _width(), max(map(_size, texts)) + 2
    below = width is not None and width - indent < _LEAST_TEXT
    indent = 2 if below else indent
    for name, lines in texts.items():
        parts = [" " * indent + part for line in lines for part in _wrapped(line, width and width - indent)]
        parts[:1] = [name, parts[0]] if below else [name.ljust(indent) + parts[0].lstrip()]
        write_stdout("".join(f"{_text(part)}\n" for part in parts))


def shows_colors(environment: Mapping[str, str]) -> bool:
    """Whether standard output takes colors: on a terminal that is not dumb, without NO_COLOR (no-color.org)."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return sys.stdout is not None and sys.stdout.isatty() and environment.get("TERM") != "dumb"


def aligned(columns: Sequence[str], rows: Sequence[Sequence[Cell]], left: Sequence[str]) -> list[str]:
    """Return the lines of a plain table: each column as wide as its widest cell, those in ``left`` aligned there.

    On a terminal that is too narrow, each row is a list below its name, the first column in ``left``. Names in the last
    column may run over the edge.
    """
    lines = list(_aligned([columns, *rows], [column in left for column in columns], "  ", styled=False))
    at, width = columns.index(left[0]), _width()
    over = max(_size(row[at]) for row in (columns, *rows)) - _LEAST_NAME if at == len(columns) - 1 else 0
    if width is None or max(map(_size, lines)) - max(0, over) <= width:
        return lines
    moved = [(row[at], *row[:at], *row[at + 1 :]) for row in (columns, *rows)]
    return list(_lists(Table("", [_text(head) for head in moved[0]], moved[1:]), styled=False))


def _table(table: Table, width: int | None, styled: bool) -> Iterator[str]:
    """Yield the lines of a table; where it is wider than ``width``, names are folded, or each row is a list."""
    sizes = [max(map(_size, column)) for column in zip(table.heads, *table.rows, strict=True)]
    names = sizes[0] if width is None else min(sizes[0], width - sum(sizes[1:]) - len(sizes) + 1)
    if names < min(sizes[0], _LEAST_NAME):
        yield from _lists(table, styled)
        return
    rule = _show(Styled("─" * (names + sum(sizes[1:]) + len(sizes) - 1)), styled)
    rule = rule if rule.startswith("─") else "-" * (names + sum(sizes[1:]) + len(sizes) - 1)
    rows: list[Sequence[Cell]] = [table.heads, *(line for row in table.rows for line in _folded(row, names))]
    lines = list(_aligned(rows, [True] + [False] * (len(sizes) - 1), " ", styled=styled))
    last = len(list(_folded(table.rows[-1], names))) if table.total else 0
    yield from (lines[0], rule, *lines[1 : len(lines) - last])
    if last:
        yield from (rule, *lines[-last:])


def _lists(table: Table, styled: bool) -> Iterator[str]:
    """Yield each row as its name and, below it, a line for each other column."""
    heads = [f"  {head}" for head in table.heads[1:]]
    for name, *cells in table.rows:
        yield _show(name, styled)
        yield from _aligned(list(zip(heads, cells, strict=True)), [True, False], "  ", styled=styled)


def _folded(row: Sequence[Cell], width: int) -> Iterator[Sequence[Cell]]:
    """Yield a row as several whose names take at most ``width`` columns."""
    name, *cells = row
    parts = _wrapped(_text(name), width)
    for number, part in enumerate(parts):
        styled = Styled(part, name.style) if isinstance(name, Styled) else part
        yield (styled, *(cells if number == 0 else [""] * len(cells)))


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    lines = textwrap.wrap(text, width) or [""]
    if all(_size(line) <= width for line in lines):
        return lines
    from rich.cells import chop_cells  # characters of two columns

    return [part for line in lines for part in chop_cells(line, width)]


def _aligned(rows: Sequence[Sequence[Cell]], left: Sequence[bool], gap: str, *, styled: bool) -> Iterator[str]:
    widths = [max(map(_size, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for cell, width, is_left in zip(row, widths, left, strict=True):
            pad = " " * (width - _size(cell))
            cells.append(_show(cell, styled) + pad if is_left else pad + _show(cell, styled))
        yield gap.join(cells).rstrip()


def _show(cell: Cell, styled: bool) -> str:
    style = cell.style if styled and isinstance(cell, Styled) else ""
    return f"\x1b[{style}m{_text(cell)}\x1b[0m" if style else _text(cell)


def _text(cell: Cell) -> str:
    """Return what standard output can show: printable, and of its encoding."""
    text = escape_name(cell.text if isinstance(cell, Styled) else cell)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def _size(cell: Cell) -> int:
    """Return how many columns of a terminal a text takes."""
    text = _text(cell)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _width() -> int | None:
    """Return the width of the terminal, or None for a pipe or file."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
