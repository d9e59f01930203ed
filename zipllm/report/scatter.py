"""Figures as SVG without any library: what the HTML page shows. Text in them is escaped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from zipllm.report.escape import escape
from zipllm.report.figures import Figure

COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b", "#7f3b08", "#542788", "#1b7837",
)  # fmt: skip
"""Okabe and Ito's, which color-blind people tell apart, and a few more."""

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 24, 14, 48
_LABEL_HEIGHT = 13.0
_NEAR = 120
"""Pixels beside a point in which its label lies."""
_MARGIN = 0.05
"""Of the range of the values, on both sides, where an axis does not begin at zero."""


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


def figure_svg(figure: Figure) -> str:
    """Return a figure as SVG to be put into a page."""
    points = [point for series in figure.series for point in series.points]
    if figure.kind == "bars":
        return _bars(figure)
    x = _x_axis(figure, [px for px, _ in points])
    y = _y_axis(figure, [py for _, py in points])
    body = _lines(figure, x, y) if figure.kind == "line" else _points(figure, x, y)
    return _svg(figure, _frame(figure, x, y) + body)


def _y_axis(figure: Figure, values: Sequence[float]) -> _Axis:
    if not figure.log_y:
        return _Axis(*_range(figure, values), _HEIGHT - _BOTTOM, _TOP)
    low, high = _decades(min(values), max(values))
    return _Axis(low, high, _HEIGHT - _BOTTOM, _TOP, log=True)


def _range(figure: Figure, values: Sequence[float]) -> tuple[float, float]:
    """Both ends of an axis that is not logarithmic."""
    low, high = min(values), max(values)
    if figure.from_zero:
        return 0.0, _above(high)
    margin = _MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _decades(low: float, high: float) -> tuple[float, float]:
    """Powers of ten around two values."""
    begin, end = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9)
    return 10.0**begin, 10.0 ** max(end, begin + 1)


def _x_axis(figure: Figure, values: Sequence[float]) -> _Axis:
    low, high = min(values), max(values)
    if figure.log_x:
        return _Axis(*_decades(low, high), _LEFT, _WIDTH - _RIGHT, log=True)
    return _Axis(*_range(figure, values), _LEFT, _WIDTH - _RIGHT)


def _frame(figure: Figure, x: _Axis, y: _Axis) -> str:
    parts = [_grid_line(_LEFT, y.at(value), _WIDTH - _RIGHT, y.at(value)) for value in y.ticks()]
    parts += [_text(_LEFT - 8, y.at(value) + 4, _number(value), "end") for value in y.ticks()]
    if figure.kind != "bars":
        parts += [_grid_line(x.at(value), _TOP, x.at(value), _HEIGHT - _BOTTOM) for value in x.ticks()]
        parts += [_text(x.at(value), _HEIGHT - _BOTTOM + 18, _number(value)) for value in x.ticks()]
        parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, figure.x))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">'
        f"{escape(figure.y)}</text>"
    )
    return "".join(parts)


def _points(figure: Figure, x: _Axis, y: _Axis) -> str:
    parts = []
    if len(figure.front) > 1:
        corners = " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in figure.front)
        parts.append(f'<polyline class="front" points="{corners}"/>')
    spots = [(x.at(px), y.at(py), series) for series in figure.series for px, py in series.points]
    heights = _apart([(px, py) for px, py, _ in spots])
    for index, ((px, py, series), label) in enumerate(zip(spots, heights, strict=True)):
        color = COLORS[index % len(COLORS)]
        kind = "marked" if series.marked else "plain"
        left = px > _WIDTH - 150
        parts.append(
            f'<circle class="{kind}" cx="{px:.1f}" cy="{py:.1f}" r="5" fill="{color}"><title>{escape(series.name)}: '
            f"{_number(series.points[0][0])} {escape(figure.x)}, {series.points[0][1]:.3f}</title></circle>"
        )
        parts.append(_text(px + (-9 if left else 9), label + 4, series.name, "end" if left else "start", kind))
    return "".join(parts)


def _apart(spots: Sequence[tuple[float, float]]) -> list[float]:
    """Return heights for the labels of the points at which those near each other do not overlap.

    Labels move down from the topmost on, in the lower half of the drawing up from the lowest on, so none leaves it.
    """
    heights = [py for _, py in spots]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    upper = sorted((i for i in range(len(spots)) if spots[i][1] <= middle), key=lambda i: spots[i][1])
    lower = sorted((i for i in range(len(spots)) if spots[i][1] > middle), key=lambda i: -spots[i][1])
    for half, way in ((upper, 1), (lower, -1)):
        for place, index in enumerate(half):
            near = [way * heights[other] for other in half[:place] if abs(spots[other][0] - spots[index][0]) < _NEAR]
            if near:
                heights[index] = way * max(way * heights[index], max(near) + _LABEL_HEIGHT)
    return heights


def _lines(figure: Figure, x: _Axis, y: _Axis) -> str:
    parts = []
    for index, series in enumerate(figure.series):
        corners = " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in series.points)
        dashes = ' stroke-dasharray="6 4"' if series.marked else ""
        parts.append(f'<polyline class="line" stroke="{COLORS[index % len(COLORS)]}"{dashes} points="{corners}"/>')
    return "".join(parts) + _legend([series.name for series in figure.series])


def _bars(figure: Figure) -> str:
    y = _Axis(0.0, _above(max(py for s in figure.series for _, py in s.points)), _HEIGHT - _BOTTOM, _TOP)
    room = (_WIDTH - _LEFT - _RIGHT) / len(figure.ticks)
    wide = 0.82 * room / len(figure.series)
    parts = [_frame(figure, _Axis(0, 1, 0, 1), y)]
    for index, series in enumerate(figure.series):
        for place, rate in series.points:
            left = _LEFT + place * room + 0.09 * room + index * wide
            name = f"{figure.ticks[int(place)]}, {series.name}: {rate:.3f}"
            parts.append(
                f'<rect x="{left:.1f}" y="{y.at(rate):.1f}" width="{max(0.5, wide - 1):.1f}" '
                f'height="{y.at(0) - y.at(rate):.1f}" fill="{COLORS[index % len(COLORS)]}">'
                f"<title>{escape(name)}</title></rect>"
            )
    slanted = room < 90
    for place, tick in enumerate(figure.ticks):
        parts.append(_tick(_LEFT + (place + 0.5) * room, tick, slanted))
    return _svg(figure, "".join(parts) + _legend([series.name for series in figure.series]), 70 if slanted else 0)


def _tick(x: float, name: str, slanted: bool) -> str:
    short = name if len(name) <= 16 else name[:15] + "…"
    y = _HEIGHT - _BOTTOM + 16
    turn = f' transform="rotate(-40 {x:.1f} {y})"' if slanted else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{"end" if slanted else "middle"}"{turn}>{escape(short)}</text>'


def _legend(names: Sequence[str]) -> str:
    """Names beside their colors, one under the other at the right edge outside of the drawing."""
    parts = []
    for index, name in enumerate(names):
        y = _TOP + 10 + 17 * index
        parts.append(
            f'<rect x="{_WIDTH + 4}" y="{y - 9}" width="11" height="11" fill="{COLORS[index % len(COLORS)]}"/>'
        )
        parts.append(_text(_WIDTH + 20, y, name, "start"))
    return "".join(parts)


def _svg(figure: Figure, body: str, lower: int = 0) -> str:
    outside = 130 if figure.kind in ("bars", "line") else 0
    return (
        f'<svg viewBox="0 0 {_WIDTH + outside} {_HEIGHT + lower}" role="img" aria-label="{escape(figure.title)}">'
        f"{body}</svg>"
    )


def _grid_line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _number(value: float) -> str:
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step - 1e-12)


def _above(value: float) -> float:
    """A round number a little above, so that nothing touches the frame."""
    step = _nice(value / 5) if value > 0 else 1.0
    return step * (math.floor(value / step + 0.1) + 1)
