"""Figures through matplotlib: SVG for a page, PNG for a README, CSV with the numbers."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zipllm.bench.result import Row
from zipllm.bench.totals import corpora_of
from zipllm.errors import file_errors, import_extra
from zipllm.report.figures import Figure, bench_figures
from zipllm.report.labels import Box, place_labels, spread
from zipllm.report.palette import OTHERS, OURS
from zipllm.report.svg import is_lying, series_color, tick_color

Points = Sequence[tuple[float, float]]
_DPI = 120
_WIDE = 1e4
"""Ratio of the ends of a logarithmic axis from which only powers of ten are labeled."""
_DOTTED = 12
"""Lines with at most this many points get a dot on each."""
_LINE, _LETTER = 11.0, 5.2
"""Height and width of text, roughly, in points."""


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
    figures = [figure for corpus in corpora_of(rows) for figure in bench_figures(rows, corpus)]
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return [_save(figure, folder / re.sub(r"[^A-Za-z0-9._-]", "_", figure.name)) for figure in figures]


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
        axes.set_title(figure.title)
        axes.set_xlabel(figure.y if is_lying(figure) else figure.x)
        axes.set_ylabel("" if is_lying(figure) else figure.y)
        _DRAW[figure.kind](axes, figure)
        if figure.kind != "heat" and not is_lying(figure):
            _scale(axes, figure)
        canvas.savefig(f"{stem}.svg", metadata={"Date": None})
        canvas.savefig(f"{stem}.png", dpi=_DPI)


def _scale(axes: Any, figure: Figure) -> None:
    """Give the axes their scales, limits and grid."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for wanted, axis, set_scale in (
        (figure.log_x, axes.xaxis, axes.set_xscale),
        (figure.log_y, axes.yaxis, axes.set_yscale),
    ):
        if wanted:
            set_scale("log")
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < _WIDE * low else (1,)))
            axis.set_major_formatter(_plain)
            axis.set_minor_formatter(NullFormatter())
    if figure.from_zero and not figure.log_y:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _plain(value: float, _position: float) -> str:
    """Label a tick of a logarithmic axis as plain text: math text is off, so that names cannot contain any."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _scatter(axes: Any, figure: Figure) -> None:
    if len(figure.front) > 1:
        axes.plot(*zip(*figure.front, strict=True), linestyle="--", color="0.6", zorder=1)
    order = sorted(figure.series, key=lambda series: not series.marked)  # they choose the places of their names first
    points = [series.points[0] for series in order]
    for series, point in zip(order, points, strict=True):
        edge = "black" if series.marked else "none"
        axes.scatter(*point, color=OURS if series.ours else OTHERS, edgecolors=edge, zorder=2)
    spots, bounds = _in_points(axes, figure, points)
    places = place_labels(spots, [_LETTER * len(series.name) for series in order], _LINE, bounds)
    for series, point, (x, y), (left, middle) in zip(order, points, spots, places, strict=True):
        _name(axes, series.name, point, (left - x, y - middle), weight="bold" if series.marked else "normal")


def _in_points(
    axes: Any, figure: Figure, points: Sequence[tuple[float, float]]
) -> tuple[list[tuple[float, float]], Box]:
    """Return places in the drawing and the box of the axes, in points of 1/72 inch, y down."""
    _scale(axes, figure)
    axes.figure.draw_without_rendering()  # now everything has its place
    scale, high = 72 / axes.figure.dpi, axes.figure.bbox.height
    left, bottom, right, top = axes.bbox.extents
    box = Box(left * scale, (high - top) * scale, right * scale, (high - bottom) * scale)
    return [(x * scale, (high - y) * scale) for x, y in axes.transData.transform(points)], box


def _name(axes: Any, name: str, point: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    axes.annotate(name, point, xytext=offset, textcoords="offset points", va="center", annotation_clip=False, **style)


def _lines(axes: Any, figure: Figure) -> None:
    drawn = [series for series in figure.series if series.points]
    for index, series in enumerate(drawn):
        dots = "o" if len(series.points) <= _DOTTED and not series.marked else ""
        style = {"linestyle": "--" if series.marked else "-", "color": series_color(series, index)}
        axes.plot(*zip(*series.points, strict=True), marker=dots, markersize=4, **style)
    ends = [max(series.points) for series in drawn]
    spots, bounds = _in_points(axes, figure, ends)
    heights = spread([y for _, y in spots], _LINE, bounds.bottom)
    for index, (series, end, (_, y), height) in enumerate(zip(drawn, ends, spots, heights, strict=True)):
        beside: dict[str, Any] = {"color": series_color(series, index), "xycoords": ("axes fraction", "data")}
        _name(axes, series.name, (1.0, end[1]), (6.0, y - height), **beside)


def _bars(axes: Any, figure: Figure) -> None:
    if len(figure.series) == 1:
        values = [value for _, value in figure.series[0].points]
        axes.barh(range(len(values)), values, color=[tick_color(figure, tick) for tick in figure.ticks])
        _rows(axes, figure)
        return
    wide = 0.8 / len(figure.series)
    for index, series in enumerate(figure.series):
        places = [x - 0.4 + (index + 0.5) * wide for x, _ in series.points]
        color = series_color(series, index)
        axes.bar(places, [y for _, y in series.points], wide, label=series.name, color=color)
    axes.set_xticks(range(len(figure.ticks)), figure.ticks, rotation=30, ha="right")
    axes.legend()


def _dots(axes: Any, figure: Figure) -> None:
    for series in sorted(figure.series, key=lambda series: series.ours):
        rows, values = zip(*series.points, strict=True)
        axes.scatter(values, rows, color=OURS if series.ours else OTHERS, s=22, zorder=2)
    _rows(axes, figure)


def _rows(axes: Any, figure: Figure) -> None:
    """Name the rows, the first on top."""
    axes.set_yticks(range(len(figure.ticks)), figure.ticks)
    axes.invert_yaxis()
    axes.set_xlim(left=0)


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


_DRAW = {"scatter": _scatter, "line": _lines, "bars": _bars, "dots": _dots, "heat": _heat}
