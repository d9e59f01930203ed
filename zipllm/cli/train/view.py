"""How a training run looks: a live panel on a terminal, plain lines elsewhere."""

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from zipllm.cli.messages import format_speed, say

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from zipllm.train.runlog import Report

CURVE_COLUMNS = 60
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=oO#@"


class TrainView:
    """Shows reports as they come; a `train.run.Listener`. A level of 0 or less says nothing.

    ``live`` redraws a panel instead of adding lines; by default when stderr is a terminal.
    """

    def __init__(self, title: str, level: int, *, live: bool | None = None) -> None:
        self._title = title
        self._level = level
        wanted = sys.stderr is not None and sys.stderr.isatty() if live is None else live
        self._use_panel = wanted and level >= 1
        self._live: Live | None = None
        self._notes: list[str] = []
        self._reports: list[Report] = []
        self.stage: Callable[[str, Callable[[], None] | None], None] = lambda name, save: None

    def __enter__(self) -> "TrainView":
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Show one line about a decision."""
        self._notes.append(text)
        self._show(text)

    def report(self, report: "Report") -> None:
        """Show the numbers of the last steps."""
        self._reports.append(report)
        self._show(*report_lines(report))

    def _show(self, *lines: str) -> None:
        if not self._use_panel:
            for line in lines if self._level >= 1 else ():
                say(line)
            return
        from rich.console import Console
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=Console(stderr=True), refresh_per_second=4)
            self._live.start()
        self._live.update(self._panel(), refresh=True)

    def _panel(self) -> "RenderableType":
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows: list[RenderableType] = [Text(note, style="dim") for note in self._notes[-3:]]
        if not self._reports:
            rows.append(Text("reading the data, and trying what is fastest"))
        else:
            bars = _BARS if (sys.stderr.encoding or "").lower().startswith("utf") else _ASCII_BARS
            validations = [report.valid for report in self._reports if report.valid is not None]
            last = replace(self._reports[-1], valid=validations[-1] if validations else None)
            rows += [Text(line) for line in report_lines(last)]
            rows.append(Text(f"train {curve([report.train_bpb for report in self._reports], bars)}", style="cyan"))
            if len(validations) > 1:
                rows.append(Text(f"valid {curve([valid.total for valid in validations], bars)}", style="magenta"))
            rows.append(ProgressBar(total=1.0, completed=last.progress, width=CURVE_COLUMNS + 6))
        return Panel(Group(*rows), title=Text(self._title), title_align="left", expand=False)


def report_lines(report: "Report") -> list[str]:
    """Step, share of the budget, bits per byte, speed, time; then the validation data, if it was looked at."""
    phase = ", rounding" if report.rounding else ""
    numbers = (
        f"step {report.step}  {100 * report.progress:5.1f} %  {report.tokens / 1e6:.2f} M tokens  "
        f"train {report.train_bpb:.3f} bpb  {format_speed(report.bytes_per_second, 1.0)} "
        f"({report.tokens_per_second:,.0f} tokens/s)  "
        f"{_duration(report.seconds)} + {_duration(report.seconds_left)} left{phase}"
    )
    if report.valid is None:
        return [numbers]
    valid = f"  valid {report.valid.total:.3f} bpb"
    if report.best is not None:
        valid += f" (best {report.best:.3f})"
    if len(report.valid.by_source) > 1:
        valid += "  " + "  ".join(f"{name} {bpb:.3f}" for name, bpb in report.valid.by_source.items())
    return [numbers, valid]


def curve(values: list[float], bars: str = _BARS, columns: int = CURVE_COLUMNS) -> str:
    """Draw numbers as a line of bars from the first to the last, with both ends written out."""
    groups = min(columns, len(values))
    edges = [round(index * len(values) / groups) for index in range(groups + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    steps = [int((mean - low) / (high - low) * (len(bars) - 1) + 0.5) if high > low else 0 for mean in means]
    return f"{values[0]:.2f} {''.join(bars[step] for step in steps)} {values[-1]:.2f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
