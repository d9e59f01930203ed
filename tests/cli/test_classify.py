"""``zipllm classify``: JSON, table, samples, and what is refused."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.cli.classify import table as classify_table
from zipllm.model_file.file import build_model, save_model
from zipllm.tokenizer import ByteTokenizer

Inside = Callable[..., Outcome]
SEA, TRADE = "ships sail the sea at dawn", "shares fell on the market"
ALONE = ("--no-baselines",)


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    """``train`` and ``test``: sentences about the sea and about trade, and one with a label nobody has."""
    write(folder / "train", [(f"{text} {number}", label) for number in range(8) for text, label in both()])
    write(folder / "test", [*((f"{text} {number}", label) for number in range(20, 23) for text, label in both())])


def both() -> list[tuple[str, str]]:
    return [(SEA, "sea"), (TRADE, "[red]trade[/red]")]


def write(path: Path, texts: list[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts))


def rows(done: Outcome) -> list[dict[str, object]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_json(inside: Inside) -> None:
    (row,) = rows(inside("classify", "train", "test", "--json", *ALONE))
    listed = re.findall(r"^([a-z_, 0-9]+?)  +\S", classify_table.__doc__ or "", re.MULTILINE)
    assert list(row) == [name for group in listed for name in group.split(", ")]
    assert (row["method"], row["codec"], row["accuracy"], row["tied"]) == ("class", "zipllm:3", 1.0, 0.0)
    assert row["labels"] == ["[red]trade[/red]", "sea"]
    assert row["confusion"] == [[3.0, 0.0], [0.0, 3.0]]
    assert (row["train_texts"], row["train_of"], row["test_texts"], row["unknown_labels"]) == (16, 16, 6, [])


def test_all_methods_beside_the_baselines(inside: Inside) -> None:
    pytest.importorskip("sklearn")
    found = rows(inside("classify", "train", "test", "--json", "--codec", "gzip:9,zipllm:3"))
    assert [(row["method"], row["codec"]) for row in found] == [
        ("majority", ""), ("tfidf", ""), ("class", "gzip:9"), ("class", "zipllm:3"),
    ]  # fmt: skip
    assert [row["accuracy"] for row in found] == [0.5, 1.0, 1.0, 1.0]


def test_neighbors(inside: Inside) -> None:
    found = rows(inside("classify", "train", "test", "--json", "--method", "ncd", "-k", "1,3,99", *ALONE))
    assert [(row["codec"], row["k"], row["accuracy"]) for row in found] == [
        ("gzip:9", 1, 1.0), ("gzip:9", 3, 1.0), ("gzip:9", 99, 0.5),
    ]  # fmt: skip
    all_vote = found[2]
    assert (all_vote["accuracy_if_ties_lost"], all_vote["accuracy_if_ties_won"], all_vote["tied"]) == (0.0, 1.0, 1.0)


def test_the_table(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    write(Path("test"), [(SEA, "sea"), (TRADE, "weather")])
    done = inside("classify", "train", "test", "--limit-train", "10", "--seed", "3", "--confusion", *ALONE)
    out = done.out.decode()
    assert done.code == 0
    assert re.search(r"class zipllm:3 +0\.5000 ", out)
    assert "2 test texts labeled by 10 of 16 training texts, 3 labels, chosen with seed 3" in out
    assert "no training text has these labels, so they cannot be found: weather" in out
    assert re.search(r"weather +1 +0 +0", out)
    assert "[red]trade[/red]" in out


def test_samples_are_those_of_the_seed(inside: Inside) -> None:
    several = [inside("classify", "train", "test", "--json", "--limit-train", "9", *seed, *ALONE) for seed in (
        (), ("--seed", "0"), ("--seed", "1"))]  # fmt: skip
    first, second, third = (
        {**row, "prepare_seconds": 0, "seconds": 0, "ms_per_text": 0} for (row,) in map(rows, several)
    )
    assert first == second
    assert third["seed"] == 1


@pytest.mark.slow
def test_a_model_fine_tuned_on_each_class(inside: Inside, folder: Path) -> None:
    save_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD), folder / "tiny.safetensors")
    write(folder / "train", [(f"{text} {number}\n" * 9, label) for number in range(40) for text, label in both()])
    codec = ("--codec", "zipllm:./tiny.safetensors/history=off")
    (before,) = rows(inside("classify", "train", "test", "--json", *codec, *ALONE))
    (after,) = rows(inside("classify", "train", "test", "--json", *codec, *ALONE, "--fine-tune", "30"))
    assert (before["fine_tune"], after["fine_tune"]) == (0, 30)
    assert after["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none", "test"), 1, "none: no such file or folder"),
        (("one", "test"), 2, "all training texts have the label 'sea'; at least two are needed"),
        (("damaged", "test"), 3, "damaged, line 1: not JSON (Expecting value: line 1 column 1 (char 0))"),
        (("train", "empty"), 1, "empty: holds no document"),
        (("train", "test", "--codec", "lz4:1"), 2, "lz4:1 cannot continue behind the texts of a class"),
        (("train", "test", "--codec", "zipllm:nowhere"), 4, "nowhere"),
        (("train", "test", "--codec", "squash"), 2, "squash"),
        (("train", "test", "-k", "0"), 2, "-k 0: whole numbers from 1 on, with commas between"),
        (("train", "test", "--method", "ncd", "--fine-tune", "3"), 2, "--fine-tune is for --method class"),
        (("train", "test", "--limit-test", "0"), 2, "--limit-test"),
    ],
    ids=str,
)
def test_one_clear_line(inside: Inside, folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    write(folder / "one", [(SEA, "sea")] * 3)
    (folder / "damaged").write_bytes(b"\x00\x01")
    (folder / "empty").write_bytes(b"")
    found, said = inside("classify", *arguments, *ALONE).error
    assert found == code
    assert message in said
    if code != 2 or "limit" not in message:
        assert said.count("\n") == 1


def test_without_scikit_learn_its_baseline_is_left_out(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)  # as if it were not installed
    done = inside("classify", "train", "test", "--json")
    assert [row["method"] for row in rows(done)] == ["majority", "class"]
    assert done.err.count("\n") == 1
    assert "zipllm: warning: the TF-IDF baseline is left out: it needs scikit-learn" in done.err
    assert inside("classify", "train", "test", *ALONE).err == ""


def test_texts_without_words_have_no_linear_baseline(inside: Inside) -> None:
    pytest.importorskip("sklearn")
    write(Path("train"), [("!", "sea"), ("?", "trade")])
    done = inside("classify", "train", "test", "--json")
    assert [row["method"] for row in rows(done)] == ["majority", "class"]
    assert "left out: it finds nothing to count" in done.err
