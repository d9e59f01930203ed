"""Figures as SVG for a page, drawn without a plotting library. All text in them is escaped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from zipllm.report.figures import Figure, Series, is_ours
from zipllm.report.html_page import escape
from zipllm.report.labels import Box, place_labels, spread
from zipllm.report.palette import COLORS, OTHERS, OURS

_WIDTH, _HEIGHT = 900, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, _WIDTH - 24, 14, _HEIGHT - 48
"""Edges of the plot inside the drawing, in pixels."""
_LINE, _LETTER = 15.0, 7.0
"""Height and width of text, roughly."""
_WIDEST_NAME = 230
_DOTTED = 12
"""Lines with at most this many points get a dot on each."""
_ROW = 22
"""Height of a bar that lies down, and of a row of dots."""
_SLANTED_HEIGHT = 70
"""Extra height for slanted names under bars."""
_MARGIN = 0.06
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
            decades = math.log10(self.high / self.low)
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            factors = (1, 2, 5) if decades < 2.5 else (1,)
            return [f * 10.0**p for p in powers for f in factors if self.low <= f * 10.0**p <= self.high]
        step = _nice((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [step * index for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def figure_svg(figure: Figure) -> Markup:
    """Return a figure of any kind but ``heat`` as SVG."""
    if is_lying(figure):
        return _lying(figure)
    names = figure.series if figure.kind == "line" else ()
    right = _RIGHT - _name_width(tuple(series.name for series in names)) * bool(names)
    y = _axis([y for s in figure.series for _, y in s.points], _BOTTOM, _TOP, figure.log_y, figure.from_zero)
    parts = [_grid_line(_LEFT, y.at(value), right, y.at(value)) for value in y.ticks()]
    parts += [_text(_LEFT - 8, y.at(value) + 4, _number(value), "end") for value in y.ticks()]
    parts.append(_text(14, (_TOP + _BOTTOM) / 2, figure.y, turn=-90))
    height: float = _HEIGHT
    if figure.kind == "bars":
        slanted = len(figure.ticks) > 7
        height += _SLANTED_HEIGHT * slanted
        parts += [*_bars(figure, y, slanted), *_legend(figure.series)]
        return _drawing(figure, parts, height, _WIDTH + _name_width([series.name for series in figure.series]))
    x = _axis([x for s in figure.series for x, _ in s.points], _LEFT, right, figure.log_x, figure.from_zero)
    parts += [_grid_line(x.at(value), _TOP, x.at(value), _BOTTOM) for value in x.ticks()]
    parts += [_text(x.at(value), _BOTTOM + 18, _number(value)) for value in x.ticks()]
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, figure.x))
    parts += _lines(figure, x, y) if figure.kind == "line" else _points(figure, x, y)
    return _drawing(figure, parts, height)


def is_lying(figure: Figure) -> bool:
    """Whether the values of a figure run from left to right, in a row for each tick."""
    return figure.kind == "dots" or (figure.kind == "bars" and len(figure.series) == 1)


def series_color(series: Series, index: int) -> str:
    """Return the color of a line, or of the bars of a series beside others."""
    return OURS if series.ours else COLORS[index % len(COLORS)]


def tick_color(figure: Figure, tick: str) -> str:
    """Return the color of a single bar."""
    return OURS if is_ours(tick) else OTHERS if any(map(is_ours, figure.ticks)) else COLORS[0]


def _drawing(figure: Figure, parts: Sequence[Markup], height: float, width: float = _WIDTH) -> Markup:
    head = Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">')
    return head.format(width, height, escape(figure.title)) + Markup().join(parts) + Markup("</svg>")


def _axis(values: Sequence[float], begin: float, end: float, log: bool, from_zero: bool) -> _Axis:
    low, high = min(values), max(values)
    if log:
        stretch = max((high / low) ** _MARGIN, 1.15)
        return _Axis(low / stretch, high * stretch, begin, end, log=True)
    if from_zero:
        return _Axis(0.0, _above(high), begin, end)
    margin = _MARGIN * (high - low) or 1.0
    return _Axis(low - margin, high + margin, begin, end)


def _lying(figure: Figure) -> Markup:
    """Draw a row for each tick: a bar with its number, or a dot for each series."""
    left, bars = 12.0 + _name_width(figure.ticks), figure.kind == "bars"
    values = [value for series in figure.series for _, value in series.points]
    x = _axis(values, left, _RIGHT - (90 if bars else 0), False, True)
    bottom = _TOP + _ROW * len(figure.ticks)
    parts = [] if bars else [_grid_line(x.at(v), _TOP, x.at(v), bottom) for v in x.ticks()]
    for place, tick in enumerate(figure.ticks):
        parts.append(_text(left - 8, _TOP + (place + 0.5) * _ROW + 4, _short(tick), "end"))
    for series in sorted(figure.series, key=lambda series: series.ours):
        for row, value in series.points:
            tick, y = figure.ticks[int(row)], _TOP + (row + 0.5) * _ROW
            if bars:
                title = f"{tick}: {_number(value)} {figure.y}"
                parts.append(_bar(left, y - 8, max(1.0, x.at(value) - left), 16, tick_color(figure, tick), title))
                parts.append(_text(x.at(value) + 6, y + 4, _number(value), "start"))
            else:
                color, title = OURS if series.ours else OTHERS, f"{tick}, {series.name}: {value:.3f}"
                parts.append(_dot(x.at(value), y, color, title, "marked" if series.ours else "plain"))
    if not bars:
        parts += [_text(x.at(value), bottom + 18, _number(value)) for value in x.ticks()]
        parts += [_dot(left + 6, bottom + 40, OURS, "", "marked"), _text(left + 16, bottom + 44, "zipllm", "start")]
        parts += [_dot(left + 86, bottom + 40, OTHERS, ""), _text(left + 96, bottom + 44, "other codecs", "start")]
    parts.append(_text((left + _RIGHT) / 2, bottom + (18 if bars else 44), figure.y))
    return _drawing(figure, parts, bottom + (26 if bars else 54))


def _points(figure: Figure, x: _Axis, y: _Axis) -> list[Markup]:
    parts = []
    if len(figure.front) > 1:
        parts.append(Markup('<polyline class="front" points="{}"/>').format(_corners(figure.front, x, y)))
    order = sorted(figure.series, key=lambda series: not series.marked)  # they choose the places of their names first
    spots = [(x.at(px), y.at(py)) for series in order for px, py in series.points]
    widths = [_LETTER * len(series.name) * (1.1 if series.marked else 1.0) for series in order]
    places = place_labels(spots, widths, _LINE, Box(_LEFT + 2, 2, _WIDTH - 2, _BOTTOM))
    for series, (px, py), (left, middle) in zip(order, spots, places, strict=True):
        kind = "marked" if series.marked else "plain"
        value, rate = series.points[0]
        title = f"{series.name}: {_number(value)} {figure.x}, {rate:.3f}"
        if abs(middle - py) > _LINE:
            parts.append(_grid_line(px, py, left, middle))
        parts.append(_dot(px, py, OURS if series.ours else OTHERS, title, kind))
        parts.append(_text(left, middle + 4, series.name, "start", kind))
    return parts


def _lines(figure: Figure, x: _Axis, y: _Axis) -> list[Markup]:
    line = Markup('<polyline class="line" stroke="{}"{} points="{}"/>')
    dashes = Markup(' stroke-dasharray="6 4"')
    drawn = [series for series in figure.series if series.points]
    ends = [(x.at(px), y.at(py)) for px, py in (max(series.points) for series in drawn)]
    heights = spread([py for _, py in ends], _LINE, _BOTTOM)
    parts = []
    for index, (series, (px, py), height) in enumerate(zip(drawn, ends, heights, strict=True)):
        color = series_color(series, index)
        parts.append(line.format(color, dashes if series.marked else "", _corners(series.points, x, y)))
        if len(series.points) <= _DOTTED and not series.marked:
            parts += [_dot(x.at(a), y.at(b), color, f"{series.name}: {_number(a)}, {b:.3f}") for a, b in series.points]
        parts.append(_grid_line(px + 4, py, x.end + 10, height))
        label = Markup('<text class="name" x="{:.1f}" y="{:.1f}" fill="{}">{}</text>')
        parts.append(label.format(x.end + 13, height + 4, color, escape(_short(series.name))))
    return parts


def _bars(figure: Figure, y: _Axis, slanted: bool) -> list[Markup]:
    group = (_RIGHT - _LEFT) / len(figure.ticks)
    wide = 0.82 * group / len(figure.series)
    parts = []
    for index, series in enumerate(figure.series):
        for place, rate in series.points:
            left, top = _LEFT + (place + 0.09) * group + index * wide, y.at(rate)
            title = f"{figure.ticks[int(place)]}, {series.name}: {rate:.3f}"
            color = series_color(series, index)
            parts.append(_bar(left, top, max(0.5, wide - 1), y.at(0) - top, color, title))
    for place, tick in enumerate(figure.ticks):
        anchor, turn = ("end", -40) if slanted else ("middle", 0)
        parts.append(_text(_LEFT + (place + 0.5) * group, _BOTTOM + 16, _short(tick, 16), anchor, turn=turn))
    return parts


def _legend(series: Sequence[Series]) -> list[Markup]:
    """Put names beside their colors, in a column to the right of the plot."""
    parts = []
    for index, each in enumerate(series):
        y = _TOP + 10 + 17 * index
        parts += [_bar(_WIDTH + 4, y - 9, 11, 11, series_color(each, index), each.name)]
        parts += [_text(_WIDTH + 20, y, _short(each.name), "start")]
    return parts


def _bar(x: float, y: float, width: float, height: float, color: str, title: str) -> Markup:
    bar = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"><title>{}</title></rect>')
    return bar.format(x, y, width, height, color, escape(title))


def _dot(x: float, y: float, color: str, title: str, kind: str = "plain") -> Markup:
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5" fill="{}"><title>{}</title></circle>')
    return dot.format(kind, x, y, color, escape(title))


def _grid_line(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="grid" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(x1, y1, x2, y2)


def _corners(points: Sequence[tuple[float, float]], x: _Axis, y: _Axis) -> str:
    return " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in points)


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "", turn: int = 0) -> Markup:
    turned = Markup(' transform="rotate({} {:.1f} {:.1f})"').format(turn, x, y) if turn else ""
    named = Markup(' class="{}"').format(kind) if kind else ""
    label = Markup('<text{} x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>')
    return label.format(named, x, y, anchor, turned, escape(text))


def _name_width(names: Sequence[str]) -> float:
    return min(_WIDEST_NAME, 24 + _LETTER * max(map(len, names), default=0))


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


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
