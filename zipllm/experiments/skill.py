"""Study: is compression linear in ability, along the training of one model?"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.study import Quote, Rows, Study, Table, number
from zipllm.experiments.tasks import CHOICES, cloze, cloze_accuracy, find_tasks, majority, probe_accuracy
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan, train
from zipllm.report.figures import Figure, Series
from zipllm.tokenizer import Tokenizer
from zipllm.train.trainer import Trainer

QUESTION = "As a model learns to compress, does its ability at tasks grow linearly with the bits it saves?"
METHOD = (
    "One byte model is looked at as its training goes on, at numbers of tokens that double. Each time it codes "
    "held-out text, chooses among four words the one that was left out of held-out text (the cheapest wins; no "
    "fitting), and its mean activations are given to a linear classifier fitted on the training parts of task sets."
)
CLOZE = "cloze"


@dataclass(frozen=True)
class Sizes:
    """Training, when it is looked at, and the tasks."""

    train_bytes: int
    test_bytes: int
    plan: Plan
    marks: tuple[int, ...]
    questions: int
    cloze_bytes: int
    tasks: tuple[str, ...]
    examples: tuple[int, int]


def run(lab: Lab, sizes: Sizes) -> None:
    """Train from mark to mark, and measure at each."""
    text = lab.main_text(sizes.train_bytes, sizes.cloze_bytes)
    questions = cloze(text.test, sizes.questions, lab.seed)
    tasks = find_tasks(lab.places, sizes.tasks, *sizes.examples)
    if len(tasks) < len(sizes.tasks):
        missing = sorted(set(sizes.tasks) - {task.name for task in tasks})
        lab.leave_out(f"classification ({', '.join(missing)}): not here; --data-dir names a folder that has tasks")
    folder = lab.ledger.path.parent / "training"
    if not lab.ledger.rows:
        shutil.rmtree(folder, ignore_errors=True)  # its rows are gone, and it cannot go back
    for mark in sizes.marks:

        def score(mark: int = mark) -> dict[str, Any]:
            lab.notice(f"training to {mark:,} tokens")

            def go_on(trainer: Trainer, tokenizer: Tokenizer) -> None:
                trainer.train(lambda report: None, lambda: trainer.state.tokens >= mark)

            trained = train(sizes.plan, text.name, text.train, folder, seed=lab.seed, watch=go_on)
            found = payload(trained.export(), text.test[: sizes.test_bytes])
            skills = {CLOZE: cloze_accuracy(trained, questions)}
            skills |= {task.name: probe_accuracy(trained, task) for task in tasks}
            chance = {CLOZE: 1 / CHOICES, **{task.name: majority(task) for task in tasks}}
            return {
                "mark": mark, "bpb": found.bpb, "bytes": found.raw_bytes, "skills": skills, "chance": chance,
                "questions": len(questions), "text": text.origin, "seed": lab.seed,
                "context": context_words(sizes.plan.shape.window), **facts(trained),
            }  # fmt: skip

        lab.measure(f"at {mark} tokens", score)


def _names(rows: Rows) -> list[str]:
    return list(rows[0]["skills"])


def _points(rows: Rows, name: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(row["bpb"]), 100 * float(row["skills"][name])) for row in rows)


def _mean(rows: Rows) -> tuple[tuple[float, float], ...]:
    return tuple((float(row["bpb"]), 100 * float(np.mean(list(row["skills"].values())))) for row in rows)


def correlation(points: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's r, or None where one of the two does not vary or there are fewer than three points."""
    values = np.array(points).T
    if len(points) < 3 or not values.std(1).all():
        return None
    return float(np.corrcoef(values)[0, 1])


def tables(rows: Rows) -> Sequence[Table]:
    """Bits per byte and accuracy along the training."""
    names = _names(rows)
    cells = [
        (f"{row['trained_tokens']:,}", number(row["bpb"]), *(number(100 * row["skills"][name], 1) for name in names))
        for row in rows
    ]
    cells.append(("chance or majority", "-", *(number(100 * rows[0]["chance"][name], 1) for name in names)))
    cells.append(
        ("Pearson's r with bits per byte", "-", *(number(correlation(_points(rows, name)), 2) for name in names))
    )
    heads = ("tokens trained on", "bits per byte", *(f"{name}, %" for name in names))
    return (Table(f"Along one training, {rows[0]['questions']} cloze questions", heads, tuple(cells)),)


def figures(rows: Rows) -> Sequence[Figure]:
    """Accuracy against bits per byte."""
    series = [Series(name, _points(rows, name)) for name in _names(rows)]
    if len(series) > 1:
        series.append(Series("mean", _mean(rows), marked=True))
    title = "Ability against compression, along one training"
    return (Figure("skill", title, "bits per byte", "accuracy, %", tuple(series), "line", from_zero=False),)


def conclude(rows: Rows) -> Sequence[str]:
    """Say how nearly linear it is, and what moved little."""
    first, last = rows[0], rows[-1]
    said = [f"From {first['bpb']:.3f} to {last['bpb']:.3f} bits per byte, over {len(rows)} looks at one training:"]
    for name in _names(rows):
        points = _points(rows, name)
        r = correlation(points)
        moved = points[-1][1] - points[0][1]
        noise = 100 * float(np.sqrt(0.25 / rows[0]["questions"])) if name == CLOZE else None
        said.append(
            f"{name}: from {points[0][1]:.1f} to {points[-1][1]:.1f} % ({moved:+.1f} points), r = {number(r, 2)} "
            "with bits per "
            f"byte" + (f"; a standard error of one look is up to {noise:.1f} points." if noise else ".")
        )
    whole = correlation(_mean(rows))
    if whole is not None and len(_names(rows)) > 1:
        verdict = (
            "close to a line" if whole <= -0.9 else "no line, but falling" if whole < -0.5 else "no clear relation"
        )
        said.append(f"The mean over the tasks has r = {whole:.2f}: {verdict}.")
    return [
        *said,
        "A line through so few looks at one model is no law: a model that learns gets better at many things at once.",
    ]


def quotes(rows: Rows) -> Sequence[Quote]:
    """What was found among large models."""
    ours = (f"here: {len(rows)} looks at one model", number(correlation(_mean(rows)), 2))
    cells = (("31 public models, 12 benchmarks, each domain of ability", "about -0.95"), ours)
    return (
        Quote(
            'Huang et al., "Compression Represents Intelligence Linearly" (2024): Pearson correlation of bits per '
            "character and average benchmark score.",
            Table("Bits against scores", ("what", "Pearson's r"), cells),
            "They compare different models after training, we one small model along its training; our tasks are "
            "far easier.",
        ),
    )


STUDY = Study(
    name="skill",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 50, "full": 1300},
    sizes={
        "quick": Sizes(
            QUICK_TEXT, 16_000, QUICK, (20_000, 40_000, 80_000, 160_000, 320_000, 600_000), 400, 200_000,
            ("trec_qc", "ag_news"), (600, 300),
        ),
        "full": Sizes(
            FULL_TEXT, 128_000, FULL, tuple(8_000_000 >> halvings for halvings in range(8, -1, -1)),
            2000, 1_000_000, ("trec_qc", "ag_news", "r8", "sms_spam"), (4000, 1000),
        ),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
    quotes=quotes,
)  # fmt: skip
