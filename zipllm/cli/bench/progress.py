"""The bar of ``zipllm bench``: codec, file and direction, finished rows, time left, on stderr.

Imported only when a bar is to be shown, because rich takes a while to import.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from zipllm.cli.bench.command import SilentBar
from zipllm.files.names import escape_name
from zipllm.files.signals import before_signal_exit

if TYPE_CHECKING:
    from zipllm.bench.inputs import BenchInput
    from zipllm.bench.spec import Spec


class _Doing(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description)  # Text: no markup in names


class BenchBar(SilentBar):
    """Counts rows."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def step(self, spec: "Spec", item: "BenchInput", what: str) -> None:
        self._progress.update(self._task, description=f"{what} {escape_name(item.file)} with {escape_name(str(spec))}")

    def advance(self) -> None:
        self._progress.advance(self._task)


@contextlib.contextmanager
def bench_bar(total: int, console: Console | None = None) -> Iterator[BenchBar]:
    """Show a bar of ``total`` rows while the ``with`` block runs, and wipe it afterwards."""
    columns = (
        _Doing(table_column=Column(no_wrap=True, ratio=2)),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = console or Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False)
    with before_signal_exit(bar.stop), bar:
        yield BenchBar(bar, total)
