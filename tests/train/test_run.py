"""A whole run in its folder: what it leaves there, how it is repeated, resumed, and carried on with other data."""

import dataclasses
import json
from pathlib import Path

import pytest

from zipllm.errors import FileError, ModelNotFound, UsageError
from zipllm.model_file.file import load_model_file
from zipllm.train.recipe import Recipe
from zipllm.train.recipe_file import build, read_recipe
from zipllm.train.run import Outcome, Setup, rehearse, run
from zipllm.train.runlog import Report

LINES = b"".join(b"2026-11-22 10:%02d:00 INFO request %d served\n" % (n % 60, n * 7919 % 1000) for n in range(1500))


class Ear:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.reports: list[Report] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def report(self, report: Report) -> None:
        self.reports.append(report)


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
    out = tmp_path / "models/log.safetensors"
    outcome = go(recipe, tmp_path / "run", out=out)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "best",
        "card.md",
        "config.toml",
        "data.json",
        "metrics.jsonl",
        "model.safetensors",
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
