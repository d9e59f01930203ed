"""Study: bytes or byte pairs, at the same amount of computing?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.published import DELETANG
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.study import Quote, Rows, Study, Table, change, number
from zipllm.experiments.training import BYTES, FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan
from zipllm.report.figures import Figure, Series

QUESTION = "Does it pay to predict byte pairs instead of bytes, if both may compute equally much?"
METHOD = (
    "One and the same network is trained over bytes and over byte-pair vocabularies learned from the same text. A "
    "larger vocabulary makes the output matrix larger and every token dearer, so it gets fewer tokens: as many as "
    "the multiplications of the byte model pay for, attention included. Bits are counted per byte of text, so that "
    "vocabularies can be compared."
)
_CORPORA = (1e7, 1e9)


@dataclass(frozen=True)
class Sizes:
    """Text, the vocabularies, and the plan of the byte model."""

    train_bytes: int
    test_bytes: int
    vocabularies: tuple[int, ...]
    plan: Plan


def multiplications(plan: Plan) -> int:
    """Multiplications a token takes in a forward pass: all matrices, the output, scores and mixing over the window."""
    shape = plan.shape.config(plan.vocabulary)
    body, _ = shape.parameter_counts()
    return body + plan.vocabulary * shape.width + 2 * shape.layers * shape.width * shape.window


def run(lab: Lab, sizes: Sizes) -> None:
    """Train and score every vocabulary."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    budget = multiplications(sizes.plan) * sizes.plan.tokens
    for vocabulary in (BYTES, *sizes.vocabularies):
        plan = replace(sizes.plan, vocabulary=vocabulary)
        plan = replace(plan, tokens=budget // multiplications(plan))

        def score(plan: Plan = plan) -> dict[str, Any]:
            trained = lab.train(plan, text)
            found = payload(trained.export(), text.test)
            return {
                "vocabulary": plan.vocabulary, "bpb": found.bpb, "bytes": found.raw_bytes,
                "bytes_per_token": found.raw_bytes / found.tokens, "model_bytes": found.model_bytes,
                "multiplications": multiplications(plan), "text": text.origin, "seed": lab.seed,
                "context": context_words(plan.shape.window), **facts(trained),
            }  # fmt: skip

        lab.measure(f"vocabulary {vocabulary}", score)


def tables(rows: Rows) -> Sequence[Table]:
    """By vocabulary."""
    heads: tuple[str, ...] = (
        "vocabulary",
        "bits per byte",
        "bytes per token",
        "window, bytes",
        "parameters",
        "tokens",
        "text, bytes",
    )
    heads += tuple(f"adjusted, {corpus / 1e6:,.0f} MB" for corpus in _CORPORA)
    cells = tuple(
        (
            _name(row["vocabulary"]), number(row["bpb"]), number(row["bytes_per_token"], 2),
            number(row["window"] * row["bytes_per_token"], 0), f"{row['parameters']:,}", f"{row['trained_tokens']:,}",
            number(row["trained_tokens"] * row["bytes_per_token"], 0),
            *(number(row["bpb"] + 8 * row["model_bytes"] / corpus) for corpus in _CORPORA),
        )
        for row in rows
    )  # fmt: skip
    return (Table(f"Equal computing, on {rows[0]['bytes']:,} bytes", heads, cells),)


def _name(vocabulary: int) -> str:
    return "bytes" if vocabulary == BYTES else f"{vocabulary:,}"


def figures(rows: Rows) -> Sequence[Figure]:
    """Bits per byte by size of vocabulary."""
    raw = tuple((float(row["vocabulary"]), float(row["bpb"])) for row in rows)
    adjusted = tuple((float(row["vocabulary"]), row["bpb"] + 8 * row["model_bytes"] / _CORPORA[0]) for row in rows)
    series = (Series("payload", raw), Series("with the model file, 10 MB", adjusted, marked=True))
    return (
        Figure(
            "tokenizer", "Vocabularies at equal computing", "tokens in the vocabulary", "bits per byte", series, "line",
            log_x=True, from_zero=False,
        ),
    )  # fmt: skip


def conclude(rows: Rows) -> Sequence[str]:
    """Say which vocabulary is best, raw and with the file counted, and what a token holds."""
    plain = rows[0]
    best = min(rows, key=lambda row: float(row["bpb"]))
    said = [
        f"Bytes cost {plain['bpb']:.3f} bits per byte."
        if best is plain
        else f"A vocabulary of {best['vocabulary']:,} takes {change(best['bpb'], plain['bpb'])} than bytes "
        f"({best['bpb']:.3f} against {plain['bpb']:.3f} bits per byte)."
    ]
    if best is plain:
        said.append("No vocabulary of byte pairs is better at this amount of computing.")
    else:
        said.append(
            f"It sees {best['trained_tokens'] * best['bytes_per_token'] / plain['trained_tokens']:.1f} times as much "
            f"text in training, and {best['bytes_per_token']:.2f} bytes a token make its window as many times longer."
        )
    for corpus in _CORPORA:
        small = min(rows, key=lambda row: row["bpb"] + 8 * row["model_bytes"] / corpus)
        said.append(f"With the model file counted over {corpus / 1e6:,.0f} MB, {_name(small['vocabulary'])} is best.")
    if best is rows[-1] and best is not plain:
        said.append("The largest vocabulary tried is the best, so the best one may be larger still.")
    return said


def quotes(rows: Rows) -> Sequence[Quote]:
    """What was found when other models were given larger vocabularies."""
    plain, largest = rows[0], rows[-1]
    ours = (
        f"here: {plain['parameters']:,} parameters in bytes, {largest['vocabulary']:,} byte pairs",
        change(largest["bpb"], plain["bpb"]),
    )
    cells = (("their small models", "fewer bits"), ("their larger models", "more bits"), ours)
    return (
        Quote(
            f"{DELETANG}, section 3.6: Transformers on enwik8 in ASCII and in 1,000 to 20,000 byte pairs.",
            Table("What more tokens in the vocabulary bring", ("model", "payload"), cells),
            "They train each network on the same text, we let each compute equally much, which lets a model of longer "
            "tokens see more text.",
        ),
    )


STUDY = Study(
    name="tokenizer",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 60, "full": 2000},
    sizes={
        "quick": Sizes(QUICK_TEXT, 32_000, (512, 1024, 2048), QUICK),
        "full": Sizes(FULL_TEXT, 256_000, (512, 1024, 2048, 4096, 8192), FULL),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
    quotes=quotes,
)
