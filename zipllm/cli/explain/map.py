"""What every token cost, as text for a terminal: in four colors, or with four signs under each line.

The colors are those of the page. The signs are ASCII, for pipes and for ``NO_COLOR``.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len

from zipllm.cli.tables import shows_colors
from zipllm.measure.explanation import Explanation
from zipllm.report.palette import ansi
from zipllm.report.units import sign, units

_CLASSES = ((1.0, ".", "under 1"), (2.0, "-", "1 to 2"), (4.0, "+", "2 to 4"), (float("inf"), "#", "4 and more"))
"""Bits per byte below which a class ends, its sign, and its name in the legend."""
_COLORS = ("", ansi(2), ansi(4), ansi(8))
_RESET = "\x1b[0m"
_PIPED_WIDTH = 100
_LEAST_WIDTH = 20

_Cell = tuple[str, int]
"""What is shown for a character, and its class."""


def terminal_map(explanation: Explanation, *, legend: bool) -> str:
    """Return the map, as wide as the terminal, its legend above it."""
    colored = shows_colors(os.environ)
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else _PIPED_WIDTH
    lines = _lines(_cells(explanation), max(width, _LEAST_WIDTH))
    shown = "".join(map(_colored if colored else _signed, lines))
    return f"{_legend(colored)}\n\n{shown}\n" if legend else shown


def cost_class(bits_per_byte: float) -> int:
    """Return 0 for cheap to 3 for dear."""
    return next(number for number, (end, *_) in enumerate(_CLASSES) if bits_per_byte < end)


def _cells(explanation: Explanation) -> Iterator[_Cell]:
    bits = explanation.costs.bits
    for unit in units(explanation.text, explanation.lengths):
        spent = float(bits[unit.first : unit.first + unit.tokens].sum())
        kind = cost_class(spent / (unit.end - unit.begin))
        for character in unit.text:
            yield _show(character), kind
            if character == "\n":
                yield "\n", kind


def _show(character: str) -> str:
    """Return the sign of a character, in ASCII where standard output can show nothing else."""
    text = sign(character)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return character.encode("unicode_escape").decode("ascii")
    return text


def _lines(cells: Iterator[_Cell], width: int) -> Iterator[list[_Cell]]:
    """Break at line feeds, and where a line is full."""
    line, used = list[_Cell](), 0
    for text, kind in cells:
        wide = 0 if text == "\n" else cell_len(text)
        if text == "\n" or used + wide > width:
            yield line
            line, used = [], 0
        if text != "\n":
            line.append((text, kind))
            used += wide
    if line:
        yield line


def _colored(line: list[_Cell]) -> str:
    runs = ((kind, "".join(text for text, _ in cells)) for kind, cells in groupby(line, key=itemgetter(1)))
    return "".join(f"{_COLORS[kind]}{text}{_RESET if kind else ''}" for kind, text in runs) + "\n"


def _signed(line: list[_Cell]) -> str:
    text = "".join(text for text, _ in line)
    signs = "".join(_CLASSES[kind][1] * cell_len(text) for text, kind in line)
    return f"{text}\n{signs}\n"


def _legend(colored: bool) -> str:
    parts = (
        f"{color} {words} {_RESET if color else ''}" if colored else f"{mark} {words}"
        for (_, mark, words), color in zip(_CLASSES, _COLORS, strict=True)
    )
    return "bits per byte: " + "  ".join(parts)
