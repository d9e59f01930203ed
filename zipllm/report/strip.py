"""Bits along a file -> the bars of a strip chart, each linked to its place in the text."""

from collections.abc import Sequence

import numpy as np

from zipllm.measure.explanation import Explanation
from zipllm.report.units import Unit
from zipllm.report.words import MOST_BITS, heat

LEFT, WIDE = 18, 974
"""Left edge and width of all bars together, in units of the drawing."""

_BASE, _HIGH = 71, 64
"""Lower edge of the bars, and the height of ``MOST_BITS``."""

_MOST_BARS = 240


def strip(explanation: Explanation, units: Sequence[Unit]) -> dict[str, object]:
    """Return the data of ``strip.html``: bars of the mean bits per byte of equal pieces, and where lanes start."""
    lengths = np.array(explanation.lengths)
    rates = np.repeat(explanation.costs.bits / lengths, lengths)  # a token's bits, spread evenly over its bytes
    edges = np.linspace(0, rates.size, min(_MOST_BARS, rates.size) + 1).astype(np.int64)
    first_units = np.searchsorted([unit.begin for unit in units], edges[:-1], side="right") - 1
    scale = WIDE / rates.size
    bars = []
    for begin, end, unit in zip(edges[:-1].tolist(), edges[1:].tolist(), first_units.tolist(), strict=True):
        rate = float(rates[begin:end].mean())
        height = _HIGH * min(rate, MOST_BITS) / MOST_BITS
        places = {"x": LEFT + begin * scale, "y": _BASE - height, "width": (end - begin) * scale, "height": height}
        bar = {"unit": unit, "begin": f"{begin:,}", "rate": f"{rate:.2f}", "step": heat(rate)}
        bars.append(bar | {name: f"{place:.2f}" for name, place in places.items()})
    lanes = explanation.costs.lanes
    lane_starts = (np.cumsum(lengths) - lengths)[1:][lanes[1:] != lanes[:-1]]
    return {
        "bars": bars,
        "lanes": [f"{LEFT + begin * scale:.1f}" for begin in lane_starts.tolist()],
        "size": f"{rates.size:,}",
    }
