"""One palette for pages, figures and the terminal: cost from cheap to dear, and the colors of codecs.

Cheap is the paper's color; cream, orange and red follow, which differ in lightness for every kind of color vision.
"""

from functools import cache

MOST_BITS = 8
"""End of the scale of costs: bits of a byte without compression."""

LIGHT = (
    "#ffffff", "#fff8ed", "#fff1da", "#ffeac8", "#ffe3b6", "#ffdca3", "#ffd591", "#fcc880", "#fabb6f",
    "#f8ae5e", "#f5a24c", "#f2953b", "#f0882a", "#e06a22", "#d04c1a", "#c03014", "#b0140e",
)  # fmt: skip
DARK = (
    "#161618", "#211b17", "#2d2015", "#382514", "#432a13", "#4f2f11", "#5a3410", "#6a3c12", "#794513",
    "#894d15", "#995517", "#a85e18", "#b8661a", "#ca7b2b", "#dc903c", "#eda44d", "#ffb95e",
)  # fmt: skip
"""One color for every half of a bit, on white and on black."""

OURS = "#d55e00"
"""zipllm, in every figure."""
OTHERS = "#7a7a80"
"""Other codecs where their names stand beside them."""
COLORS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b", "#542788", "#1b7837", "#7f3b08")
"""Okabe and Ito's, which color-blind people tell apart, and a few more; for what is not zipllm."""


def heat(bits_per_byte: float) -> int:
    """Return the step of the color scale, 0 to 16."""
    return min(2 * MOST_BITS, round(2 * bits_per_byte))


def on(color: str) -> str:
    """Return black or white, whichever is easier to read on a color."""
    red, green, blue = _channels(color)
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else "#fff"


def heat_css() -> str:
    """Return the classes ``c0`` to ``c16``, which set ``--heat`` and ``--on``."""
    light, dark = (
        " ".join(f".c{step} {{ --heat: {color}; --on: {on(color)} }}" for step, color in enumerate(colors))
        for colors in (LIGHT, DARK)
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


@cache
def ansi(bits_per_byte: float) -> str:
    """Return the escape sequence for a cost: the nearest of the 6 x 6 x 6 colors that terminals have."""
    color = LIGHT[heat(bits_per_byte)]
    red, green, blue = (min(range(6), key=lambda i: abs(_LEVELS[i] - value)) for value in _channels(color))
    return f"\x1b[38;5;{16 if on(color) == '#000' else 231};48;5;{16 + 36 * red + 6 * green + blue}m"


_LEVELS = (0, 95, 135, 175, 215, 255)


def _channels(color: str) -> tuple[int, ...]:
    return tuple(int(color[at : at + 2], 16) for at in (1, 3, 5))
