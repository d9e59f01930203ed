"""``zipllm experiment``: the list, a study from end to end, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome
from zipllm.experiments.studies import NAMES

Inside = Callable[..., Outcome]


def test_list(inside: Inside) -> None:
    result = inside("experiment", "list")
    assert result.code == 0
    listed = [line.split()[0].decode() for line in result.out.splitlines() if not line.startswith(b" ")]
    assert listed == list(NAMES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scalling"], "did you mean 'scaling'"),
        (["lis"], "did you mean 'list'"),
        (["everything"], "known: list, all, "),
        (["scaling", "--quick", "--full"], "exclude each other"),
        (["scaling", "--data-dir", "missing"], "no such folder"),
        (["scaling", "--seed", "-1"], "--seed"),
        (["scaling", "--model", "nano"], "--model is for the study llm"),
    ],
)
def test_refuses(inside: Inside, folder: Path, arguments: list[str], message: str) -> None:
    result = inside("experiment", *arguments)
    assert result.code == 2
    assert message in result.err
    assert not (folder / "runs").exists()


def test_results_go_nowhere_else_than_asked(inside: Inside, folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    result = inside("experiment", "scaling", "--out", "file")
    assert result.code == 1
    assert "file" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["scaling", "all"])
def test_an_earlier_run_is_kept(inside: Inside, folder: Path, name: str) -> None:
    """``all`` finds out before it has computed anything, though others come first."""
    kept = folder / "out" / "scaling-quick"
    kept.mkdir(parents=True)
    (kept / "rows.jsonl").write_text(json.dumps({"schema": 1, "study": "scaling"}) + "\n")
    result = inside("experiment", name, "--out", "out")
    assert result.code == 2
    assert "--resume" in result.err
    assert [path.name for path in (folder / "out").iterdir()] == ["scaling-quick"]
    assert (kept / "rows.jsonl").read_text() == json.dumps({"schema": 1, "study": "scaling"}) + "\n"


@pytest.mark.parametrize(("name", "meant"), [("lis", "list"), ("al", "all"), ("scalin", "scaling")])
def test_a_study_misspelled(inside: Inside, name: str, meant: str) -> None:
    assert inside("experiment", name).error == (2, f"zipllm: no study called {name!r}; did you mean {meant!r}?\n")
