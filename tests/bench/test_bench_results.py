"""Rows, their JSON, totals, comparisons and tables."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from tests.bench.rows import DATA, bench_input, failed, row
from zipllm.bench.codecs import parse_codecs
from zipllm.bench.compare import compare
from zipllm.bench.contamination import contamination, learned_names
from zipllm.bench.inputs import BenchInput
from zipllm.bench.result import Row, failures, read_rows, row_from_dict, row_to_json
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.bench.tables import to_csv, to_markdown
from zipllm.bench.totals import pareto, totals
from zipllm.errors import CorruptData, FileError
from zipllm.model_file.card import Card, DataSource
from zipllm.model_file.provenance import with_digests

REQUIRED = {
    *("corpus", "file", "sha256", "codec", "level", "model_id", "raw_bytes", "compressed_bytes", "bits_per_byte"),
    *("ratio", "adjusted_bytes", "compress_s", "decompress_s", "peak_rss", "verified", "environment"),
}


# --------------------------------------------------------------------------- rows
def test_schema_has_what_was_promised_and_documents_every_field() -> None:
    value = json.loads(row_to_json(row("xz", 500)))
    assert set(value) >= REQUIRED
    for field in fields(Row):
        assert f"\n        {field.name}: " in (Row.__doc__ or ""), field.name


def test_rows_survive_json() -> None:
    for each in (row("xz", 500, along=((10, 5), (20, 9))), failed("lz4"), row("gzip", 20, raw=0, bits_per_byte=None)):
        assert row_from_dict(json.loads(row_to_json(each))) == each


def test_a_row_cannot_have_numbers_without_verification() -> None:
    with pytest.raises(AssertionError):
        replace(row("xz", 500), verified=False)
    with pytest.raises(AssertionError):
        replace(failed("xz"), compressed_bytes=3)
    with pytest.raises(ValueError, match="verified"):
        row_from_dict({**asdict(row("xz", 500)), "verified": False})


def test_reading_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    whole = row_to_json(row("xz", 500)) + "\n"
    path.write_text(whole + whole[:40])
    assert read_rows(path) == [row("xz", 500)], "a line torn by an interruption is passed over"
    path.write_text(whole[:40] + "\n" + whole)
    with pytest.raises(CorruptData, match="line 1"):
        read_rows(path)
    path.write_text('{"schema": 99}\n')
    with pytest.raises(CorruptData, match="schema"):
        read_rows(path)
    with pytest.raises(FileError):
        read_rows(tmp_path / "nothing")


# --------------------------------------------------------------------------- totals
ROWS = [
    row("xz", 500, file="a"),
    row("xz", 100, file="b", raw=100),
    row("model", 250, file="a", weights_bytes=10_000, program_bytes=7),
    row("model", 90, file="b", raw=100, weights_bytes=10_000, program_bytes=7),
    row("bad", 1, file="a"),
    failed("bad", file="b", raw_bytes=100),
]


def test_totals_are_sums_and_means() -> None:
    xz, model = totals(ROWS)
    assert (xz.codec, xz.raw_bytes, xz.compressed_bytes) == ("xz", 1100, 600)
    assert xz.bits_per_byte == 8 * 600 / 1100
    assert xz.geometric_bpb == pytest.approx(math.sqrt(4.0 * 8.0))
    assert model.adjusted_bytes == 340 + 10_000, "the weights count once, not once per file"
    assert model.total_bytes == 340 + 10_000 + 7
    assert (xz.compress_s, xz.decompress_s) == (1.0, 0.5)


def test_break_even() -> None:
    xz, model = totals(ROWS)
    assert (xz.break_even_bytes, model.rival) == (0, "xz")
    size = model.break_even_bytes
    assert size == math.ceil(10_000 * 1100 / (600 - 340))
    assert 10_000 + size * 340 / 1100 <= size * 600 / 1100
    worse = [row("xz", 500), row("model", 600, weights_bytes=1)]
    assert totals(worse)[1].break_even_bytes is None


def test_incomplete_codecs_have_no_total() -> None:
    assert [total.codec for total in totals(ROWS)] == ["xz", "model"]
    assert [r.codec for r in failures(ROWS)] == ["bad"]


def test_totals_are_the_sizes_of_real_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives' sizes on disk, while they exist."""
    seen: list[int] = []
    real = os.path.getsize

    def watched(path: str) -> int:
        size = real(path)
        seen.append(size)
        return size

    monkeypatch.setattr("zipllm.bench.runner.os.path.getsize", watched)
    inputs = []
    for index in range(3):
        folder = tmp_path / str(index)
        folder.mkdir()
        inputs.append(bench_input(folder, DATA * (index + 1), f"file{index}"))
    rows = list(run_benchmark(inputs, parse_codecs("bzip2", None), RunOptions()))
    (total,) = totals(rows)
    assert len(seen) == 3
    assert total.compressed_bytes == sum(seen)


def test_empty_files_have_no_rate() -> None:
    (total,) = totals([row("xz", 32, raw=0, bits_per_byte=None)])
    assert (total.bits_per_byte, total.geometric_bpb, total.adjusted_bpb) == (None, None, None)


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(2.0, 10.0), (1.0, 1.0)], [0, 1]),
        ([(2.0, 10.0), (3.0, 1.0)], [0]),
        ([(1.0, 5.0), (1.0, 5.0)], [0]),
        ([(3.0, 3.0), (2.0, 2.0), (2.5, 1.0), (1.0, 1.0)], [0, 1, 3]),
        ([], []),
    ],
)
def test_pareto_front(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto(points) == front


# --------------------------------------------------------------------------- comparing
def test_compare() -> None:
    old = [row("xz", 500), row("gzip", 600), row("lz4", 700), row("gone", 1)]
    new = [row("xz", 505, seconds=1.0), row("gzip", 540), failed("lz4"), row("new", 3)]
    xz, gzip, lz4 = compare(old, new)
    assert [xz.size, xz.compress] == pytest.approx([0.01, 1.0])
    assert xz.worse
    assert gzip.size == pytest.approx(-0.1)
    assert not gzip.worse
    assert (lz4.size, lz4.worse) == (None, True)
    assert compare(old, [row("xz", 505, sha256="11" * 32)]) == [], "other bytes are another file"


# --------------------------------------------------------------------------- contamination
def _item(corpus: str, file: str) -> BenchInput:
    return BenchInput(corpus, file, Path("x"), 1, "aa" * 32, "bb" * 32)


@pytest.mark.parametrize(
    ("corpus", "file", "digests", "names", "marked"),
    [
        ("canterbury", "alice29.txt", (), ("books_en.txt",), False),
        ("canterbury", "alice29.txt", (), ("alice29.txt",), True),
        ("canterbury", "alice29.txt", (), ("Canterbury",), True),
        ("canterbury", "alice29.txt", ("aa" * 32,), (), True),
        ("enwik8", "enwik8[95M:100M]", (), ("enwik8.txt",), False),
        ("enwik8", "enwik8[89M:100M]", (), ("enwik8.txt",), True),
        ("enwik8", "enwik8[:1M]", (), ("enwik8.txt",), True),
        ("enwik8", "enwik8", ("bb" * 32,), (), True),
        ("enwik8", "enwik8[95M:100M]", ("bb" * 32,), (), False),
        ("enwik8", "enwik8[95M:100M]", ("aa" * 32,), (), True),
        ("samples", "code.txt", (), ("samples",), False),
        ("data", "new.log", (), ("data",), False),
    ],
)
def test_contamination(corpus: str, file: str, digests: tuple[str, ...], names: tuple[str, ...], marked: bool) -> None:
    assert bool(contamination(_item(corpus, file), digests, names)) == marked


def test_digests_of_all_files_make_names_of_paths_needless() -> None:
    sources = tuple(DataSource(name, "") for name in ("books", "enwik8"))
    assert learned_names(Card("toy", sources=sources)) == ("books", "enwik8")
    known = with_digests(Card("toy", sources=sources), {"books": ("aa" * 32,), "enwik8": ("bb" * 32,)})
    assert learned_names(known) == ("enwik8",), "only a part of a corpus may have been used"
    many = with_digests(Card("toy", sources=sources), {"books": tuple(f"{n:064x}" for n in range(1000))})
    assert learned_names(many) == ("books", "enwik8")


def test_the_shipped_models_card_is_understood() -> None:
    from zipllm.model_file.store import ModelStore

    names = tuple(source.name for source in ModelStore.default().find().summary.metadata.card.sources)
    assert contamination(_item("enwik8", "enwik8"), (), names)
    assert not contamination(_item("enwik8", "enwik8[95M:100M]"), (), names)


# --------------------------------------------------------------------------- tables
def test_markdown_marks_the_best_and_what_failed() -> None:
    table = to_markdown(ROWS)
    assert "| a | 1,000 | 4.000 | 2.000 | **0.008** |" in table
    assert "| b | 100 | 8.000 | **7.200** | crash |" in table
    assert "| model | 340 | **2.473** |" in table
    assert "No result: bad on b: crash (ended by SIGKILL)" in table


def test_names_cannot_become_markup() -> None:
    text = to_markdown([row("xz", 5, file="a|b\n**c** <img src=x>")])
    assert r"a\|b \*\*c\*\* \<img src=x\>" in text


def test_marks() -> None:
    marked = [row("model", 5, weights_bytes=3, contaminated="the card says so")]
    assert "0.040**†" in to_markdown(marked)
    assert "no fair test" in to_markdown(marked)


def test_csv() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv([row("=xz()", 500), failed("lz4")]))))
    assert lines[0]["codec"] == "'=xz()", "a spreadsheet must not run it"
    assert (lines[0]["compressed_bytes"], lines[0]["compress_repeats"]) == ("500", "1")
    assert (lines[1]["status"], lines[1]["compressed_bytes"], lines[1]["compress_s"]) == ("crash", "", "")


# --------------------------------------------------------------------------- the README's table
def test_the_readme_shows_the_committed_rows(tmp_path: Path) -> None:
    """One command writes the table; a changed row makes it stale."""
    root = Path(__file__).parents[2]
    script = root / "benchmarks/readme_table.py"
    check = [sys.executable, str(script), "--check"]
    assert subprocess.run(check, cwd=root, check=False).returncode == 0
    lines = (root / "benchmarks/results/readme/rows.jsonl").read_text().splitlines()
    changed = json.loads(lines[0])
    changed["compressed_bytes"] *= 2
    (tmp_path / "rows.jsonl").write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n")
    assert subprocess.run([*check, "--rows", str(tmp_path / "rows.jsonl")], cwd=root, check=False).returncode == 1


def test_committed_rows_are_verified_or_marked_and_tell_no_paths() -> None:
    results = Path(__file__).parents[2] / "benchmarks/results"
    for path in [
        path
        for name in ("readme", "large-silesia", "ablation", "train-your-own")
        for path in (results / name).glob("*.jsonl")
    ]:
        rows = read_rows(path)
        assert rows
        assert "/" not in "".join(row_.environment["command"] for row_ in rows).replace("benchmarks/", "").replace(
            "suites/", ""
        ).replace("results/", "").replace("19/dict", "")
        # pyppmd 1.3.1 cannot decode its own archive of samba at order 12.
        assert {(row_.file, row_.codec) for row_ in failures(rows)} <= {("samba", "ppmd:12")}
