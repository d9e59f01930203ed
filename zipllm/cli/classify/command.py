"""``zipllm classify``: labels by compression, beside what they have to beat."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zipllm.cli import options
from zipllm.cli.results import print_json
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.classify.runs import Method, Row, Splits

_HOW = "How labels are found"
_DATA = "Data"
_RESULTS = "Results"
_DEFAULT_CODECS = {"class": "zipllm:3", "ncd": "gzip:9"}

Train = Annotated[
    Path,
    typer.Argument(
        metavar="TRAIN",
        help="Texts with labels: JSON lines with text and label (.gz .xz .bz2 .zst are opened), or a folder "
        "with a folder for each label.",
        show_default=False,
    ),
]
Test = Annotated[
    Path, typer.Argument(metavar="TEST", help="Texts to be labeled, in the same form.", show_default=False)
]
MethodName = Annotated[
    Literal["class", "ncd"],
    typer.Option(
        "--method",
        help="class: the label behind whose texts a text costs least; ncd: the nearest texts by normalized "
        "compression distance.",
        rich_help_panel=_HOW,
    ),
]
Codecs = Annotated[
    str | None,
    typer.Option(
        "--codec",
        metavar="LIST",
        help="As zipllm:3 (the history alone), zipllm, zipllm:small/history=off, ppmd:6, zstd:19, gzip:9; for ncd "
        "any codec of zipllm bench. By default zipllm:3, for ncd gzip:9.",
        rich_help_panel=_HOW,
        show_default=False,
    ),
]
Neighbors = Annotated[
    str, typer.Option("-k", metavar="LIST", help="Nearest texts that vote, as 1,2,5, for ncd.", rich_help_panel=_HOW)
]
FineTune = Annotated[
    int,
    typer.Option(
        "--fine-tune",
        min=0,
        metavar="STEPS",
        help="Train zipllm's model so long on each class first, for class.",
        rich_help_panel=_HOW,
    ),
]
LimitTrain = Annotated[
    int | None,
    typer.Option(
        "--limit-train", min=1, metavar="N", help="So many texts of TRAIN, at random.", rich_help_panel=_DATA,
        show_default=False,
    ),
]  # fmt: skip
LimitTest = Annotated[
    int | None,
    typer.Option(
        "--limit-test", min=1, metavar="N", help="So many texts of TEST, at random.", rich_help_panel=_DATA,
        show_default=False,
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of these choices.", rich_help_panel=_DATA)]
Confusion = Annotated[
    bool, typer.Option("--confusion", help="Show which labels are taken for which.", rich_help_panel=_RESULTS)
]
NoBaselines = Annotated[
    bool,
    typer.Option(
        "--no-baselines", help="Without the most frequent label and TF-IDF with logistic regression.",
        rich_help_panel=_RESULTS,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What the user asked for: the files, which of their texts, and what is shown."""

    train: Path
    test: Path
    limit_train: int | None
    limit_test: int | None
    seed: int
    confusion: bool
    baselines: bool


def classify(
    train: Train,
    test: Test,
    method: MethodName = "class",
    codecs: Codecs = None,
    neighbors: Neighbors = "1",
    fine_tune: FineTune = 0,
    limit_train: LimitTrain = None,
    limit_test: LimitTest = None,
    seed: Seed = 0,
    confusion: Confusion = False,
    no_baselines: NoBaselines = False,
    threads: options.Threads = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
    json: options.Json = False,
) -> None:
    """Label the texts of TEST by how well those of TRAIN help to compress them.

    Accuracy is expected accuracy: labels that tie are drawn by lot, and no true label is looked at.
    """
    voice = Voice("classify", 1 - quiet, progress=not no_progress, json=json)
    asked = Asked(train, test, limit_train, limit_test, seed, confusion, not no_baselines)

    def run() -> int:
        ks = _numbers(neighbors)
        if threads:
            from zipllm.machine import choose_threads

            choose_threads(threads)
        return _run(asked, method, codecs or _DEFAULT_CODECS[method], ks, fine_tune, voice)

    finish(voice, run)


def _run(asked: Asked, method: str, codecs: str, ks: Sequence[int], fine_tune: int, voice: Voice) -> int:
    from zipllm.bench.codecs import parse_codecs
    from zipllm.classify.baselines import check_installed
    from zipllm.classify.documents import read_documents, sample
    from zipllm.classify.runs import Splits, open_method

    specs = parse_codecs(codecs, None)
    if asked.baselines:
        check_installed()
    train, test = read_documents(asked.train), read_documents(asked.test)
    splits = Splits(sample(train, asked.limit_train, asked.seed), sample(test, asked.limit_test, asked.seed))
    methods = [open_method(method, spec, ks, fine_tune) for spec in specs]
    _show(splits, _rows(splits, methods, asked, voice), asked, (len(train), len(test)), voice)
    return 0


def _rows(splits: "Splits", methods: "Sequence[Method]", asked: Asked, voice: Voice) -> "Iterator[Row]":
    from zipllm.classify.runs import baseline_rows, method_rows

    if asked.baselines:
        yield from baseline_rows(splits, asked.seed)
    for method in methods:
        with _bar(f"{method.name} {method.spec}", sum(map(len, splits.test)), voice) as step:
            yield from method_rows(method, splits, step)


def _show(splits: "Splits", rows: "Iterator[Row]", asked: Asked, all_texts: tuple[int, int], voice: Voice) -> None:
    from zipllm.cli.classify.table import Setting, print_rows, row_json

    setting = Setting(splits, asked, all_texts)
    done = []
    for row in rows:
        done.append(row)
        if voice.json:
            print_json(row_json(row, setting))
    if not voice.json and voice.level >= 0:
        print_rows(done, setting)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 1 << 31 for part in parts):
        raise UsageError(f"-k {text}: whole numbers from 1 on, with commas between")
    return tuple(dict.fromkeys(map(int, parts)))


@contextlib.contextmanager
def _bar(name: str, size: int, voice: Voice) -> Iterator[Callable[[float], None]]:
    if not voice.progress or voice.level < 1 or sys.stderr is None or not sys.stderr.isatty():
        yield lambda part: None
        return
    from zipllm.cli.progress import progress_bar
    from zipllm.progress import Progress

    with progress_bar(name, size) as progress:
        yield lambda part: progress(Progress("encode", part * size, 0, 0))
