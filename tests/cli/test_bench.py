"""``zipllm bench`` and ``zipllm data``: exit codes, tables, files, resume and comparison."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench.rows import programs
from tests.cli.processes import Outcome
from zipllm.cli.bars import rows_bar

Inside = Callable[..., Outcome]
FAST = ("--codecs", "gzip,bzip2")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ZIPLLM_DATA_DIR", raising=False)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_are_the_default(inside: Inside, folder: Path) -> None:
    done = inside("bench", *FAST, "--json", "rows.jsonl")
    assert (done.code, done.err) == (0, "")
    rows = rows_of(folder / "rows.jsonl")
    assert len(rows) == 10
    assert all(row["verified"] for row in rows)
    text = done.out.decode()
    for expected in ("english.txt", "chinese.txt", "gzip:9", "samples: all 5 files", "bits per byte"):
        assert expected in text


def test_all_outputs(inside: Inside, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    names = ("--json", "r.jsonl", "--csv", "r.csv", "--markdown", "r.md", "--html", "r.html", "--figures", "figures")
    assert inside("bench", "a", "--along", *FAST, *names).code == 0
    assert len(list(csv.DictReader(io.StringIO((folder / "r.csv").read_text())))) == 2
    assert "| a | 5,000 |" in (folder / "r.md").read_text()
    assert (folder / "r.html").read_text().startswith("<!doctype html>")
    assert len(list((folder / "figures").glob("*.png"))) == 5
    row = rows_of(folder / "r.jsonl")[0]
    assert row["raw_bytes"] == 5000
    assert row["environment"]["command"].startswith("zipllm bench")


def test_names_of_any_bytes_in_every_output(inside: Inside, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    name = os.fsdecode(b"caf\xe9|<b>\n.txt")
    (folder / name).write_bytes(b"text " * 99)
    names = ("--json", "r.jsonl", "--csv", "r.csv", "--markdown", "r.md", "--html", "r.html", "--figures", "figures")
    done = inside("bench", name, "--codecs", "gzip", *names)
    assert (done.code, done.err) == (0, "")
    assert r"caf\xe9|<b>\n.txt" in done.out.decode()
    assert rows_of(folder / "r.jsonl")[0]["file"] == r"caf\xe9|<b>\n.txt"
    for file in ("r.csv", "r.md", "r.html"):
        assert "caf" in (folder / file).read_text(encoding="utf-8")


def test_files_of_the_same_name_go_by_their_paths(inside: Inside, folder: Path) -> None:
    for place in ("p", "q", "p/d", "q/d"):
        (folder / place).mkdir()
        (folder / place / "x").write_text(place)
    assert inside("bench", "p/x", "q/x", "a", "p/d", "q/d", "--codecs", "copy", "--json", "r.jsonl").code == 0
    assert [row["file"] for row in rows_of(folder / "r.jsonl")] == ["p/x", "q/x", "a", "p/d/x", "q/d/x"]
    twice = inside("bench", "p/x", "q/x", "./p/x", "--codecs", "copy")
    assert (twice.code, twice.err) == (2, "zipllm: files/p/x is named twice\n")


def test_results_are_written_as_they_come(inside: Inside, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a report fails, everything else is there: the other files and the tables."""
    from zipllm.cli.bench import output

    def fails(rows: object) -> str:
        raise OSError(28, "No space left on device")

    seen: list[int] = []
    append = output._append

    def watched(path: Path, row: Any) -> None:
        append(path, row)
        seen.append(len((folder / "r.csv").read_text().splitlines()) if (folder / "r.csv").exists() else 0)

    monkeypatch.setattr(output, "_append", watched)
    monkeypatch.setattr("zipllm.bench.tables.to_markdown", fails)
    names = ("--json", "r.jsonl", "--csv", "r.csv", "--markdown", "r.md", "--html", "r.html")
    done = inside("bench", "a", "--codecs", "gzip,bzip2,xz", *names)
    assert (done.code, done.err) == (1, "zipllm: No space left on device\n")
    assert seen == [0, 2, 3], "a row of CSV each, below the heads, before the next is measured"
    assert "gzip:9" in done.out.decode()
    assert len(rows_of(folder / "r.jsonl")) == 3
    assert (folder / "r.html").exists()


@pytest.mark.parametrize(
    ("flag", "hint"), [("--json", "-f overwrites it, --resume goes on"), ("--html", "-f overwrites it")]
)
def test_existing_results_are_kept(inside: Inside, folder: Path, flag: str, hint: str) -> None:
    done = inside("bench", "a", "--codecs", "copy", flag, "b.zllm")
    assert (done.code, done.err) == (1, f"zipllm: b.zllm: already exists, not overwritten ({hint})\n")


def test_results_are_as_private_as_the_files(inside: Inside, folder: Path) -> None:
    """One private file among the inputs makes every result private."""
    names = ("--json", "r.jsonl", "--csv", "r.csv", "--markdown", "r.md", "--html", "r.html")
    (folder / "more").mkdir()
    (folder / "more" / "b").write_bytes(b"secret")
    before = os.umask(0o022)
    try:
        for mode in (0o644, 0o600):
            (folder / "more" / "b").chmod(mode)
            assert inside("bench", "-f", "a", "more", "--codecs", "gzip", *names).code == 0
            assert {path.stat().st_mode & 0o777 for path in folder.glob("r.*")} == {mode}
    finally:
        os.umask(before)


def test_faults_have_exit_code_1_and_are_marked(inside: Inside, folder: Path) -> None:
    done = inside("bench", "a", "--programs", programs(folder), "--codecs", "gzip,liar,missing", "--json", "r.jsonl")
    assert done.code == 1
    text = done.out.decode()
    assert "MISMATCH" in text
    assert "MISSING" in text
    assert text.count("not complete") == 2
    assert "zipllm: liar on a: mismatch: decoded to other bytes, the first at 0\n" in done.err
    assert [row["compressed_bytes"] is None for row in rows_of(folder / "r.jsonl")] == [False, True, True]


def test_resume_keeps_finished_rows(inside: Inside, folder: Path) -> None:
    external = programs(folder)
    first = inside("bench", "a", "--programs", external, "--codecs", "bzip2,liar", "--json", "r.jsonl")
    assert first.code == 1
    kept = rows_of(folder / "r.jsonl")[0]
    with (folder / "r.jsonl").open("a") as sink:
        sink.write('{"torn')
    again = inside("bench", "a", "--codecs", "gzip,bzip2", "--json", "r.jsonl", "--resume")
    assert (again.code, again.err) == (0, "zipllm: 1 finished rows kept, 1 left\n")
    rows = rows_of(folder / "r.jsonl")
    assert [row["codec"] for row in rows] == ["gzip:9", "bzip2:9"], "in the order asked for"
    assert rows[1] == kept, "not measured again"
    heads = next(line for line in again.out.decode().splitlines() if line.lstrip().startswith("file ")).split()
    assert heads == ["file", "bytes", "gzip:9", "bzip2:9"], "in the order asked for"


def test_changed_bytes_are_measured_again(inside: Inside, folder: Path) -> None:
    assert inside("bench", "a", "--codecs", "gzip", "--json", "r.jsonl").code == 0
    (folder / "a").write_bytes(b"other")
    again = inside("bench", "a", "--codecs", "gzip", "--json", "r.jsonl", "--resume")
    assert (again.code, again.err) == (0, "")
    assert [row["raw_bytes"] for row in rows_of(folder / "r.jsonl")] == [5]


def test_compare(inside: Inside, folder: Path) -> None:
    assert inside("bench", "a", "--codecs", "gzip", "--json", "old.jsonl").code == 0
    row = rows_of(folder / "old.jsonl")[0]
    row["compressed_bytes"] *= 2
    (folder / "old.jsonl").write_text(json.dumps(row) + "\n")
    done = inside("bench", "a", "--codecs", "gzip", "--compare", "old.jsonl")
    assert "changes against the earlier run" in done.out.decode()
    assert "-50.00 %" in done.out.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing",), 2, "neither a file nor a corpus (known: samples, "),
        (("cantebury",), 2, "neither a file nor a corpus; did you mean 'canterbury'?"),
        (("a", "--codecs", "gzp"), 2, "no codec called 'gzp'; did you mean 'gzip'?"),
        (("a", "--codecs", "rar"), 2, "no codec called 'rar'"),
        (("a", "--resume"), 2, "--resume needs the --json FILE"),
        (("a", "--json", "b.zllm"), 1, "already exists"),
        (("a", "--csv", "no/such/folder/x"), 1, "folder does not exist"),
        (("a", "--compare", "gone"), 1, "gone"),
        (("a", "--suite", "s.toml"), 2, "a suite names its own"),
        (("canterbury", *FAST), 1, "zipllm data fetch canterbury"),
        (("a", "--models", "no-such-model", "--codecs", "zipllm"), 1, "no-such-model"),
        (("a", "--repeat", "0"), 2, "--repeat"),
    ],
)
def test_wrong_use(inside: Inside, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = inside("bench", *arguments)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_damaged_corpus_file_is_refused_before_anything_runs(inside: Inside, folder: Path) -> None:
    place = folder / "artificial"
    place.mkdir()
    (place / "a.txt").write_bytes(b"b")
    done = inside("bench", "artificial/a.txt", "--data-dir", ".", *FAST, "--json", "r.jsonl")
    assert done.code == 3
    assert "is not a.txt" in done.err
    assert not (folder / "r.jsonl").exists()
    (place / "a.txt").write_bytes(b"a")
    assert inside("bench", "artificial/a.txt", "--data-dir", ".", *FAST).code == 0


def test_suite(inside: Inside, folder: Path) -> None:
    (folder / "s.toml").write_text('inputs = ["a[0:1K]"]\ncodecs = "gzip"\nrepeat = 2\n')
    assert inside("bench", "--suite", "s.toml", "--json", "r.jsonl").code == 0
    (row,) = rows_of(folder / "r.jsonl")
    assert (row["file"], row["raw_bytes"], row["compress"]["repeats"]) == ("a[0:1K]", 1000, 2)


def test_names_are_data_not_markup(inside: Inside, folder: Path) -> None:
    name = "[bold]x[red]\x1b[31m"
    (folder / name).write_bytes(b"x" * 100)
    done = inside("bench", name, "--codecs", "gzip")
    assert done.code == 0
    assert b"\x1b" not in done.out
    assert b"[bold]x[red]\\x1b[31m" in done.out.replace(b"\n", b"")


def test_ctrl_c_leaves_finished_rows_and_no_processes(folder: Path) -> None:
    external = programs(folder)
    external.write_text(external.read_text().replace("timeout = 2", "timeout = 600"))
    arguments = ["a", "--codecs", "gzip,hanging", "--programs", str(external), "--json", "r.jsonl"]
    command = [sys.executable, "-m", "zipllm", "bench", *arguments]
    (folder / "tmp").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (folder / "r.jsonl").exists():
            time.sleep(0.05)
        while time.monotonic() < end and (folder / "r.jsonl").read_text().count("\n") < 1:
            time.sleep(0.05)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert [row["codec"] for row in rows_of(folder / "r.jsonl")] == ["gzip:9"]
    time.sleep(0.3)
    running = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    assert list((folder / "tmp").iterdir()) == [], "nothing temporary stays"
    assert [line for line in running.splitlines() if str(folder / "hanging") in line and line[0] != "Z"] == []


def test_progress_bar_counts_rows() -> None:
    from rich.console import Console

    from tests.bench.rows import bench_input
    from zipllm.bench.protocol import parse_spec

    sink = io.StringIO()
    console = Console(file=sink, force_terminal=True, width=100)
    with rows_bar(2, console) as (begin, advance):
        import tempfile

        with tempfile.TemporaryDirectory() as place:
            begin(parse_spec("xz:9e"), bench_input(Path(place), file="[b]name"), "compress")
        advance()
    assert "compress [b]name with xz:9e" in sink.getvalue()
    assert "1/2" in sink.getvalue()


# --------------------------------------------------------------------------- data
def test_data_list(inside: Inside) -> None:
    done = inside("data", "list")
    assert done.code == 0
    assert b"canterbury" in done.out
    records = [json.loads(line) for line in inside("data", "list", "--json").out.splitlines()]
    assert records[0]["name"] == "samples"
    assert records[0]["copies"] == 5
    assert all(record["licence"] and record["citation"] for record in records)


def test_data_verify(inside: Inside, folder: Path) -> None:
    assert inside("data", "verify").code == 0, "what is not here is no error unless it is named"
    missing = inside("data", "verify", "artificial")
    assert missing.code == 1
    assert "artificial/a.txt: no local copy" in missing.err
    (folder / "artificial").mkdir()
    (folder / "artificial/a.txt").write_bytes(b"z")
    wrong = inside("data", "verify", "artificial", "--data-dir", ".")
    assert wrong.code == 3
    assert "its sha256 is" in wrong.err


def test_data_fetch(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.error

    def offline(url: str) -> object:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("zipllm.data.fetch.open_https", offline)
    assert inside("data", "fetch", "samples").code == 0, "they are here"
    done = inside("data", "fetch", "canterbury")
    assert (done.code, "no network" in done.err) == (1, True)
    assert inside("data", "fetch", "silly").code == 2
