"""Figures of studies: axes that do not start at zero, dashed lines, colored tables."""

import re
from pathlib import Path

import pytest

from zipllm.errors import MissingPackage
from zipllm.report.figures import Figure, Series
from zipllm.report.plots import draw_figure, require_matplotlib
from zipllm.report.svg import figure_svg

LINE = Figure(
    "f",
    "t",
    "x",
    "y",
    (Series("a", ((1.0, 2.9), (3.0, 3.1))), Series("b", ((1.0, 3.0), (3.0, 3.0)), marked=True)),
    "line",
)
HEAT = Figure(
    "h",
    "t",
    "on",
    "from",
    (Series("a", ((0.0, 1.0), (1.0, 2.0))), Series("b", ((0.0, 3.0),))),
    "heat",
    ticks=("a", "b"),
)


def heights(svg: str) -> list[float]:
    corners = re.findall(r'class="line"[^>]*points="([^"]*)"', svg)
    return [float(corner.split(",")[1]) for line in corners for corner in line.split()]


def spread(svg: str) -> float:
    return max(heights(svg)) - min(heights(svg))


def test_an_axis_that_does_not_begin_at_zero_shows_small_differences() -> None:
    from dataclasses import replace

    assert spread(figure_svg(replace(LINE, from_zero=False))) > 5 * spread(figure_svg(LINE))


def test_equal_values_are_no_division_by_zero() -> None:
    flat = Figure("f", "t", "x", "y", (Series("a", ((1.0, 2.0), (1.0, 2.0))),), "line", from_zero=False)
    assert len(set(heights(figure_svg(flat)))) == 1


def test_marked_lines_are_dashed() -> None:
    assert figure_svg(LINE).count("stroke-dasharray") == 1


def test_a_colored_table_has_a_cell_for_every_pair() -> None:
    assert HEAT.table() == (["from", "a", "b"], [["a", "1.0000", "2.0000"], ["b", "3.0000", ""]])


@pytest.mark.parametrize("figure", [LINE, HEAT], ids=["line", "heat"])
def test_equal_figures_give_equal_files(tmp_path: Path, figure: Figure) -> None:
    try:
        require_matplotlib()
    except MissingPackage:
        pytest.skip("matplotlib is not installed")
    draw_figure(figure, tmp_path / "a")
    draw_figure(figure, tmp_path / "b")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
