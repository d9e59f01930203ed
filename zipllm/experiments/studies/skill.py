"""Study: is compression linear in ability, along the training of one model?"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zipllm.classify.documents import Splits
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, score
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.material import Text
from zipllm.experiments.study import ByScale, Quote, Sizes, Study
from zipllm.experiments.tasks import CHOICES, Questions, cloze, cloze_accuracy, find_tasks, majority, probe_accuracy
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan, train
from zipllm.report.figures import Figure, Series

CLOZE = "cloze"


@dataclass(frozen=True)
class SkillSizes(Sizes):
    """Numbers of tokens at which the model is tested, and the tasks."""

    marks: tuple[int, ...]
    questions: int
    cloze_bytes: int
    tasks: tuple[str, ...]
    examples: tuple[int, int]


class Skill(Study[SkillSizes]):
    """Train from mark to mark, and test at each."""

    question = "As a model learns to compress, does its ability at tasks grow linearly with the bits it saves?"
    method = (
        "One byte model is tested as its training goes on, at numbers of tokens that double. Each time it codes "
        "held-out text, chooses among four words the one that was left out of held-out text (the cheapest wins; no "
        "fitting), and its mean activations go to a linear classifier fitted on the training parts of task sets."
    )
    expected = ByScale(50, 1300)
    sizes = ByScale(
        quick=SkillSizes(
            QUICK_TEXT, 16_000, QUICK, (20_000, 40_000, 80_000, 160_000, 320_000, 600_000), 400, 200_000,
            ("trec_qc", "ag_news"), (600, 300),
        ),
        full=SkillSizes(
            FULL_TEXT, 128_000, FULL, tuple(8_000_000 >> halvings for halvings in range(8, -1, -1)), 2000, 1_000_000,
            ("trec_qc", "ag_news", "r8", "sms_spam"), (4000, 1000),
        ),
    )  # fmt: skip

    def run(self, lab: Lab, sizes: SkillSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.cloze_bytes)
        questions = cloze(text.test, sizes.questions, lab.seed)
        tasks = find_tasks(lab.places, sizes.tasks, *sizes.examples)
        if missing := sorted(set(sizes.tasks) - set(tasks)):
            lab.leave_out(f"classification ({', '.join(missing)}): not here; --data-dir names a folder that has tasks")
        folder = lab.ledger.path.parent / "training"
        if not lab.ledger.rows:
            shutil.rmtree(folder, ignore_errors=True)  # training cannot go back to the first mark
        text = replace(text, test=text.test[: sizes.test_bytes])
        lab.total = len(sizes.marks)
        for mark in sizes.marks:
            about = {"mark": mark, "questions": len(questions)}
            lab.measure(f"at {mark} tokens", _test, lab, mark, sizes.plan, folder, text, questions, tasks, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        names = list(rows[0]["skills"])
        cells = [
            (f"{row['trained_tokens']:,}", show.number(row["bpb"]), *_percents(row["skills"], names)) for row in rows
        ]
        correlations = (show.number(correlation(_curve(rows, name)), 2) for name in names)
        cells.append(("chance or majority", "-", *_percents(rows[0]["chance"], names)))
        cells.append(("Pearson's r with bits per byte", "-", *correlations))
        heads = ("tokens trained on", "bits per byte", *(f"{name}, %" for name in names))
        return (show.Table(f"Along one training, {rows[0]['questions']} cloze questions", heads, tuple(cells)),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        names = list(rows[0]["skills"])
        series = [Series(name, _curve(rows, name)) for name in names]
        if len(series) > 1:
            series.append(Series("mean", _curve(rows, *names), marked=True))
        title = "Ability against compression, along one training"
        return (Figure("skill", title, "bits per byte", "accuracy, %", tuple(series), "line", from_zero=False),)

    def conclude(self, rows: Rows) -> Sequence[str]:
        first, last, names = rows[0], rows[-1], list(rows[0]["skills"])
        said = [f"From {first['bpb']:.3f} to {last['bpb']:.3f} bits per byte, over {len(rows)} tests of one training:"]
        for name in names:
            curve = _curve(rows, name)
            begin, end = curve[0][1], curve[-1][1]
            error = 100 * float(np.sqrt(0.25 / rows[0]["questions"]))
            noise = f"; the standard error of one test is up to {error:.1f} points" if name == CLOZE else ""
            said.append(
                f"{name}: from {begin:.1f} to {end:.1f} % ({end - begin:+.1f} points), "
                f"r = {show.number(correlation(curve), 2)} with bits per byte{noise}."
            )
        whole = correlation(_curve(rows, *names))
        if whole is not None and len(names) > 1:
            falling = "no line, but falling" if whole < -0.5 else "no clear relation"
            verdict = "close to a line" if whole <= -0.9 else falling
            said.append(f"The mean over the tasks has r = {whole:.2f}: {verdict}.")
        return [*said, "Few tests of one model make no law: a model that learns gets better at many things at once."]

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        ours = (f"here: {len(rows)} tests of one model", show.number(correlation(_curve(rows, *rows[0]["skills"])), 2))
        cells = (("31 public models, 12 benchmarks, each domain of ability", "about -0.95"), ours)
        return (
            Quote(
                'Huang et al., "Compression Represents Intelligence Linearly" (2024): Pearson correlation of bits per '
                "character and average benchmark score.",
                show.Table("Bits against scores", ("what", "Pearson's r"), cells),
                "They compare different models after training; here one small model is compared with itself along its "
                "training, and the tasks are far easier.",
            ),
        )


def _test(
    lab: Lab, mark: int, plan: Plan, folder: Path, text: Text, questions: Questions, tasks: Mapping[str, Splits]
) -> Row:
    """Train up to a number of tokens, and test."""
    lab.notice(f"training to {mark:,} tokens")
    trained = train(plan, text.name, text.train, folder, seed=lab.seed, until=mark)
    probes = {name: probe_accuracy(trained, task) for name, task in tasks.items()}
    chance = {CLOZE: 1 / CHOICES, **{name: majority(task) for name, task in tasks.items()}}
    return {**score(trained, text), "skills": {CLOZE: cloze_accuracy(trained, questions), **probes}, "chance": chance}


def _percents(shares: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [show.number(100 * shares[name], 1) for name in names]


def _curve(rows: Rows, *names: str) -> tuple[tuple[float, float], ...]:
    """Return the mean accuracy of these tasks in percent, against bits per byte."""
    return tuple((float(row["bpb"]), 100 * float(np.mean([row["skills"][name] for name in names]))) for row in rows)


def correlation(curve: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's r, or None if a coordinate is constant or there are fewer than three points."""
    values = np.array(curve).T
    if len(curve) < 3 or not values.std(1).all():
        return None
    return float(np.corrcoef(values)[0, 1])


STUDY = Skill()
