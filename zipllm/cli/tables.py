"""Tables of several columns, and the texts around them, on standard output."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from zipllm.cli.results import write_stdout
from zipllm.files.names import escape_name

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_PIPED_WIDTH = 160


def aligned(columns: Sequence[str], rows: Sequence[tuple[str, ...]], left: Sequence[str]) -> Iterator[str]:
    """Yield a table line by line: each column as wide as its widest cell, those in ``left`` aligned there."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for cells in (tuple(columns), *rows):
        padded = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, cell, width in zip(columns, cells, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()


def shown(text: str) -> "Text":
    """Return a name as it can be shown; a ``Text``, so that nothing in it is markup."""
    from rich.text import Text

    return Text(escape_name(text))


def note(text: str) -> "Text":
    """Return what explains a table."""
    from rich.text import Text

    return Text(text, style="dim")


def new_table(
    title: str, heads: Sequence[str], rows: "Iterable[Iterable[str | Text]]", total: "Iterable[str | Text]" = ()
) -> "Table":
    """Return a table: the first column holds names, the others numbers; ``total`` is a row below a line."""
    from rich import box
    from rich.table import Table

    table = Table(title=shown(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(shown(head), justify="left" if index == 0 else "right", overflow="fold")
    last = list(total)
    for row in (*rows, *([last] if last else [])):
        if row is last:
            table.add_section()
        table.add_row(*(shown(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def print_parts(parts: "Iterable[RenderableType]") -> None:
    """Print tables and texts on standard output: with colors on a terminal, wide elsewhere."""
    from rich.console import Console

    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(width=None if terminal else _PIPED_WIDTH, force_terminal=terminal, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part, markup=False, emoji=False)
    write_stdout(captured.get())
