"""Bits along a file -> an SVG strip chart whose bars are links to the places they stand for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zipllm.measure.explanation import Explanation
from zipllm.report.units import Unit
from zipllm.report.words import MOST_BITS, heat

LEFT, WIDE = 18, 974
"""Where the bars begin, and how wide all of them are together, in units of the drawing."""

_TOP, _HIGH, _WIDTH, _HEIGHT = 7, 64, 1000, 85
_MOST_BARS = 240


def strip_svg(explanation: Explanation, units: Sequence[Unit]) -> str:
    """Return the chart: mean bits per byte of as many equal pieces as it has bars, on a scale of 0 to 8."""
    rates = bits_by_byte(explanation)
    edges = np.linspace(0, rates.size, min(_MOST_BARS, rates.size) + 1).astype(np.int64)
    starts = np.array([unit.begin for unit in units])
    parts = [_grid(), _lanes(explanation, rates.size)]
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        rate = float(rates[begin:end].mean())
        unit = int(np.searchsorted(starts, begin, side="right")) - 1
        x, width = LEFT + WIDE * begin / rates.size, WIDE * (end - begin) / rates.size
        high = _HIGH * min(rate, MOST_BITS) / MOST_BITS
        parts.append(
            f'<a href="#u{unit}" tabindex="-1"><title>byte {begin:,}: {rate:.2f} bits per byte</title>'
            f'<rect class="bin c{heat(rate)}" x="{x:.2f}" y="{_TOP + _HIGH - high:.2f}" width="{width:.2f}" '
            f'height="{high:.2f}"></rect><rect class="hit" x="{x:.2f}" y="{_TOP}" width="{width:.2f}" '
            f'height="{_HIGH}"></rect></a>'
        )
    mark = f'<line id="here" x1="0" x2="0" y1="{_TOP}" y2="{_TOP + _HIGH}" visibility="hidden"></line>'
    label = "Bits per byte along the file"
    return (
        f'<svg id="strip" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}{mark}</svg>'
    )


def bits_by_byte(explanation: Explanation) -> NDArray[np.float64]:
    """Return the bits of each byte, float64 ``[bytes]``: a token's bits are spread evenly over its own."""
    return np.repeat(explanation.costs.bits / explanation.lengths, explanation.lengths)


def _grid() -> str:
    lines = []
    for bits in (0, 2, 4, 6, 8):
        y = _TOP + _HIGH * (1 - bits / MOST_BITS)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDE}" y1="{y:.1f}" y2="{y:.1f}"></line>')
        lines.append(f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{bits}</text>')
    return "".join(lines)


def _lanes(explanation: Explanation, size: int) -> str:
    """Mark where each lane but the first begins, and name both ends of the file."""
    lanes, lengths = explanation.costs.lanes, np.array(explanation.lengths)
    begins = (np.cumsum(lengths) - lengths)[1:][lanes[1:] != lanes[:-1]]
    parts = [f'<text x="{LEFT}" y="{_HEIGHT - 3}">byte 0</text>']
    parts.append(f'<text x="{LEFT + WIDE}" y="{_HEIGHT - 3}" text-anchor="end">{size:,}</text>')
    for begin in begins.tolist():
        x = f"{LEFT + WIDE * begin / size:.1f}"
        parts.append(f'<line class="lane" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_TOP + _HIGH + 8}"></line>')
    return "".join(parts)
