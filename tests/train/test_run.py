"""A whole run in its folder: what it leaves there, how it is repeated, resumed, and carried on with other data."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zipllm.errors import FileError, ModelNotFound, UsageError
from zipllm.model_file.file import load_model_file
from zipllm.tokenizer import ByteTokenizer
from zipllm.train.corpus import Source, data_sources
from zipllm.train.manifest import prepared_digests
from zipllm.train.recipe import Recipe
from zipllm.train.recipe_file import build, read_recipe
from zipllm.train.rehearsal import rehearse
from zipllm.train.run import Outcome, Setup, run
from zipllm.train.run_folder import held
from zipllm.train.runlog import Report

LINES = b"".join(b"2026-11-22 10:%02d:00 INFO request %d served\n" % (n % 60, n * 7919 % 1000) for n in range(1500))


class Ear:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.reports: list[Report] = []
        self.stages: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def stage(self, name: str, save: Callable[[], None] | None) -> None:
        self.stages.append(name)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "server.log").write_bytes(LINES)
    train = {"steps": 20, "batch": 4, "sequence": 32, "evaluate_every": 0.0, "compile": "off", "precision": "float32"}
    model = {"width": 16, "layers": 1, "heads": 2, "feedforward": 32, "window": 16}
    content = {
        "name": "toy",
        "vocabulary": 300,
        "train": train,
        "model": model,
        "source": [{"name": "log", "paths": ["server.log"], "licence": "CC0-1.0"}],
    }
    return build(content, tmp_path, "test")


def go(
    recipe: Recipe, folder: Path, *, steps: int | None = None, resume: bool = False, out: Path | None = None
) -> Outcome:
    calls = iter(range(10_000))
    return run(recipe, Setup(folder, out, resume=resume), Ear(), lambda: steps is not None and next(calls) + 1 >= steps)


def model_id(outcome: Outcome) -> bytes:
    assert outcome.path is not None
    return load_model_file(outcome.path).model_id


def test_the_folder_of_a_run(tmp_path: Path, recipe: Recipe) -> None:
    out = tmp_path / "log.safetensors"
    outcome = go(recipe, tmp_path / "run", out=out)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        ".zipllm-run",
        "card.md",
        "config.toml",
        "data.json",
        "metrics.jsonl",
        "model.safetensors",
        "step-000016",
        "step-000020",
        "tokenizer.json",
        "tokens",
    }
    assert out.read_bytes() == (tmp_path / "run/model.safetensors").read_bytes()
    assert out.with_suffix(".md").read_text() == (tmp_path / "run/card.md").read_text()
    assert outcome.path == out
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [16, 20]
    assert lines[-1]["tokens"] == 20 * 4 * 32
    assert set(lines[-1]["valid_bpb_by_source"]) == {"log"}
    assert [line["rounding"] for line in lines] == [False, True]
    card = load_model_file(out).card
    assert (card.name, card.steps, card.sources[0].licence) == ("toy", 20, "CC0-1.0")
    assert card.results[0].integer_bpb > 0


def test_the_resolved_recipe_repeats_the_run(tmp_path: Path, recipe: Recipe) -> None:
    first = go(recipe, tmp_path / "one")
    again = go(read_recipe(tmp_path / "one/config.toml", tmp_path), tmp_path / "two")
    assert model_id(first) == model_id(again)


def test_a_resumed_run_ends_in_the_same_model(tmp_path: Path, recipe: Recipe) -> None:
    whole = go(recipe, tmp_path / "whole")
    stopped = go(recipe, tmp_path / "parts", steps=7)
    assert stopped.path is None
    assert not (tmp_path / "parts/model.safetensors").exists()
    assert model_id(go(recipe, tmp_path / "parts", resume=True)) == model_id(whole)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path, recipe: Recipe) -> None:
    go(recipe, tmp_path / "run", steps=3)
    with pytest.raises(UsageError, match="--resume goes on"):
        go(recipe, tmp_path / "run")


def test_nothing_to_resume(tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume"):
        go(recipe, tmp_path / "run", resume=True)


@pytest.mark.parametrize("start", ["run", "run/model.safetensors"])
def test_fine_tuning_a_run_or_a_model_file(tmp_path: Path, recipe: Recipe, start: str) -> None:
    go(recipe, tmp_path / "run")
    content = {
        "name": "tuned",
        "start": str(tmp_path / start),
        "train": dataclasses.asdict(recipe.train) | {"steps": 3},
        "source": [{"name": "log", "paths": ["server.log"]}],
    }
    ear = Ear()
    outcome = run(build(content, tmp_path, "test"), Setup(tmp_path / "tuned"), ear, lambda: False)
    before = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])["train_bpb"]
    assert ear.reports[0].train_bpb < before + 0.5
    assert outcome.path is not None
    tuned, old = load_model_file(outcome.path), load_model_file(tmp_path / "run/model.safetensors")
    assert tuned.config == old.config
    assert tuned.tokenizer.vocabulary == old.tokenizer.vocabulary
    assert tuned.model_id != old.model_id
    assert "fine-tuned from" in tuned.card.recipe


def test_missing_starts_are_named(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "empty").mkdir()
    for start, error in ((tmp_path / "empty", FileError), ("no-such-model", ModelNotFound)):
        content = {"start": str(start), "train": {"steps": 1}, "source": [{"name": "log", "paths": ["server.log"]}]}
        with pytest.raises(error):
            go(build(content, tmp_path, "test"), tmp_path / "tuned")


def test_a_rehearsal_leaves_nothing_behind(tmp_path: Path, recipe: Recipe) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = rehearse(recipe, Setup(tmp_path / "run"), scratch)
    assert load_model_file(found.path).card.steps == 2
    assert found.expected_tokens == 20 * 4 * 32
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------- what is whose
def test_a_run_in_use_is_named(tmp_path: Path, recipe: Recipe) -> None:
    with held(tmp_path / "run"), pytest.raises(UsageError, match="in use by process"):
        go(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_changed_tokens_are_noticed_before_training(tmp_path: Path, recipe: Recipe) -> None:
    go(recipe, tmp_path / "run", steps=3)
    go(recipe, tmp_path / "other", steps=3)
    path = tmp_path / "run/tokens/train-log.bin"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    with pytest.raises(FileError, match=r"not those that data.json describes"):
        go(recipe, tmp_path / "run", resume=True)
    manifest = json.loads((tmp_path / "run/data.json").read_text())
    manifest["prepared"] = prepared_digests(tmp_path / "run")
    (tmp_path / "run/data.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="was trained with other data or another tokenizer"):
        go(recipe, tmp_path / "run", resume=True)
    (tmp_path / "other/tokenizer.json").write_text(json.dumps(ByteTokenizer().to_dict()))
    content_of = {
        "start": str(tmp_path / "other"),
        "train": {"steps": 1},
        "source": [{"name": "log", "paths": ["server.log"]}],
    }
    with pytest.raises(FileError, match=r"tokenizer.json is not the tokenizer"):
        go(build(content_of, tmp_path, "test"), tmp_path / "tuned")


def test_a_run_interrupted_before_its_first_step_begins_anew(tmp_path: Path, recipe: Recipe) -> None:
    whole = go(recipe, tmp_path / "whole")
    go(recipe, tmp_path / "run", steps=0)
    for folder in (tmp_path / "run").glob("step-*"):
        shutil.rmtree(folder)
    assert model_id(go(recipe, tmp_path / "run", resume=True)) == model_id(whole)


def test_a_finished_run_exports_again(tmp_path: Path, recipe: Recipe) -> None:
    first = go(recipe, tmp_path / "run")
    (tmp_path / "run/model.safetensors").unlink()
    before = (tmp_path / "run/metrics.jsonl").read_bytes()
    assert model_id(go(recipe, tmp_path / "run", resume=True)) == model_id(first)
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(("out", "reason"), [("no/x.safetensors", "not a folder"), ("notes.safetensors", "notes.md")])
def test_a_place_for_the_model_is_checked_first(tmp_path: Path, recipe: Recipe, out: str, reason: str) -> None:
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(FileError, match=reason):
        go(recipe, tmp_path / "run", out=tmp_path / out)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.md", "server.log"}


def test_files_of_a_private_source_are_private(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "server.log").chmod(0o600)
    before = os.umask(0o022)
    try:
        for resume in (False, True):
            go(recipe, tmp_path / "runs/x", steps=None if resume else 3, resume=resume, out=tmp_path / "m.safetensors")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.name != "server.log"]
    assert len(made) > 15
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_a_run_does_not_learn_from_runs(tmp_path: Path, recipe: Recipe) -> None:
    folder = dataclasses.replace(recipe, sources=(Source("log", (tmp_path,)),))
    for name in ("a", "b"):
        go(folder, tmp_path / "runs" / name, out=tmp_path / f"{name}.safetensors")
        read = json.loads((tmp_path / "runs" / name / "data.json").read_text())["train"]
        assert [file["name"] for source in read for file in source["files"]] == [str(tmp_path / "server.log")]
    with pytest.raises(FileError, match="training runs do not count"):
        go(dataclasses.replace(recipe, sources=(Source("log", (tmp_path / "runs/a",)),)), tmp_path / "c")


def test_names_that_are_not_utf8(tmp_path: Path, recipe: Recipe) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    strange.mkdir()
    shutil.copy(tmp_path / "server.log", strange / "data.log")
    recipe = dataclasses.replace(recipe, sources=(Source("log", (strange / "data.log",)),))
    first = go(recipe, strange / "run", out=strange / "m.safetensors")
    again = read_recipe(strange / "run/config.toml", tmp_path)
    assert again.sources == recipe.sources
    assert model_id(go(again, tmp_path / "again")) == model_id(first)


def test_a_file_called_dash(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(LINES)
    assert data_sources(["./-"])[0].paths == (tmp_path / "-",)
    assert data_sources(["-"])[0].paths == (Path("-"),)
    for text, path in (("./-", tmp_path / "-"), ("-", Path("-"))):
        content = {"train": {"steps": 1}, "source": [{"name": "log", "paths": [text]}]}
        assert build(content, Path(), "test").sources[0].paths == (path,)
