"""The numbers behind each figure, shared by the page, the pictures and the data beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from zipllm.bench.result import Row
from zipllm.bench.totals import Total, codecs_of, files_of, pareto, totals

_WIDE = 20.0
"""Ratio of the extreme rates from which an axis is logarithmic: on a small corpus, weights outweigh everything."""


@dataclass(frozen=True)
class Series:
    """Points of one codec or model.

    Attributes:
        name: for the legend or the label.
        points: (x, y).
        marked: drawn with emphasis.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    marked: bool = False


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        name: of its files.
        title: of the picture.
        x: label of the horizontal axis, with the unit.
        y: label of the vertical axis, with the unit.
        series: the points.
        kind: ``scatter`` labels single points, ``line`` joins points, ``bars`` has one bar per series and file,
            ``heat`` one colored cell per series (row) and tick (column).
        log_x: whether the horizontal axis is logarithmic.
        log_y: whether the vertical axis is logarithmic.
        front: points of the Pareto front, joined by a line.
        ticks: names below the bars, or below the columns of a ``heat``.
        from_zero: whether the vertical axis starts at zero.
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
            grid = [["file" if self.kind == "bars" else self.y, *self.ticks]]
            for series in self.series:
                values = dict(series.points)
                grid.append([series.name, *(f"{values[i]:.4f}" if i in values else "" for i in range(len(self.ticks)))])
            if self.kind == "bars":  # a column per series
                grid = [list(column) for column in zip(*grid, strict=True)]
            return grid[0], grid[1:]
        rows = [[s.name, f"{x:.6g}", f"{y:.4f}", "yes" if s.marked else ""] for s in self.series for x, y in s.points]
        return ["codec", self.x, self.y, "marked"], rows


def bench_figures(rows: Sequence[Row], corpus: str) -> list[Figure]:
    """Return the figures of one corpus that have data."""
    mine = [row for row in rows if row.corpus == corpus and row.verified]
    found = [total for total in totals(rows) if total.corpus == corpus and total.raw_bytes]
    figures = [
        _speed(corpus, found, "compress"),
        _speed(corpus, found, "decompress"),
        _bars(corpus, mine),
        _weights(corpus, found),
        *_along(corpus, mine),
    ]
    return [figure for figure in figures if any(series.points for series in figure.series)]


def _speed(corpus: str, found: Sequence[Total], way: str) -> Figure:
    points = [(total.raw_bytes / seconds / 1e3, total) for total in found if (seconds := getattr(total, f"{way}_s"))]
    front = pareto([(total.bits_per_byte or 0.0, speed) for speed, total in points])
    series = tuple(
        Series(total.codec, ((speed, total.bits_per_byte or 0.0),), index in front)
        for index, (speed, total) in enumerate(points)
    )
    line = tuple(series[index].points[0] for index in sorted(front, key=lambda index: points[index][0]))
    return Figure(
        f"{corpus}-{way}",
        f"Size against speed, {'compressing' if way == 'compress' else 'decompressing'}",
        "KB/s",
        "bits per byte",
        series,
        log_x=True,
        front=line,
    )


def _bars(corpus: str, rows: Sequence[Row]) -> Figure:
    files = files_of(rows, corpus)
    series = []
    for codec in codecs_of(rows):
        rates = {row.file: row.bits_per_byte for row in rows if row.codec == codec}
        points = ((float(i), rate) for i, file in enumerate(files) if (rate := rates.get(file)) is not None)
        series.append(Series(codec, tuple(points)))
    return Figure(
        f"{corpus}-files",
        "Bits per byte of each file",
        "file",
        "bits per byte",
        tuple(series),
        "bars",
        ticks=tuple(files),
    )


def _weights(corpus: str, found: Sequence[Total]) -> Figure:
    """Rates with the weights counted, over the size of the weights: whether a larger model pays on this corpus."""
    series = tuple(
        Series(total.codec, ((total.weights_bytes / 1e6, total.adjusted_bpb or 0.0),), bool(total.weights_bytes))
        for total in found
    )
    if not any(total.weights_bytes for total in found):
        series = ()
    title = "Bits per byte with the weights counted, against their size"
    rates = [y for each in series for _, y in each.points if y]
    wide = bool(rates) and max(rates) > _WIDE * min(rates)
    return Figure(f"{corpus}-weights", title, "weights, MB", "bits per byte, adjusted", series, log_y=wide)


def _along(corpus: str, rows: Sequence[Row]) -> list[Figure]:
    """Return a figure per file: the rate of all bytes so far, along the file."""
    figures = []
    for file in files_of(rows, corpus):
        series = tuple(
            Series(row.codec, tuple((raw / 1e3, 8 * packed / raw) for raw, packed in row.along))
            for row in rows
            if row.file == file and row.along
        )
        title = f"Along {file}: bits per byte of its first KB, each an archive of its own"
        figures.append(
            Figure(f"{corpus}-along-{file}", title, "KB of the file", "bits per byte so far", series, "line")
        )
    return figures
