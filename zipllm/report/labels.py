"""Places for the names of points, so that they cover neither each other nor a point, and inside the drawing."""

from collections.abc import Sequence
from typing import NamedTuple

_STEPS = 5
"""Lines by which a label may move away from its point."""


class Box(NamedTuple):
    """A rectangle; ``top`` is the smaller y."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two overlap."""
        sideways = self.left < other.right and other.left < self.right
        return sideways and self.top < other.bottom and other.top < self.bottom

    def inside(self, other: "Box") -> bool:
        """Whether nothing of this box is outside of the other."""
        within = other.left <= self.left and self.right <= other.right
        return within and other.top <= self.top and self.bottom <= other.bottom


def place_labels(
    spots: Sequence[tuple[float, float]], widths: Sequence[float], line: float, bounds: Box
) -> list[tuple[float, float]]:
    """Return the left edge and the middle height of the label of each point.

    Args:
        spots: (x, y) of the points, y down, in the unit of the drawing; earlier ones have the first choice.
        widths: of the labels.
        line: height of a label.
        bounds: where labels may stand.
    """
    half = line / 2
    taken = [Box(x - half, y - half, x + half, y + half) for x, y in spots]
    places = []
    for (x, y), width in zip(spots, widths, strict=True):
        beside = ((x + half + 2, 0.0), (x - half - 2 - width, 0.0), (x - width / 2, line), (x - width / 2, -line))
        moved = ((left, step * way * line) for step in range(1, _STEPS) for left, _ in beside[:2] for way in (1, -1))
        found = [(left, y + down) for left, down in (*beside, *moved)]
        boxes = [Box(left, middle - half, left + width, middle + half) for left, middle in found]
        free = (i for i, box in enumerate(boxes) if box.inside(bounds) and not any(map(box.meets, taken)))
        best = next(free, 0)
        taken.append(boxes[best])
        places.append(found[best])
    return places


def spread(heights: Sequence[float], line: float, bottom: float) -> list[float]:
    """Return heights near the wanted ones that are a line apart and end above ``bottom``."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = [0.0] * len(heights)
    low = float("-inf")
    for index in order:
        low = placed[index] = max(heights[index], low + line)
    high = bottom
    for index in reversed(order):
        high = placed[index] = min(placed[index], high)
        high -= line
    return placed
