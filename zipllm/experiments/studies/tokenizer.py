"""Study: bytes or byte pairs, at the same amount of computing?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zipllm.bench.columns import amount
from zipllm.experiments import show
from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Rows
from zipllm.experiments.published import DELETANG
from zipllm.experiments.study import ByScale, Quote, Sizes, Study
from zipllm.experiments.training import BYTES, FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan
from zipllm.report.figures import Figure, Series

_CORPORA = (1e7, 1e9)


@dataclass(frozen=True)
class TokenizerSizes(Sizes):
    """The plan is that of the byte model."""

    vocabularies: tuple[int, ...]


class Tokenizer(Study[TokenizerSizes]):
    """One network over several vocabularies."""

    question = "Does it pay to predict byte pairs instead of bytes, at equal computing?"
    method = (
        "The same network is trained over bytes and over byte-pair vocabularies learned from the same text. A larger "
        "vocabulary enlarges the output matrix and makes every token dearer, so the model gets fewer tokens: as many "
        "as the multiplications of the byte model pay for, attention included. Bits are counted per byte of text, so "
        "that vocabularies can be compared."
    )
    expected = ByScale(60, 2000)
    sizes = ByScale(
        quick=TokenizerSizes(QUICK_TEXT, 32_000, QUICK, (512, 1024, 2048)),
        full=TokenizerSizes(FULL_TEXT, 256_000, FULL, (512, 1024, 2048, 4096, 8192)),
    )

    def run(self, lab: Lab, sizes: TokenizerSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        budget = multiplications(sizes.plan) * sizes.plan.tokens
        lab.total = 1 + len(sizes.vocabularies)
        for vocabulary in (BYTES, *sizes.vocabularies):
            each = multiplications(replace(sizes.plan, vocabulary=vocabulary))
            plan = replace(sizes.plan, vocabulary=vocabulary, tokens=budget // each)
            about = {"vocabulary": vocabulary, "multiplications": each}
            lab.measure(f"vocabulary {vocabulary}", lab.train_and_score, plan, text, None, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        columns = {
            "vocabulary": lambda row: _name(row["vocabulary"]),
            "bits per byte": lambda row: show.number(row["bpb"]),
            "bytes per token": lambda row: show.number(row["bytes_per_token"], 2),
            "window, bytes": lambda row: show.number(row["window"] * row["bytes_per_token"], 0),
            "parameters": lambda row: f"{row['parameters']:,}",
            "tokens": lambda row: f"{row['trained_tokens']:,}",
            "text, bytes": lambda row: show.number(row["trained_tokens"] * row["bytes_per_token"], 0),
            **show.adjusted_columns(_CORPORA),
        }
        return (show.table(f"Equal computing, on {rows[0]['bytes']:,} bytes", rows, columns),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        counted = tuple((float(row["vocabulary"]), show.adjusted(row, _CORPORA[0])) for row in rows)
        series = (
            Series("payload", show.points(rows, "vocabulary")),
            Series("with model, 10 MB", counted, marked=True),
        )
        return (show.curves("tokenizer", "Vocabularies at equal computing", "tokens in the vocabulary", series),)

    def conclude(self, rows: Rows) -> Sequence[str]:
        plain = rows[0]
        best = min(rows, key=lambda row: float(row["bpb"]))
        if best is plain:
            said = [
                f"Bytes cost {plain['bpb']:.3f} bits per byte.",
                "No vocabulary of byte pairs is better at this amount of computing.",
            ]
        else:
            more = best["trained_tokens"] * best["bytes_per_token"] / plain["trained_tokens"]
            saved = (
                f"A vocabulary of {best['vocabulary']:,} takes {show.change(best['bpb'], plain['bpb'])} than bytes "
                f"({best['bpb']:.3f} against {plain['bpb']:.3f} bits per byte)."
            )
            seen = (
                f"In training it sees {more:.1f} times as much text, and its tokens of "
                f"{best['bytes_per_token']:.2f} bytes make its window as many times longer."
            )
            said = [saved, seen]
        for corpus in _CORPORA:
            small = min(rows, key=lambda row: show.adjusted(row, corpus))
            said.append(f"With the model file counted over {amount(corpus)}, {_name(small['vocabulary'])} is best.")
        if best is rows[-1] and best is not plain:
            said.append("The largest vocabulary tried is the best; an even larger one may be better.")
        return said

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        plain, largest = rows[0], rows[-1]
        ours = (
            f"here: {plain['parameters']:,} parameters in bytes, {largest['vocabulary']:,} byte pairs",
            show.change(largest["bpb"], plain["bpb"]),
        )
        cells = (("their small models", "fewer bits"), ("their larger models", "more bits"), ours)
        return (
            Quote(
                f"{DELETANG}, section 3.6: Transformers on enwik8 in ASCII and in 1,000 to 20,000 byte pairs.",
                show.Table("What more tokens in the vocabulary bring", ("model", "payload"), cells),
                "They train each network on the same text; here each network computes equally much, which lets a model "
                "of longer tokens see more text.",
            ),
        )


def multiplications(plan: Plan) -> int:
    """Return the multiplications of one token in a forward pass: layers, output, attention over the window."""
    shape = plan.model_config(plan.vocabulary)
    body, _ = shape.parameter_counts()
    return body + plan.vocabulary * shape.width + 2 * shape.layers * shape.width * shape.window


def _name(vocabulary: int) -> str:
    return "bytes" if vocabulary == BYTES else f"{vocabulary:,}"


STUDY = Tokenizer()
