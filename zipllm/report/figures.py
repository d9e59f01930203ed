"""The numbers behind each figure, shared by the page, the pictures and the data beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zipllm.bench.columns import MARK
from zipllm.bench.result import Row
from zipllm.bench.totals import Total, codecs_of, files_of, pareto, totals

TINY = 1000
"""Bytes; smaller files say more about headers than about codecs, and are left out of figures by file."""
_MOST_FILES = 60


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one codec or model; ``marked`` ones are drawn with emphasis."""

    name: str
    points: tuple[tuple[float, float], ...]
    marked: bool = False

    @property
    def ours(self) -> bool:
        """Whether this is zipllm, which has one color in all figures."""
        return is_ours(self.name)


def is_ours(name: str) -> bool:
    """Whether a codec is zipllm."""
    return name.startswith("zipllm")


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        name: of its files.
        title: of the picture.
        x: label of the horizontal axis, with the unit.
        y: label of the vertical axis, with the unit.
        series: the points.
        kind: ``scatter`` labels single points; ``line`` joins points; ``bars`` has one bar per series and tick, lying
            down if there is one series; ``dots`` has a row per tick with a dot for each series; ``heat`` one colored
            cell per series (row) and tick (column).
        log_x: whether the horizontal axis is logarithmic.
        log_y: whether the vertical axis is logarithmic.
        front: points of the Pareto front, joined by a line.
        ticks: names of the bars, of the rows of ``dots``, or of the columns of ``heat``.
        from_zero: whether the axis of the values starts at zero.
    """

    name: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    kind: str = "scatter"
    log_x: bool = False
    log_y: bool = False
    front: tuple[tuple[float, float], ...] = ()
    ticks: tuple[str, ...] = ()
    from_zero: bool = True

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return the data as heads and rows of text."""
        if self.ticks:
            grid = [[self.y if self.kind == "heat" else self.x, *self.ticks]]
            for series in self.series:
                values = dict(series.points)
                grid.append([series.name, *(_cell(values.get(i)) for i in range(len(self.ticks)))])
            if self.kind != "heat":  # a column per series
                grid = [list(column) for column in zip(*grid, strict=True)]
            return grid[0], grid[1:]
        rows = [[s.name, f"{x:.6g}", _cell(y), "yes" if s.marked else ""] for s in self.series for x, y in s.points]
        return ["codec", self.x, self.y, "marked"], rows


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"


def bench_figures(rows: Sequence[Row], corpus: str) -> list[Figure]:
    """Return the figures of one corpus that have data."""
    mine = [row for row in rows if row.corpus == corpus and row.verified]
    large = [row for row in mine if row.raw_bytes >= TINY]
    found = [total for total in totals(rows) if total.corpus == corpus and total.raw_bytes]
    figures = [
        _sizes(corpus, found),
        _speed(corpus, found, "compress"),
        _speed(corpus, found, "decompress"),
        _files(corpus, large, whole=len(large) == len(mine)),
        _break_even(corpus, found),
        *_along(corpus, large),
    ]
    return [figure for figure in figures if any(series.points for series in figure.series)]


def _sizes(corpus: str, found: Sequence[Total]) -> Figure:
    order = sorted(found, key=lambda total: total.compressed_bytes)
    points = tuple((float(place), float(total.compressed_bytes)) for place, total in enumerate(order))
    ticks = tuple(total.codec + f" {MARK}" * bool(total.contaminated) for total in order)
    title = "Size of all archives" if found and len(found[0].rows) > 1 else "Size of the archive"
    return Figure(f"{corpus}-sizes", title, "codec", "bytes", (Series("bytes", points),), "bars", ticks=ticks)


def _speed(corpus: str, found: Sequence[Total], way: str) -> Figure:
    points = [(total.raw_bytes / seconds / 1e3, total) for total in found if (seconds := getattr(total, f"{way}_s"))]
    front = pareto([(total.bits_per_byte or 0.0, speed) for speed, total in points])
    series = tuple(
        Series(total.codec, ((speed, total.bits_per_byte or 0.0),), index in front)
        for index, (speed, total) in enumerate(points)
    )
    line = tuple(series[index].points[0] for index in sorted(front, key=lambda index: points[index][0]))
    title = f"Size against speed, {'compressing' if way == 'compress' else 'decompressing'}"
    return Figure(f"{corpus}-{way}", title, "KB/s", "bits per byte", series, log_x=True, front=line, from_zero=False)


def _files(corpus: str, rows: Sequence[Row], *, whole: bool) -> Figure:
    files = files_of(rows, corpus)
    series = []
    for codec in codecs_of(rows) if len(files) <= _MOST_FILES else ():
        rates = {row.file: row.bits_per_byte for row in rows if row.codec == codec}
        points = ((float(i), rate) for i, file in enumerate(files) if (rate := rates.get(file)) is not None)
        series.append(Series(codec, tuple(points)))
    title = "Bits per byte of each file" + ("" if whole else f" of {TINY:,} bytes and more")
    return Figure(f"{corpus}-files", title, "file", "bits per byte", tuple(series), "dots", ticks=tuple(files))


def _break_even(corpus: str, found: Sequence[Total]) -> Figure:
    """Return rates with the weights counted once, over the size of such data, against the best codec without weights.

    A curve begins where its weights make the archive twice as large as the rival's, and all end where the last has
    long paid.
    """
    rivals = [total for total in found if not total.weights_bytes]
    models = [total for total in found if total.weights_bytes]
    if not rivals or not models:
        return Figure(f"{corpus}-weights", "", "", "", ())
    rival = min(rivals, key=lambda total: total.compressed_bytes)
    flat = rival.bits_per_byte or 0.0
    begins = [8 * total.weights_bytes / max(2 * flat - (total.bits_per_byte or 0.0), 0.1) for total in models]
    end = 10 * max(total.break_even_bytes or begin for total, begin in zip(models, begins, strict=True))
    series = [Series(rival.codec, ((min(begins) / 1e6, flat), (end / 1e6, flat)), marked=True)]
    for total, begin in zip(models, begins, strict=True):
        sizes = np.geomspace(begin, end, 40).tolist()
        rates = ((size / 1e6, (total.bits_per_byte or 0.0) + 8 * total.weights_bytes / size) for size in sizes)
        series.append(Series(total.codec, tuple(rates)))
    title = "Break-even: bits per byte with the weights counted, by the amount of such data"
    y = "bits per byte, with weights"
    return Figure(f"{corpus}-weights", title, "MB of such data", y, tuple(series), "line", log_x=True, from_zero=False)


def _along(corpus: str, rows: Sequence[Row]) -> list[Figure]:
    """Return a figure per file: the rate of all bytes so far, along the file."""
    figures = []
    for file in files_of(rows, corpus):
        series = tuple(
            Series(row.codec, tuple((raw / 1e3, 8 * packed / raw) for raw, packed in row.along))
            for row in rows
            if row.file == file and row.along
        )
        title, y = f"Along {file}: bits per byte of its first KB, each an archive of its own", "bits per byte so far"
        figures.append(Figure(f"{corpus}-along-{file}", title, "KB of the file", y, series, "line", from_zero=False))
    return figures
