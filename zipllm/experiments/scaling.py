"""Study: how does the rate fall with parameters and data, and when do the parameters cost more than they save?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.study import Quote, Row, Rows, Study, Table, number, select
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan, Shape
from zipllm.report.figures import Figure, Series

QUESTION = "How do bits per byte fall with parameters and data, and which size of model is best once its file counts?"
METHOD = (
    "Byte models of several widths are trained on several amounts of the same text and code the same held-out text. "
    "The raw rate counts the payload. The adjusted rate counts the model file, too, spread over a corpus of a given "
    "size that is assumed to cost the same rate."
)
_CORPORA = (1e5, 1e6, 1e7, 1e8, 1e9)
"""Bytes over which the model file is spread."""


@dataclass(frozen=True)
class Sizes:
    """Text, the widths and amounts of training that are crossed, and everything else about the plan."""

    train_bytes: int
    test_bytes: int
    widths: tuple[int, ...]
    tokens: tuple[int, ...]
    plan: Plan


def run(lab: Lab, sizes: Sizes) -> None:
    """Train and score every width with every amount of training."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    for width in sizes.widths:
        for tokens in sizes.tokens:
            shape = Shape(width, sizes.plan.shape.layers, max(1, width // 32), sizes.plan.shape.window)

            def score(shape: Shape = shape, tokens: int = tokens) -> dict[str, Any]:
                trained = lab.train(replace(sizes.plan, shape=shape, tokens=tokens), text)
                found = payload(trained.export(), text.test)
                return {
                    "width": shape.width, "budget": tokens, "bpb": found.bpb, "bytes": found.raw_bytes,
                    "model_bytes": found.model_bytes, "text": text.origin, "seed": lab.seed,
                    "context": context_words(shape.window), **facts(trained),
                }  # fmt: skip

            lab.measure(f"width {width}, {tokens} tokens", score)


def _adjusted(row: Row, corpus: float) -> float:
    """Bits per byte with the model file counted."""
    return float(row["bpb"]) + 8 * float(row["model_bytes"]) / corpus


def _budgets(rows: Rows) -> list[int]:
    return sorted({row["budget"] for row in rows})


def tables(rows: Rows) -> Sequence[Table]:
    """Every model, raw and adjusted."""
    heads: tuple[str, ...] = ("width", "parameters", "tokens trained on", "bits per byte", "model file, bytes")
    heads += tuple(f"adjusted, {_size(corpus)}" for corpus in _CORPORA)
    cells = tuple(
        (
            str(row["width"]), f"{row['parameters']:,}", f"{row['trained_tokens']:,}", number(row["bpb"]),
            f"{row['model_bytes']:,}", *(number(_adjusted(row, corpus)) for corpus in _CORPORA),
        )
        for row in rows
    )  # fmt: skip
    return (Table(f"By width and training, on {rows[0]['bytes']:,} bytes, in bits per byte", heads, cells),)


def _size(corpus: float) -> str:
    return f"{corpus / 1e6:g} MB"


def figures(rows: Rows) -> Sequence[Figure]:
    """Raw rate by parameters for every amount of training; adjusted rate by parameters for every corpus."""
    raw = tuple(
        Series(
            f"{budget:,} tokens",
            tuple((float(row["parameters"]), float(row["bpb"])) for row in select(rows, budget=budget)),
        )
        for budget in _budgets(rows)
    )
    longest = select(rows, budget=_budgets(rows)[-1])
    adjusted = tuple(
        Series(
            f"corpus of {_size(corpus)}", tuple((float(row["parameters"]), _adjusted(row, corpus)) for row in longest)
        )
        for corpus in _CORPORA
    )
    return (
        Figure(
            "scaling-raw", "Raw rate: more parameters and more data", "parameters", "bits per byte", raw, "line",
            log_x=True, from_zero=False,
        ),
        Figure(
            "scaling-adjusted", "Adjusted rate: the model file counts", "parameters", "bits per byte, model included",
            adjusted, "line", log_x=True, log_y=True,
        ),
    )  # fmt: skip


def conclude(rows: Rows) -> Sequence[str]:
    """Say how steep it is, and which width is best for which corpus."""
    longest = select(rows, budget=_budgets(rows)[-1])
    small, large = longest[0], longest[-1]
    steep = (
        f"{large['parameters'] / small['parameters']:.1f} times the parameters take the raw rate from "
        f"{small['bpb']:.3f} to {large['bpb']:.3f} bits per byte at {large['trained_tokens']:,} tokens: every "
        f"doubling saves {_per_doubling(small, large, 'parameters'):.3f}."
    )
    said = [steep]
    few = select(rows, width=large["width"])[0]
    if few["budget"] != large["budget"]:
        said.append(
            f"{large['trained_tokens'] / few['trained_tokens']:.1f} times the training takes the widest model from "
            f"{few['bpb']:.3f} to {large['bpb']:.3f}: every doubling saves "
            f"{_per_doubling(few, large, 'trained_tokens'):.3f}."
        )
    best = [(corpus, min(longest, key=lambda row: _adjusted(row, corpus))) for corpus in _CORPORA]
    words = ", ".join(f"{row['width']} for {_size(corpus)}" for corpus, row in best)
    said.append(f"With the model file counted, the best width is {words}.")
    inside = [_size(corpus) for corpus, row in best if row is not small and row is not large]
    said.append(
        f"The curve has the shape of a U, best between the ends, for {', '.join(inside)}."
        if inside
        else "Within these widths no curve turns round: each is best at one end."
    )
    lost = [_size(corpus) for corpus, row in best if _adjusted(row, corpus) >= 8]
    return [*said, f"For {', '.join(lost)} every one of them is larger than the data themselves."] if lost else said


def _per_doubling(first: Row, last: Row, what: str) -> float:
    return float(first["bpb"] - last["bpb"]) / math.log2(last[what] / first[what])


def quotes(rows: Rows) -> Sequence[Quote]:
    """Rates of the same kind, on enwik9."""
    longest = select(rows, budget=_budgets(rows)[-1])
    ours = tuple(
        (
            f"here: {row['parameters']:,} parameters",
            number(100 * row["bpb"] / 8, 1),
            number(100 * _adjusted(row, 1e9) / 8, 1),
        )
        for row in longest
    )
    cells = tuple((them.name, number(them.text, 1), number(them.adjusted, 1)) for them in TABLE_1) + ours
    return (
        Quote(
            f"{DELETANG}, Table 1, enwik9.",
            Table("Size in percent of the data", ("model", "raw", "adjusted, 1 GB"), cells),
            "Their Transformers were trained on enwik8, which enwik9 contains, for far longer than ours, and code "
            "pieces of 2,048 bytes; a parameter counts two bytes. What can be compared is the direction: more "
            "parameters, fewer bits, as long as they are not counted, and a best size of model for every size of data "
            "if they are (their section 3.3).",
        ),
    )


STUDY = Study(
    name="scaling",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 50, "full": 1800},
    sizes={
        "quick": Sizes(QUICK_TEXT, 32_000, (8, 16, 32, 64), (150_000, 600_000), QUICK),
        "full": Sizes(FULL_TEXT, 256_000, (16, 32, 64, 128, 192), (500_000, 2_000_000, 8_000_000), FULL),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
    quotes=quotes,
)
