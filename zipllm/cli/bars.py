"""The progress bars themselves, drawn by rich on stderr and wiped at the end."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from zipllm.cli.messages import format_bpb, format_size, format_speed
from zipllm.files.names import escape_name
from zipllm.files.signals import before_signal_exit

if TYPE_CHECKING:
    from zipllm.bench.inputs import BenchInput
    from zipllm.bench.protocol import Spec
    from zipllm.progress import Progress as FileProgress
    from zipllm.progress import ProgressCallback

DELAY_SECONDS = 0.3  # a file that is done sooner needs no bar
_NAME_WIDTH = 28


class _Numbers(ProgressColumn):
    max_refresh = 0.5  # seconds; digits that change faster cannot be read

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {format_size(int(task.total))}"
        parts = [format_size(int(task.completed)) + total]
        if task.elapsed:
            parts.append(format_speed(task.completed, task.elapsed))
        if task.fields["bits_per_byte"] is not None:
            parts.append(f"{format_bpb(task.fields['bits_per_byte'])} bpb")
        return Text("  ".join(parts))


@contextlib.contextmanager
def _wiped(
    console: Console | None, name: dict[str, Any], *columns: ProgressColumn, hidden: bool = False
) -> Iterator[Progress]:
    bar = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, **name)),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        *columns,
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        console=console or Console(stderr=True),
        transient=True,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=hidden,
    )
    with before_signal_exit(bar.stop):  # gives the cursor back
        try:
            yield bar
        finally:
            bar.stop()


@contextlib.contextmanager
def file_bar(name: str, total: int | None, console: Console | None = None) -> Iterator["ProgressCallback"]:
    """Show position, bytes, speed, bits per byte so far and time left, while the ``with`` block runs.

    Without ``total``, the raw bytes of the file, the bar has no end. The console is stderr by default.
    """
    begun, shown = time.monotonic(), escape_name(name)
    if len(shown) > _NAME_WIDTH:
        shown = "…" + shown[1 - _NAME_WIDTH :]
    with _wiped(console, {}, _Numbers(table_column=Column(no_wrap=True))) as bar:
        task = bar.add_task(shown, total=total, bits_per_byte=None)

        def advance(progress: "FileProgress") -> None:
            if not bar.live.is_started and time.monotonic() - begun >= DELAY_SECONDS:
                bar.start()
            bar.update(task, completed=progress.done, bits_per_byte=progress.bits_per_byte)

        yield advance


Begin = Callable[["Spec", "BenchInput", str], None]
"""Shows which codec works on which file, in which direction."""


@contextlib.contextmanager
def rows_bar(
    total: int, console: Console | None = None, *, hidden: bool = False
) -> Iterator[tuple[Begin, Callable[[], None]]]:
    """Show a bar of ``total`` rows unless ``hidden``; yield what begins a row, and what counts it."""
    with _wiped(console, {"ratio": 2}, MofNCompleteColumn(), hidden=hidden) as bar:
        task = bar.add_task("", total=total)
        bar.start()

        def begin(spec: "Spec", item: "BenchInput", what: str) -> None:
            bar.update(task, description=f"{what} {escape_name(item.file)} with {escape_name(str(spec))}")

        yield begin, lambda: bar.advance(task)
