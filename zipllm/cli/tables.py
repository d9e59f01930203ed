"""Tables of several columns on standard output, as wide as the terminal.

Imported when results are there, because rich takes a while to import.
"""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from zipllm.cli.results import write_stdout
from zipllm.files.names import escape_name

_PIPED_WIDTH = 160


def shown(text: str) -> Text:
    """Return a name as it can be shown; a ``Text``, so that nothing in it is markup."""
    return Text(escape_name(text))


def note(text: str) -> Text:
    """Return what explains a table."""
    return Text(text, style="dim")


def new_table(
    title: str, heads: Sequence[str], rows: Iterable[Iterable[str | Text]], total: Iterable[str | Text] = ()
) -> Table:
    """Return a table: the first column holds names, the others numbers; ``total`` is a row below a line."""
    table = Table(title=shown(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(shown(head), justify="left" if index == 0 else "right", overflow="fold")
    last = list(total)
    for row in (*rows, *([last] if last else [])):
        if row is last:
            table.add_section()
        table.add_row(*(shown(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def print_parts(parts: Iterable[RenderableType]) -> None:
    """Print tables and texts on standard output: with colors on a terminal, wide elsewhere."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(width=None if terminal else _PIPED_WIDTH, force_terminal=terminal, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(Text(part) if isinstance(part, str) else part)
    write_stdout(captured.get())
