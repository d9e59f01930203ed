"""Every study at toy size: results, pages, conclusions and resumption."""

import copy
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from zipllm.bench.codecs import open_codec, parse_codecs
from zipllm.data.local import Places
from zipllm.data.registry import samples_folder
from zipllm.errors import CorruptData, FileError, UsageError
from zipllm.experiments import course, ledger, machine_text, material, studies, training
from zipllm.experiments.lab import duration
from zipllm.experiments.material import find_text, main_text
from zipllm.experiments.page import Report
from zipllm.experiments.studies import predictors
from zipllm.experiments.studies.predictors import keep_model
from zipllm.experiments.study import ByScale, Study
from zipllm.experiments.training import Plan
from zipllm.train.trainer import Trainer

PLAN = Plan(16, 1, 2048, window=32, sequence=64, batch=2)
TOYS: dict[str, dict[str, Any]] = {
    "predictors": {"test_bytes": 300, "shipped": False},
    "context": {"windows": (4, 16), "pieces": 2, "piece_bytes": 256},
    "precision": {"bits": (8, 4, 2), "windows": 4, "sequence": 64, "shipped": False},
    "modality": {"shipped": False},
    "scaling": {"widths": (8, 16), "tokens": (1024, 2048)},
    "tokenizer": {"vocabularies": (300,)},
    "skill": {
        "marks": (512, 1024, 2048), "questions": 20, "cloze_bytes": 20_000, "tasks": ("toy",), "examples": (30, 20),
    },
    "transfer": {"domains": ("english", "python"), "tuning_bytes": 4000, "tuning_tokens": 512},
    "pretraining": {
        "domains": ("python",), "corpora": (1000, 4000), "test_bytes": 800, "epochs": 1, "byte_plan": PLAN,
    },
    "llm": {"kind_bytes": 300},
}  # fmt: skip


MEASURE = predictors._measure


def measure_here(codec: str, corpus: str, data: bytes) -> ledger.Row:
    """Code in this process: twenty processes that import torch take a minute."""
    (spec,) = parse_codecs(codec, None)
    opened = open_codec(spec)
    packed = opened.compress(data)
    assert opened.decompress(packed) == data
    size = {"raw_bytes": len(data), "bytes": len(packed), "bpb": 8 * len(packed) / len(data)}
    return {**size, "weights_bytes": opened.facts.weights_bytes, "compress_s": 0.0, "decompress_s": 0.0, "problem": ""}


def test_a_codec_is_measured_by_the_benchmark() -> None:
    row = MEASURE("gzip", "text", b"to be or not to be " * 20)
    assert (row["raw_bytes"], row["problem"], set(row)) == (380, "", set(measure_here("gzip", "text", b"x")))
    assert MEASURE("zstd:19/dict=none", "text", b"x")["problem"].startswith("error: ")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Take text from a few files of this machine, and leave tiny models to one thread."""

    def few(make: Any, count: int) -> Any:
        return lambda: (document for document, _ in zip(make(), range(count), strict=False))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictors, "_measure", measure_here)
        shortened = {
            "english": replace(material.DOMAINS["english"], machine=few(machine_text.documentation, 60)),
            "python": replace(material.DOMAINS["python"], machine=few(machine_text.sources, 30)),
        }
        patch.setattr(material, "DOMAINS", {**material.DOMAINS, **shortened})
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Return a data folder with a task set, a picture and a sound."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "tasks" / "toy").mkdir(parents=True)
    for part, count in (("train", 30), ("test", 20)):
        rows = [{"text": "aaaa bbbb" if i % 2 else "1234 5678", "label": str(i % 2)} for i in range(count)]
        (folder / "tasks" / "toy" / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "image" / "set").mkdir(parents=True)
    (folder / "image" / "set" / "a.pgm").write_bytes(b"P5\n# ramp\n200 40\n255\n" + bytes(i % 200 for i in range(8000)))
    (folder / "audio").mkdir()
    (folder / "audio" / "a_44100hz_mono.s16le").write_bytes(bytes(range(256)) * 16)
    return Places((folder,))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all studies, which share models there."""
    return tmp_path_factory.mktemp("out")


def toy(name: str, out: Path) -> Study[Any]:
    """Return the study with sizes of a second or two; a tiny model stands in for the shipped one."""
    study = copy.copy(studies.find_study(name))
    common = {} if name in ("pretraining", "llm") else {"train_bytes": 20_000, "test_bytes": 1500, "plan": PLAN}
    sizes = replace(study.sizes["quick"], **{**common, **TOYS[name]})
    if name in ("pretraining", "llm"):
        out.mkdir(exist_ok=True)
        tiny = training.train(PLAN, "toy", b"def toy(self):\n    return self\n" * 200, out / "models", seed=0)
        path = str(keep_model(tiny.export(), out))
        sizes = replace(sizes, start=path) if name == "pretraining" else replace(sizes, shipped=(path,))
    study.sizes = ByScale(sizes, sizes)
    return study


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {}


def run(name: str, out: Path, places: Places, **settings: Any) -> Report:
    notices: list[str] = []
    how = course.Settings(out, places=places, html=True, **settings)
    report = course.run_study(toy(name, out), how, notices.append)
    counted = list(
        filter(None, (re.match(r"(\d+) of (\d+), about [0-9.]+ (s|min|h) left: ", text) for text in notices))
    )
    assert all(1 <= int(match[1]) <= int(match[2]) == len(report.rows) for match in counted), notices
    assert counted or settings.get("resume")
    return report


@pytest.fixture
def report(name: str, out: Path, places: Places, reports: dict[str, Report]) -> Report:
    """Return the report of the study, which runs once."""
    if name not in reports:
        reports[name] = run(name, out, places)
    return reports[name]


every_study = pytest.mark.parametrize("name", studies.NAMES)


def test_every_study_has_a_toy() -> None:
    assert set(TOYS) == set(studies.NAMES)


@every_study
def test_writes_page_rows_and_figures(name: str, report: Report, out: Path) -> None:
    folder = out / f"{name}-quick"
    page = (folder / "page.md").read_text()
    assert report.study.question in page
    assert all(sentence in page for sentence in report.study.conclude(report.rows))
    html = (folder / "page.html").read_text()
    assert "<table" in html
    assert "://" not in html.replace("http://www.w3.org/2000/svg", "")
    header, rows = ledger.read_ledger(folder / "rows.jsonl")
    assert header["study"] == name
    assert [row["key"] for row in report.rows] == [row["key"] for row in rows if not row["key"].startswith("sitting ")]
    figures = report.study.figures(report.rows)
    assert figures
    for figure in figures:
        points = [json.loads(line) for line in (folder / f"{figure.name}.jsonl").read_text().splitlines()]
        assert len(points) == sum(len(series.points) for series in figure.series) > 0


@every_study
def test_figures_are_drawn(name: str, report: Report, out: Path) -> None:
    pytest.importorskip("matplotlib")
    for figure in report.study.figures(report.rows):
        assert (out / f"{name}-quick" / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (out / f"{name}-quick" / f"{figure.name}.svg").read_bytes()


@every_study
def test_a_finished_study_measures_nothing_again(
    name: str, report: Report, out: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "train", lambda *_: pytest.fail("trained again"))
    again = run(name, out, places, resume=True)
    assert again.rows == report.rows
    assert list(again.study.conclude(again.rows)) == list(report.study.conclude(report.rows))


@every_study
def test_every_rate_is_a_rate(name: str, report: Report) -> None:
    """No row claims impossibly few bits, or more than escaping into raw bytes would take."""
    rates = [row["bpb"] for row in report.rows if row.get("bpb") is not None]
    rates += [8 * row["bytes"] / row["raw_bytes"] for row in report.rows if "coder" in row]
    assert all(0.01 < rate < 40 for rate in rates), rates
    assert rates or name == "context"


def test_the_conclusion_follows_the_numbers(out: Path, places: Places, reports: dict[str, Report]) -> None:
    """Swapping two numbers swaps the conclusion."""
    found = reports.get("tokenizer") or run("tokenizer", out, places)
    plain, pairs = found.rows
    better = [{**plain, "bpb": 2.0}, {**pairs, "bpb": 1.0}]
    worse = [{**plain, "bpb": 1.0}, {**pairs, "bpb": 2.0}]
    assert "50.0 % less than bytes" in found.study.conclude(better)[0]
    assert "No vocabulary of byte pairs is better" in found.study.conclude(worse)[1]


@pytest.fixture
def elsewhere(tmp_path: Path, out: Path) -> Path:
    """Return another folder for studies, which has the trained models of ``out``."""
    (out / "models").mkdir(exist_ok=True)
    (tmp_path / "models").symlink_to(out / "models")
    return tmp_path


def test_an_interrupted_study_resumes(elsewhere: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = ledger.Ledger.measure
    seen: list[str] = []

    def interrupt(self: ledger.Ledger, key: str, make: Any, *args: Any, **kwargs: Any) -> ledger.Row:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(key)
        return measure(self, key, make, *args, **kwargs)

    monkeypatch.setattr(ledger.Ledger, "measure", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run("scaling", elsewhere, places)
    monkeypatch.undo()
    rows = elsewhere / "scaling-quick" / "rows.jsonl"
    before = rows.read_text().splitlines()
    with rows.open("a") as sink:
        sink.write('{"key": "torn')  # as if the power had failed
    with pytest.raises(UsageError, match="--resume"):
        run("scaling", elsewhere, places)
    report = run("scaling", elsewhere, places, resume=True)
    assert rows.read_text().splitlines()[: len(before)] == before
    assert len(report.rows) == 4
    first, second = report.rows[1], report.sittings[0]
    assert (first["sitting"], second["key"]) == (1, "sitting 2")
    wall, processor = first["sitting_s"]
    said = f"Took {duration(wall + second['seconds'])} on the clock in 2 sittings, "
    said += f"{duration(processor + second['processor_s'])} of processor time"
    assert said in report.cost(), "the interrupted sitting counts"


def test_an_unfair_result_is_not_called_best() -> None:
    sizes = {"byte model": 50, "byte model + history": 40, "shipped": 12, "shipped + history": 10, "gzip:9": 45}
    rows = [
        {"key": coder, "coder": coder, "kind": "code", "bytes": size, "raw_bytes": 100}
        | {"contaminated": "shipped" in coder}
        for coder, size in sizes.items()
    ]
    said = studies.find_study("modality").conclude(rows)
    assert said[0].startswith("On code, byte model + history takes 40.0 % of the raw size, gzip:9 45.0 %")
    assert "the best model, byte model, takes 50.0 %" in said[0]
    assert said[-1].startswith("†")


def test_a_run_with_another_question_does_not_resume(elsewhere: Path, places: Places) -> None:
    run("tokenizer", elsewhere, places)
    with pytest.raises(UsageError, match="another seed"):
        run("tokenizer", elsewhere, places, resume=True, seed=1)
    (elsewhere / "tokenizer-quick" / "rows.jsonl").write_text('{"schema": 1}\n[]\n')
    with pytest.raises(CorruptData, match="line 2"):
        run("tokenizer", elsewhere, places, resume=True)


def test_equal_seeds_give_equal_rows(tmp_path: Path, out: Path, places: Places, reports: dict[str, Report]) -> None:
    def numbers(report: Report) -> list[float]:
        return [row["bpb"] for row in report.rows]

    first = reports.get("tokenizer") or run("tokenizer", out, places, resume=True)
    assert numbers(run("tokenizer", tmp_path, places)) == numbers(first)
    assert numbers(run("tokenizer", tmp_path / "other", places, seed=3)) != numbers(first)


def test_results_are_as_private_as_the_data(elsewhere: Path, places: Places) -> None:
    secret = places.folders[0] / "tasks" / "toy" / "train.jsonl"
    before = os.umask(0o022)
    secret.chmod(0o600)
    try:
        run("precision", elsewhere, places)
    finally:
        secret.chmod(0o644)
        os.umask(before)
    found = [path for path in (elsewhere / "precision-quick").iterdir() if path.is_file()]
    assert found
    assert {path.stat().st_mode & 0o077 for path in found} == {0}


def test_a_benchmark_is_never_trained_on(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        (tmp_path / "train" / part).mkdir(parents=True)
        (tmp_path / "train" / part / "books_en.txt").write_bytes((samples_folder() / "english.txt").read_bytes())
    with pytest.raises(UsageError, match="books_en"):
        find_text("english", Places((tmp_path,)), 1000, 1000)


def test_what_is_measured_is_never_trained_on(places: Places) -> None:
    for name in ("english", "python"):
        text = find_text(name, places, 1 << 20, 1 << 20)
        assert text is not None
        assert min(len(text.train), len(text.test)) > 1000
        pieces = {line for line in text.train.splitlines() if len(line) > 60}
        shared = [line for line in text.test.splitlines() if len(line) > 60 and line in pieces]
        assert len(shared) < 0.2 * len(text.test.splitlines())


def test_too_little_training_text_is_reported(places: Places) -> None:
    with pytest.raises(FileError, match="too little English .*--data-dir"):
        main_text(places, 1 << 40, 1000)
