"""Figures as SVG for a page, drawn without a plotting library. All text in them is escaped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from zipllm.report.figures import Figure, Series
from zipllm.report.html_page import escape

COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b", "#7f3b08", "#542788", "#1b7837",
)  # fmt: skip
"""Okabe and Ito's, which color-blind people tell apart, and a few more."""

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, _WIDTH - 24, 14, _HEIGHT - 48
"""Edges of the plot inside the drawing, in pixels."""

_LEGEND_WIDTH = 130
_SLANTED_HEIGHT = 70
"""Extra height for slanted names under bars."""

_LABEL_HEIGHT, _LABEL_WIDTH = 13.0, 120
_MARGIN = 0.05
"""Share of the range of the values added at both ends of an axis that does not start at zero."""


@dataclass(frozen=True)
class _Axis:
    """From a value to a pixel."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, here = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.begin + (here - low) / (high - low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        if self.log:
            return [10.0**power for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        step = _nice((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [step * index for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def figure_svg(figure: Figure) -> Markup:
    """Return a figure of any kind but ``heat`` as SVG."""
    y = _axis([y for s in figure.series for _, y in s.points], _BOTTOM, _TOP, figure.log_y, figure.from_zero)
    parts = [_grid_line(_LEFT, y.at(value), _RIGHT, y.at(value)) for value in y.ticks()]
    parts += [_text(_LEFT - 8, y.at(value) + 4, _number(value), "end") for value in y.ticks()]
    parts.append(_text(14, (_TOP + _BOTTOM) / 2, figure.y, turn=-90))
    width, height = _WIDTH, _HEIGHT
    if figure.kind == "bars":
        slanted = len(figure.ticks) > 7
        parts += _bars(figure, y, slanted)
        height += _SLANTED_HEIGHT * slanted
    else:
        x = _axis([x for s in figure.series for x, _ in s.points], _LEFT, _RIGHT, figure.log_x, figure.from_zero)
        parts += [_grid_line(x.at(value), _TOP, x.at(value), _BOTTOM) for value in x.ticks()]
        parts += [_text(x.at(value), _BOTTOM + 18, _number(value)) for value in x.ticks()]
        parts.append(_text((_LEFT + _RIGHT) / 2, _HEIGHT - 8, figure.x))
        parts += _lines(figure, x, y) if figure.kind == "line" else _points(figure, x, y)
    if figure.kind in ("bars", "line"):
        parts += _legend(figure.series)
        width += _LEGEND_WIDTH
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, escape(figure.title))
    return head + Markup().join(parts) + Markup("</svg>")


def _axis(values: Sequence[float], begin: float, end: float, log: bool, from_zero: bool) -> _Axis:
    low, high = min(values), max(values)
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9)
        return _Axis(10.0**first, 10.0 ** max(last, first + 1), begin, end, log=True)
    if from_zero:
        return _Axis(0.0, _above(high), begin, end)
    margin = _MARGIN * (high - low) or 1.0
    return _Axis(low - margin, high + margin, begin, end)


def _points(figure: Figure, x: _Axis, y: _Axis) -> list[Markup]:
    parts = []
    if len(figure.front) > 1:
        parts.append(Markup('<polyline class="front" points="{}"/>').format(_corners(figure.front, x, y)))
    spots = [(x.at(px), y.at(py), series) for series in figure.series for px, py in series.points]
    heights = _spread_labels([(px, py) for px, py, _ in spots])
    for index, ((px, py, series), height) in enumerate(zip(spots, heights, strict=True)):
        kind = "marked" if series.marked else "plain"
        value, rate = series.points[0]
        title = escape(f"{series.name}: {_number(value)} {figure.x}, {rate:.3f}")
        dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5" fill="{}"><title>{}</title></circle>')
        parts.append(dot.format(kind, px, py, COLORS[index % len(COLORS)], title))
        anchor, offset = ("end", -9) if px > _WIDTH - 150 else ("start", 9)
        parts.append(_text(px + offset, height + 4, series.name, anchor, kind))
    return parts


def _spread_labels(spots: Sequence[tuple[float, float]]) -> list[float]:
    """Return heights at which the labels of neighboring points do not overlap.

    Labels in the upper half move down, starting with the topmost; those in the lower half move up, starting with the
    lowest. So no label leaves the drawing.
    """
    heights = [py for _, py in spots]
    middle = (_TOP + _BOTTOM) / 2
    upper = sorted((i for i in range(len(spots)) if spots[i][1] <= middle), key=lambda i: spots[i][1])
    lower = sorted((i for i in range(len(spots)) if spots[i][1] > middle), key=lambda i: -spots[i][1])
    for half, way in ((upper, 1), (lower, -1)):
        for place, index in enumerate(half):
            near = [way * heights[i] for i in half[:place] if abs(spots[i][0] - spots[index][0]) < _LABEL_WIDTH]
            if near:
                heights[index] = way * max(way * heights[index], max(near) + _LABEL_HEIGHT)
    return heights


def _lines(figure: Figure, x: _Axis, y: _Axis) -> list[Markup]:
    line = Markup('<polyline class="line" stroke="{}"{} points="{}"/>')
    dashes = Markup(' stroke-dasharray="6 4"')
    return [
        line.format(COLORS[index % len(COLORS)], dashes if series.marked else "", _corners(series.points, x, y))
        for index, series in enumerate(figure.series)
    ]


def _bars(figure: Figure, y: _Axis, slanted: bool) -> list[Markup]:
    group = (_RIGHT - _LEFT) / len(figure.ticks)
    wide = 0.82 * group / len(figure.series)
    parts = []
    for index, series in enumerate(figure.series):
        for place, rate in series.points:
            left, top = _LEFT + (place + 0.09) * group + index * wide, y.at(rate)
            title = f"{figure.ticks[int(place)]}, {series.name}: {rate:.3f}"
            parts.append(_bar(left, top, max(0.5, wide - 1), y.at(0) - top, index, title))
    for place, tick in enumerate(figure.ticks):
        name = tick if len(tick) <= 16 else tick[:15] + "…"
        anchor, turn = ("end", -40) if slanted else ("middle", 0)
        parts.append(_text(_LEFT + (place + 0.5) * group, _BOTTOM + 16, name, anchor, turn=turn))
    return parts


def _legend(series: Sequence[Series]) -> list[Markup]:
    """Put names beside their colors, in a column to the right of the plot."""
    parts = []
    for index, each in enumerate(series):
        y = _TOP + 10 + 17 * index
        parts += [_bar(_WIDTH + 4, y - 9, 11, 11, index, each.name), _text(_WIDTH + 20, y, each.name, "start")]
    return parts


def _bar(x: float, y: float, width: float, height: float, color: int, title: str) -> Markup:
    bar = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>')
    return bar.format(x, y, width, height, COLORS[color % len(COLORS)], escape(title))


def _grid_line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="grid" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(x1, y1, x2, y2)


def _corners(points: Sequence[tuple[float, float]], x: _Axis, y: _Axis) -> str:
    return " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in points)


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "", turn: int = 0) -> Markup:
    turned = Markup(' transform="rotate({} {:.1f} {:.1f})"').format(turn, x, y) if turn else ""
    named = Markup(' class="{}"').format(kind) if kind else ""
    label = Markup('<text{} x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>')
    return label.format(named, x, y, anchor, turned, escape(text))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _nice(step: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step - 1e-12)


def _above(value: float) -> float:
    """Return a round number a little above, so that nothing touches the frame."""
    step = _nice(value / 5) if value > 0 else 1.0
    return step * (math.floor(value / step + 0.1) + 1)
