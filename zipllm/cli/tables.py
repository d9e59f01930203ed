"""Tables of several columns on standard output, as wide as the terminal.

Imported when results are there, because rich takes a while to import.
"""

import io
import os
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from zipllm.files.names import escape_name

_PIPED_WIDTH = 160


def shown(text: str) -> Text:
    """Return a name as it can be shown; a ``Text``, so that nothing in it is markup."""
    return Text(escape_name(text))


def new_table(title: str, heads: Sequence[str]) -> Table:
    """Return an empty table: the first column holds names, the others numbers."""
    table = Table(title=shown(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(shown(head), justify="left" if index == 0 else "right", overflow="fold")
    return table


def render(parts: Sequence[RenderableType]) -> str:
    """Return what the parts look like on standard output: with colors on a terminal, wide elsewhere."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else _PIPED_WIDTH
    sink = io.StringIO()
    console = Console(file=sink, width=width or _PIPED_WIDTH, force_terminal=terminal, highlight=False)
    for part in parts:
        console.print(part)
    return sink.getvalue()
