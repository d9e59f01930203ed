"""The results of ``zipllm classify`` as a table and as JSON.

With ``--json`` there is one object for each method, codec and number of neighbors, each on a line as it is done:

command             ``classify``
train, test         names of the files
train_texts, train_of    used of the one, and how many it holds; a sample was taken where that is more
test_texts, test_of    of the other
seed                of the samples, and of the linear model
labels              all labels, sorted
unknown_labels      labels of test texts that no training text has; they cannot be found
method              ``majority``, ``tfidf``, ``class`` or ``ncd``
codec               with its settings; empty for baselines
k                   neighbors that vote; 0 where none do
fine_tune           training steps on each class
accuracy            expected share of right labels, where labels that tie are drawn by lot
accuracy_if_ties_lost, accuracy_if_ties_won    the same if every draw went wrong, or right
tied                share of texts with a tie
macro_f1            mean of the F1 of all labels, from expected counts
prepare_seconds     wall time before the first text: coding or learning the training texts
seconds             wall time for all texts after that
ms_per_text         1000 * seconds / test_texts
confusion           expected counts: a row for each true label, a column for each label given, in the order of labels

The same distances serve all numbers of neighbors, so rows that differ in ``k`` have the same seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zipllm.cli.classify.flags import ClassifyOptions
from zipllm.cli.tables import Styled, Table, new_table, note, print_parts

if TYPE_CHECKING:
    from zipllm.classify.documents import Splits
    from zipllm.classify.runs import Row

_HEADS = ("method", "accuracy", "macro-F1", "tied", "ties lost", "ties won", "ms a text", "before")
_NOTE = (
    "accuracy: expected, labels that tie are drawn by lot and no true label is looked at; ties lost, ties won: if "
    "every draw went wrong, or right. ms a text: wall time by texts of the test; before: seconds for "
    "the training texts, where they are learned or coded first."
)


@dataclass(frozen=True)
class Setting:
    """What all rows share: the texts, the options, and how many texts the two files hold."""

    splits: "Splits"
    options: ClassifyOptions
    all_texts: tuple[int, int]

    @property
    def unknown(self) -> list[str]:
        """Labels of test texts that no training text has."""
        known = set(self.splits.train_labels.tolist())
        return [self.splits.labels[label] for label in sorted(set(self.splits.truth.tolist()) - known)]


def row_json(row: "Row", setting: Setting) -> dict[str, object]:
    """Return the object of one row."""
    splits, scores = setting.splits, row.scores
    return {
        "command": "classify",
        "train": str(setting.options.train),
        "test": str(setting.options.test),
        "train_texts": len(splits.train),
        "train_of": setting.all_texts[0],
        "test_texts": len(splits.test),
        "test_of": setting.all_texts[1],
        "seed": setting.options.seed,
        "labels": splits.labels,
        "unknown_labels": setting.unknown,
        "method": row.method,
        "codec": row.codec,
        "k": row.k,
        "fine_tune": row.tune_steps,
        "accuracy": round(scores.accuracy, 6),
        "accuracy_if_ties_lost": round(scores.if_ties_lost, 6),
        "accuracy_if_ties_won": round(scores.if_ties_won, 6),
        "tied": round(scores.tied, 6),
        "macro_f1": round(scores.macro_f1, 6),
        "prepare_seconds": round(row.prepare_seconds, 3),
        "seconds": round(row.seconds, 3),
        "ms_per_text": round(_milliseconds(row, setting), 4),
        "confusion": [[round(cell, 3) for cell in line] for line in scores.confusion.tolist()],
    }


def print_rows(rows: "Sequence[Row]", setting: Setting) -> None:
    """Print the rows as a table, what the numbers mean, and the confusion matrices if they were asked for."""
    splits = setting.splits
    title = f"{setting.options.train} -> {setting.options.test}"
    train, test = map(_part, (len(splits.train), len(splits.test)), setting.all_texts)
    of = f"{test} test texts labeled by {train} training texts, {len(splits.labels)} labels"
    sampled = (len(splits.train), len(splits.test)) != setting.all_texts
    parts: list[Table | Styled | str] = [
        new_table(title, _HEADS, ((_name(row), *_cells(row, setting)) for row in rows)),
        note(of + f", chosen with seed {setting.options.seed}" * sampled),
        note(_NOTE),
    ]
    if setting.unknown:
        parts.append(f"no training text has these labels, so they cannot be found: {', '.join(setting.unknown)}")
    if setting.options.confusion:
        parts += [_confusion(row, splits.labels) for row in rows]
    print_parts(parts)


def _name(row: "Row") -> str:
    tuned = f", {row.tune_steps} steps on each class" if row.tune_steps else ""
    return f"{row.method} {row.codec}{f', k={row.k}' if row.k else ''}{tuned}".strip()


def _cells(row: "Row", setting: Setting) -> list[str]:
    scores = row.scores
    rates = (scores.accuracy, scores.macro_f1, scores.tied, scores.if_ties_lost, scores.if_ties_won)
    cells = [f"{rate:.4f}" for rate in rates] if scores.tied else [f"{rate:.4f}" for rate in rates[:2]] + ["-"] * 3
    before = f"{row.prepare_seconds:.1f} s" if row.prepare_seconds else "-"
    return [*cells, f"{_milliseconds(row, setting):.3g}", before]


def _confusion(row: "Row", labels: Sequence[str]) -> Table:
    lines = zip(labels, row.scores.confusion.tolist(), strict=True)
    rows = [(label, *(f"{cell:.1f}".removesuffix(".0") for cell in line)) for label, line in lines]
    return new_table(f"{_name(row)}: true label by row, given label by column", ["", *labels], rows)


def _milliseconds(row: "Row", setting: Setting) -> float:
    return 1000 * row.seconds / len(setting.splits.test)


def _part(used: int, there: int) -> str:
    return f"{used:,}" if used == there else f"{used:,} of {there:,}"
