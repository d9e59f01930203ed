"""The benchmark's HTML page and figures: self-contained, escaped, with all numbers."""

import csv
import re
from pathlib import Path

import pytest

from tests.bench.rows import failed, row
from tests.report.pages import Page
from zipllm.bench.result import Row
from zipllm.report.bench_page import bench_page
from zipllm.report.figures import bench_figures
from zipllm.report.html_page import escape

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
    assert text.count("<svg ") == 6
    assert text.count("<details>") == text.count("<svg "), "every figure has its numbers beside it"
    assert 'class="front"' in text


def test_failures_are_said_first_and_have_no_numbers() -> None:
    text = bench_page([*rows(), failed("lz4", file="a.txt")])
    assert "lz4 on a.txt: crash. ended by SIGKILL" in text
    assert "Without totals, because files are missing: lz4" in text


def test_pareto_front_of_the_figure() -> None:
    figure = bench_figures(rows(), "corpus")[0]
    assert [series.name for series in figure.series if series.marked] == ["xz:9e", "gzip:9", "zipllm"]
    assert list(figure.front) == sorted(figure.front)
    assert len(figure.front) == 3


def test_the_data_agree_with_the_rows() -> None:
    files = next(figure for figure in bench_figures(rows(), "corpus") if figure.kind == "bars")
    heads, cells = files.table()
    assert heads == ["file", "xz:9e", "gzip:9", "slow", "zipllm"]
    assert cells[0] == ["a.txt", "4.0000", "4.4800", "4.7200", "2.0000"]
    weights = next(figure for figure in bench_figures(rows(), "corpus") if figure.name.endswith("weights"))
    assert {s.name: s.points[0] for s in weights.series}["zipllm"] == pytest.approx((0.009, 8 * 9750 / 3000))


def test_no_rows_and_empty_files_make_a_page() -> None:
    assert "zipllm benchmark" in bench_page([])
    assert "<table>" in bench_page([row("xz", 32, raw=0, bits_per_byte=None)])
    assert "<table>" in bench_page([row("xz", 500, seconds=0.0)])


def test_figures_as_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from zipllm.report.plots import save_figures

    saved = save_figures(rows(), tmp_path / "figures")
    assert len(saved) == 6
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
