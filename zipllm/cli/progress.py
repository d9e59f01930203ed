"""The progress bar: position, bytes, speed, bits per byte so far and time left, on stderr.

Imported only when a bar is to be shown, because rich takes a while to import.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from zipllm.cli.messages import format_bpb, format_size, format_speed
from zipllm.files.names import escape_name
from zipllm.files.signals import before_signal_exit

if TYPE_CHECKING:
    from zipllm.progress import Progress as Step
    from zipllm.progress import ProgressCallback

DELAY_SECONDS = 0.3  # a file that is done sooner needs no bar
_NAME_WIDTH = 28


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        name = task.description
        return Text(name if len(name) <= _NAME_WIDTH else "…" + name[1 - _NAME_WIDTH :])  # Text: no markup in names


class _Numbers(ProgressColumn):
    max_refresh = 0.5  # seconds; digits that change faster cannot be read

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {format_size(int(task.total))}"
        parts = [format_size(int(task.completed)) + total]
        if task.elapsed:
            parts.append(format_speed(task.completed, task.elapsed))
        bits_per_byte = task.fields["bits_per_byte"]
        if bits_per_byte is not None:
            parts.append(f"{format_bpb(bits_per_byte)} bpb")
        return Text("  ".join(parts))


@contextlib.contextmanager
def progress_bar(name: str, total: int | None, console: Console | None = None) -> Iterator["ProgressCallback"]:
    """Show a bar while the ``with`` block runs, and wipe it afterwards.

    Args:
        name: of the file; escaped here.
        total: raw bytes of the file, or None if unknown, which shows a bar without an end.
        console: where to draw; stderr by default.
    """
    columns = (
        _Name(table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        _Numbers(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
    )
    console = console or Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False)
    task = bar.add_task(escape_name(name), total=total, bits_per_byte=None)
    begun = time.monotonic()

    def advance(step: "Step") -> None:
        if not bar.live.is_started and time.monotonic() - begun >= DELAY_SECONDS:
            bar.start()
        bar.update(task, completed=step.done, bits_per_byte=step.bits_per_byte)

    with before_signal_exit(bar.stop):  # gives the cursor back
        try:
            yield advance
        finally:
            bar.stop()
