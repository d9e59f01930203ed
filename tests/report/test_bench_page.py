"""The benchmark's HTML page and figures: self-contained, escaped, with all numbers."""

import csv
import itertools
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.bench.rows import failed, row
from tests.report.pages import Page
from zipllm.bench.columns import amount, conclusion
from zipllm.bench.result import Row
from zipllm.bench.totals import totals
from zipllm.report.bench_page import bench_page
from zipllm.report.figures import bench_figures
from zipllm.report.html_page import escape
from zipllm.report.labels import Box, place_labels, spread
from zipllm.report.palette import COLORS, OTHERS, OURS
from zipllm.report.svg import figure_svg

HOSTILE = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>\x1b[31m\u202e'
ALONG = ((100, 60), (200, 110))


def rows() -> list[Row]:
    found = []
    for file, raw in (("a.txt", 1000), ("b.txt", 2000)):
        found += [
            row("xz:9e", raw // 2, raw, file=file, seconds=0.01, along=ALONG),
            row("gzip:9", raw // 2 + 60, raw, file=file, seconds=0.001, along=ALONG),
            row("slow", raw // 2 + 90, raw, file=file, seconds=3.0),
            row("zipllm", raw // 4, raw, file=file, seconds=9.0, weights_bytes=9000, model="small", model_id="ab" * 32),
        ]
    return found


def test_the_page_asks_for_nothing() -> None:
    text = bench_page(rows())
    page = Page(text)
    assert not page.names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert not any({"src", "href", "xlink:href", "action"} & set(attributes) for _, attributes in page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?://", text)
    assert page.policy.startswith("default-src 'none'")
    assert "script" not in page.policy


def test_nothing_becomes_markup() -> None:
    evil = [
        row(HOSTILE, 500, file=HOSTILE, corpus=HOSTILE, along=ALONG, weights_bytes=5, contaminated=HOSTILE),
        failed(HOSTILE + "2", message=HOSTILE, corpus=HOSTILE, file=HOSTILE),
    ]
    text = bench_page(evil)
    assert not {"script", "img"} & Page(text).names
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_escape() -> None:
    assert escape("<a b='c' d=\"e\">&") == "&lt;a b=&#39;c&#39; d=&#34;e&#34;&gt;&amp;"
    assert escape("a\nb\x00\u202e") == "a\\x0ab\\x00\\u202e"


def test_numbers_and_figures_are_there() -> None:
    text = bench_page(rows())
    for expected in ("4.000", "2.000", "All 2 files together", "a processor", "Size against speed", "Along a.txt"):
        assert expected in text
    assert text.count("<svg ") == 7
    assert text.count("<details>") == text.count("<svg ") - 1, "every figure but the bars has its numbers beside it"
    assert 'class="front"' in text


def test_failures_are_said_first_and_have_no_numbers() -> None:
    text = bench_page([*rows(), failed("lz4", file="a.txt")])
    assert "lz4 on a.txt: crash. ended by SIGKILL" in text
    assert "Without totals, because files are missing: lz4" in text


def test_pareto_front_of_the_figure() -> None:
    figure = next(figure for figure in bench_figures(rows(), "corpus") if figure.front)
    assert [series.name for series in figure.series if series.marked] == ["xz:9e", "gzip:9", "zipllm"]
    assert list(figure.front) == sorted(figure.front)
    assert len(figure.front) == 3


def test_the_data_agree_with_the_rows() -> None:
    sizes, *_ = bench_figures(rows(), "corpus")
    assert sizes.ticks == ("zipllm", "xz:9e", "gzip:9", "slow")
    assert [size for _, size in sizes.series[0].points] == [750, 1500, 1620, 1680]
    files = next(figure for figure in bench_figures(rows(), "corpus") if figure.kind == "dots")
    heads, cells = files.table()
    assert heads == ["file", "xz:9e", "gzip:9", "slow", "zipllm"]
    assert cells[0] == ["a.txt", "4.0000", "4.4800", "4.7200", "2.0000"]
    weights = next(figure for figure in bench_figures(rows(), "corpus") if figure.name.endswith("weights"))
    rival, model = weights.series
    assert (rival.name, model.name) == ("xz:9e", "zipllm")
    size, rate = model.points[0]
    assert rate == pytest.approx(2.0 + 8 * 9000 / (1e6 * size))
    (even,) = (total.break_even_bytes for total in totals(rows()) if total.codec == "zipllm")
    assert even is not None
    assert size * 1e6 < even < model.points[-1][0] * 1e6
    assert model.points[-1][1] < rival.points[-1][1]


def test_the_page_begins_with_what_came_out() -> None:
    text = bench_page(rows())
    said = "zipllm is the smallest: 750 of 3,000 bytes (25.0 %), 50.0 % less than xz:9e, the best without weights; "
    assert said + "break-even is at 36 KB of such data." in text
    assert text.index(said) < text.index("<svg ") < text.index("<table>")


def test_a_codec_that_knows_the_data_is_not_called_best() -> None:
    cheat = row("zipllm:cheat", 1, file="a.txt", contaminated="it has seen this")
    found = conclusion([row("xz", 500, file="a.txt"), row("gzip", 600, file="a.txt"), cheat], "corpus")
    assert found == "xz is the smallest: 500 of 1,000 bytes (50.0 %), 16.7 % less than gzip."
    assert "No codec has a fair result" in conclusion([cheat], "corpus")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (999.6, "1 KB"), (85_320, "85.3 KB"), (1.38e9, "1.38 GB")]
)
def test_amounts_count_in_thousands(size: float, text: str) -> None:
    assert amount(size) == text


def test_tiny_and_empty_files_are_not_drawn() -> None:
    small = [row("xz", 90, raw=99, file="tiny", along=ALONG), row("xz", 32, raw=0, bits_per_byte=None, file="empty")]
    figures = bench_figures([*rows(), *small, *(replace(each, codec="gzip:9") for each in small)], "corpus")
    (files,) = (figure for figure in figures if figure.kind == "dots")
    assert files.ticks == ("a.txt", "b.txt")
    assert files.title.endswith("of 1,000 bytes and more")
    assert not any("tiny" in figure.title for figure in figures)


def test_zipllm_has_one_color() -> None:
    found = [row(f"zipllm:{level}", 500 - level, weights_bytes=level) for level in range(4)] + [row("xz", 600)]
    for figure in bench_figures(found, "corpus"):
        colors = re.findall(r'fill="(#[0-9a-f]{6})"|stroke="(#[0-9a-f]{6})"', figure_svg(figure))
        assert {first or second for first, second in colors} <= {OURS, OTHERS, COLORS[0]}


@pytest.mark.parametrize("seed", range(20))
def test_labels_cover_neither_each_other_nor_points(seed: int) -> None:
    random = Random(seed)
    spots = [(random.uniform(60, 800), random.uniform(20, 300)) for _ in range(12)]
    widths, bounds = [7.0 * random.randrange(3, 14) for _ in spots], Box(50, 0, 900, 320)
    places = place_labels(spots, widths, 15.0, bounds)
    boxes = [Box(x, y - 7.5, x + w, y + 7.5) for (x, y), w in zip(places, widths, strict=True)]
    assert all(box.inside(bounds) for box in boxes)
    assert not any(one.meets(two) for one, two in itertools.combinations(boxes, 2))
    assert not any(box.meets(Box(x - 4, y - 4, x + 4, y + 4)) for box in boxes for x, y in spots)


def test_names_of_lines_are_a_line_apart() -> None:
    heights = sorted(spread([10.0, 11.0, 12.0, 300.0, 301.0], 15.0, 300.0))
    assert all(low + 15.0 <= high for low, high in itertools.pairwise(heights))
    assert heights[-1] == 300.0


def test_the_environment_is_in_words() -> None:
    facts = {"memory": 66_571_993_088, "cores": 2, "cpu": "a chip", "versions": {"torch": "2", "numpy": "3"}}
    text = bench_page([row("xz", 500, environment=facts)])
    for expected in ("66.6 GB", "a chip, 2 cores", "torch 2, numpy 3"):
        assert f"<dd>{expected}</dd>" in text


def test_no_rows_and_empty_files_make_a_page() -> None:
    assert "zipllm benchmark" in bench_page([])
    assert "<table>" in bench_page([row("xz", 32, raw=0, bits_per_byte=None)])
    assert "<table>" in bench_page([row("xz", 500, seconds=0.0)])


def test_figures_as_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from zipllm.report.plots import save_figures

    saved = save_figures(rows(), tmp_path / "figures")
    assert len(saved) == 7
    for png in saved:
        assert png.parent == tmp_path / "figures"
        assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert png.stat().st_size > 5000
        assert png.with_suffix(".svg").read_text(encoding="utf-8").startswith("<?xml")
        table = list(csv.reader(png.with_suffix(".csv").read_text(encoding="utf-8").splitlines()))
        assert len(table) > 2


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from zipllm.report.plots import save_figures

    save_figures([row("$x$", 500, file="../../$y_{", corpus="../evil", along=ALONG)], tmp_path / "figures")
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "figures"}


def test_missing_matplotlib_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from zipllm.errors import MissingPackage
    from zipllm.report.plots import save_figures

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackage, match=r"zipllm\[plots\]"):
        save_figures(rows(), tmp_path)
