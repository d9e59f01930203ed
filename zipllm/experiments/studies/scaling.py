"""Study: how does the rate fall with parameters and data, and when do the parameters cost more than they save?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zipllm.bench.columns import amount
from zipllm.experiments import show
from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.study import ByScale, Quote, Sizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT
from zipllm.report.figures import Figure, Series

_CORPORA = (1e5, 1e6, 1e7, 1e8, 1e9)
"""Bytes over which the model file is spread."""


@dataclass(frozen=True)
class ScalingSizes(Sizes):
    """Every width is trained on every number of tokens; the plan says the rest."""

    widths: tuple[int, ...]
    tokens: tuple[int, ...]


class Scaling(Study[ScalingSizes]):
    """Widths by amounts of training."""

    question = "How do bits per byte fall with parameters and data, and which model is best once its file counts?"
    method = (
        "Byte models of several widths are trained on several amounts of the same text and code the same held-out "
        "text. The raw rate counts the payload. The adjusted rate adds the model file, spread over a corpus of a given "
        "size that is assumed to cost the same rate."
    )
    expected = ByScale(50, 1800)
    sizes = ByScale(
        quick=ScalingSizes(QUICK_TEXT, 32_000, QUICK, (8, 16, 32, 64), (150_000, 600_000)),
        full=ScalingSizes(FULL_TEXT, 256_000, FULL, (16, 32, 64, 128, 192), (500_000, 2_000_000, 8_000_000)),
    )

    def run(self, lab: Lab, sizes: ScalingSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        lab.total = len(sizes.widths) * len(sizes.tokens)
        for width in sizes.widths:
            for tokens in sizes.tokens:
                plan, key = replace(sizes.plan, width=width, tokens=tokens), f"width {width}, {tokens} tokens"
                lab.measure(key, lab.train_and_score, plan, text, None, width=width, budget=tokens)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        columns = {
            "width": lambda row: str(row["width"]),
            "parameters": lambda row: f"{row['parameters']:,}",
            "tokens trained on": lambda row: f"{row['trained_tokens']:,}",
            "bits per byte": lambda row: show.number(row["bpb"]),
            "model file, bytes": lambda row: f"{row['model_bytes']:,}",
            **show.adjusted_columns(_CORPORA),
        }
        return (show.table(f"By width and training, on {rows[0]['bytes']:,} bytes, in bits per byte", rows, columns),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        raw = tuple(
            Series(f"{budget:,} tokens", show.points(show.select(rows, budget=budget), "parameters"))
            for budget in sorted({row["budget"] for row in rows})
        )
        counted = tuple(
            Series(
                f"corpus of {amount(corpus)}",
                tuple((float(row["parameters"]), show.adjusted(row, corpus)) for row in _longest(rows)),
            )
            for corpus in _CORPORA
        )
        return (
            show.curves("scaling-raw", "Raw rate: more parameters and more data", "parameters", raw),
            Figure(
                "scaling-adjusted", "Adjusted rate: the model file counts", "parameters",
                "bits per byte, model included", counted, "line", log_x=True, log_y=True,
            ),
        )  # fmt: skip

    def conclude(self, rows: Rows) -> Sequence[str]:
        longest = _longest(rows)
        small, large = longest[0], longest[-1]
        growth = (
            f"{large['parameters'] / small['parameters']:.1f} times the parameters take the raw rate from "
            f"{small['bpb']:.3f} to {large['bpb']:.3f} bits per byte at {large['trained_tokens']:,} tokens: every "
            f"doubling saves {_per_doubling(small, large, 'parameters'):.3f}."
        )
        said = [growth]
        few = show.select(rows, width=large["width"])[0]
        if few["budget"] != large["budget"]:
            said.append(
                f"{large['trained_tokens'] / few['trained_tokens']:.1f} times the training takes the widest model from "
                f"{few['bpb']:.3f} to {large['bpb']:.3f}: every doubling saves "
                f"{_per_doubling(few, large, 'trained_tokens'):.3f}."
            )
        best = [(corpus, min(longest, key=lambda row: show.adjusted(row, corpus))) for corpus in _CORPORA]
        words = ", ".join(f"{row['width']} for {amount(corpus)}" for corpus, row in best)
        inside = [amount(corpus) for corpus, row in best if row is not small and row is not large]
        said += [
            f"With the model file counted, the best width is {words}.",
            f"The curve has the shape of a U, best between the ends, for {', '.join(inside)}."
            if inside
            else "Within these widths no curve turns: each is best at one end.",
        ]
        if lost := [amount(corpus) for corpus, row in best if show.adjusted(row, corpus) >= 8]:
            said.append(f"For {', '.join(lost)} every model with its file is larger than the data.")
        return said

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        ours = tuple(
            (
                f"here: {row['parameters']:,} parameters",
                *(show.number(100 * rate / 8, 1) for rate in (row["bpb"], show.adjusted(row, 1e9))),
            )
            for row in _longest(rows)
        )
        cells = tuple((them.name, show.number(them.text, 1), show.number(them.adjusted, 1)) for them in TABLE_1) + ours
        return (
            Quote(
                f"{DELETANG}, Table 1, enwik9.",
                show.Table("Size in percent of the data", ("model", "raw", "adjusted, 1 GB"), cells),
                "Their Transformers were trained on enwik8, which enwik9 contains, for far longer than ours, and code "
                "pieces of 2,048 bytes; a parameter counts two bytes. Only the direction is comparable: more "
                "parameters give fewer bits as long as they do not count, and if they do, every size of data has its "
                "best size of model (their section 3.3).",
            ),
        )


def _longest(rows: Rows) -> list[Row]:
    """Return the rows with most training."""
    return show.select(rows, budget=max(row["budget"] for row in rows))


def _per_doubling(first: Row, last: Row, what: str) -> float:
    return float(first["bpb"] - last["bpb"]) / math.log2(last[what] / first[what])


STUDY = Scaling()
