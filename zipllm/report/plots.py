"""Figures through matplotlib: SVG for a page, PNG for a README, CSV with the numbers."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zipllm.bench.result import Row
from zipllm.bench.totals import corpora_of
from zipllm.errors import FileError, import_extra
from zipllm.report.figures import Figure, bench_figures
from zipllm.report.svg import COLORS

_DPI = 120
_DOTTED = 40
"""Lines with at most this many points get a dot on each."""


def require_matplotlib() -> None:
    """Check for matplotlib. Raises ``MissingPackage`` if it is not installed."""
    import_extra("matplotlib", "figures need matplotlib: pip install 'zipllm[plots]'")


def save_figures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write every figure of the rows and return the paths of the PNGs.

    Raises:
        MissingPackage: matplotlib is not installed.
        FileError: the folder cannot be written.
    """
    require_matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = [figure for corpus in corpora_of(rows) for figure in bench_figures(rows, corpus)]
        return [_save(figure, folder / re.sub(r"[^A-Za-z0-9._-]", "_", figure.name)) for figure in figures]
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror}") from error


def _save(figure: Figure, stem: Path) -> Path:
    draw_figure(figure, stem)
    heads, cells = figure.table()
    with open(f"{stem}.csv", "w", encoding="utf-8", newline="") as sink:
        csv.writer(sink, lineterminator="\n").writerows([heads, *cells])
    return Path(f"{stem}.png")


def draw_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as ``stem.svg`` and ``stem.png``; equal figures give equal files.

    Raises:
        MissingPackage: matplotlib is not installed.
        OSError: a file cannot be written.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context({"svg.hashsalt": "zipllm", "font.size": 9, "text.parse_math": False}):
        canvas = Canvas(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.subplots()
        axes.margins(x=0.1, y=0.1)
        _DRAW[figure.kind](axes, figure)
        axes.set_title(figure.title)
        axes.set_xlabel(figure.x)
        axes.set_ylabel(figure.y)
        if figure.kind != "heat":
            _scale(axes, figure)
        canvas.savefig(f"{stem}.svg", metadata={"Date": None})
        canvas.savefig(f"{stem}.png", dpi=_DPI)


def _scale(axes: Any, figure: Figure) -> None:
    """Give the axes their scales, limits and grid."""
    if figure.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
    if figure.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_plain)
    elif figure.from_zero:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _plain(value: float, _position: float) -> str:
    """Label a tick of a logarithmic axis as plain text: math text is off, so that names cannot contain any."""
    return f"{value:,g}"


def _scatter(axes: Any, figure: Figure) -> None:
    if len(figure.front) > 1:
        axes.plot(*zip(*figure.front, strict=True), linestyle="--", color="0.6", zorder=1)
    for index, series in enumerate(figure.series):
        for x, y in series.points:
            edge = "black" if series.marked else "none"
            axes.scatter([x], [y], color=COLORS[index % len(COLORS)], edgecolors=edge, zorder=2)
            weight = "bold" if series.marked else "normal"
            axes.annotate(series.name, (x, y), textcoords="offset points", xytext=(6, 4), weight=weight)


def _lines(axes: Any, figure: Figure) -> None:
    for index, series in enumerate(figure.series):
        points = zip(*series.points, strict=True)
        dots = "o" if len(series.points) <= _DOTTED else ""
        style = "--" if series.marked else "-"
        color = COLORS[index % len(COLORS)]
        axes.plot(*points, label=series.name, color=color, marker=dots, markersize=4, linestyle=style)
    axes.legend()


def _bars(axes: Any, figure: Figure) -> None:
    wide = 0.8 / len(figure.series)
    for index, series in enumerate(figure.series):
        places = [x - 0.4 + (index + 0.5) * wide for x, _ in series.points]
        axes.bar(places, [y for _, y in series.points], wide, label=series.name, color=COLORS[index % len(COLORS)])
    axes.set_xticks(range(len(figure.ticks)), figure.ticks, rotation=30, ha="right")
    if len(figure.series) > 1:
        axes.legend()


def _heat(axes: Any, figure: Figure) -> None:
    """Draw cells from light (small) to dark (large), each with its number."""
    grid = [
        [dict(series.points).get(column, float("nan")) for column in range(len(figure.ticks))]
        for series in figure.series
    ]
    image = axes.imshow(grid, cmap="cividis_r", aspect="auto")
    middle = sum(image.get_clim()) / 2
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            if value == value:
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > middle else "black"
                )
    axes.set_xticks(range(len(figure.ticks)), figure.ticks)
    axes.set_yticks(range(len(figure.series)), [series.name for series in figure.series])


_DRAW = {"scatter": _scatter, "line": _lines, "bars": _bars, "heat": _heat}
