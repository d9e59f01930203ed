"""Study: does starting from the shipped model help a small corpus, and up to which size?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.material import Text
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.study import Rows, Study, Table, change, number, select
from zipllm.experiments.training import FULL, QUICK, Plan, Trained
from zipllm.model.transformer import Transformer
from zipllm.report.figures import Figure, Series
from zipllm.train.start import Start, load_start

QUESTION = "Does starting from the shipped model help a small corpus, and how large may the corpus be?"
METHOD = (
    "The shipped model goes on with corpora of several sizes. The same network with fresh weights, and a small byte "
    "model, learn the same corpora from nothing; the first sees exactly the same tokens, the second a fixed number "
    "of them. All code the same held-out text, and the shipped model as it is does, too."
)
SHIPPED, TUNED, FRESH, BYTES = (
    "shipped, as it is",
    "shipped, trained on",
    "same network, from nothing",
    "byte model, from nothing",
)
_TUNING_RATE = 0.3


@dataclass(frozen=True)
class Sizes:
    """Domains, sizes of the corpora, and training."""

    domains: tuple[str, ...]
    corpora: tuple[int, ...]
    test_bytes: int
    epochs: int
    byte_plan: Plan
    start: str = "small"


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure every start on every corpus."""
    shipped = load_start(sizes.start)
    torch.manual_seed(lab.seed)
    fresh = Start(Transformer(shipped.model.config), shipped.tokenizer, "nothing")
    for domain in sizes.domains:
        text = lab.text_if_any(domain, max(sizes.corpora), sizes.test_bytes)
        if text is None or len(text.train) < max(sizes.corpora):
            lab.leave_out(f"{domain}: not enough text of it to train on here")
            continue
        _measure_shipped(lab, text, shipped)
        for size in sizes.corpora:
            piece = replace(text, train=text.train[:size])
            tokens = sizes.epochs * len(shipped.tokenizer.encode(piece.train))
            plan = Plan(sizes.byte_plan.shape, tokens, sequence=sizes.byte_plan.sequence, batch=2)
            _measure(lab, TUNED, piece, replace(plan, rate=_TUNING_RATE), shipped)
            _measure(lab, FRESH, piece, plan, fresh)
            _measure(lab, BYTES, piece, sizes.byte_plan, None)


def _measure_shipped(lab: Lab, text: Text, start: Start) -> None:
    tokens = start.tokenizer.encode(text.train)
    length = min(256, len(tokens))
    windows = torch.from_numpy(tokens[: len(tokens) // length * length]).long().view(-1, length)[:32]
    model = Trained(start.model.eval(), start.tokenizer, windows, 0, 0.0, start.name)
    lab.notice(f"shipped model, as it is, on {text.name}")
    lab.measure(f"{SHIPPED}, {text.name}", lambda: _row(lab, SHIPPED, text, 0, model))


def _measure(lab: Lab, name: str, piece: Text, plan: Plan, start: Start | None) -> None:
    size = len(piece.train)
    lab.measure(f"{name}, {piece.name}, {size}", lambda: _row(lab, name, piece, size, lab.train(plan, piece, start)))


def _row(lab: Lab, name: str, text: Text, size: int, model: Trained) -> dict[str, Any]:
    found = payload(model.export(), text.test)
    return {
        "start": name, "domain": text.name, "corpus": size, "bpb": found.bpb, "bytes": found.raw_bytes,
        "model_bytes": found.model_bytes, "near": text.near_shipped, "text": f"{text.name}: {text.origin}",
        "context": context_words(model.model.config.window), "seed": lab.seed, **facts(model),
    }  # fmt: skip


def _domains(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["domain"] for row in rows))


def _curve(rows: Rows, start: str) -> list[tuple[int, float]]:
    return sorted((int(row["corpus"]), float(row["bpb"])) for row in select(rows, start=start))


def tables(rows: Rows) -> Sequence[Table]:
    """One table for each domain."""
    parts = []
    for domain in _domains(rows):
        found = select(rows, domain=domain)
        (asis,) = select(found, start=SHIPPED)
        curves = {start: dict(_curve(found, start)) for start in (TUNED, FRESH, BYTES)}
        cells = tuple(
            (f"{size:,}", number(asis["bpb"]), *(number(curve[size]) for curve in curves.values()))
            for size in curves[TUNED]
        )
        title = f"{domain}, bits per byte on {asis['bytes']:,} held-out bytes"
        parts.append(Table(title, ("corpus, bytes", SHIPPED, *curves), cells))
    return parts


def figures(rows: Rows) -> Sequence[Figure]:
    """Bits per byte by size of the corpus, one figure for each domain."""
    parts = []
    for domain in _domains(rows):
        found = select(rows, domain=domain)
        curves = {start: _curve(found, start) for start in (TUNED, FRESH, BYTES)}
        flat = [(size, select(found, start=SHIPPED)[0]["bpb"]) for size, _ in curves[TUNED]]
        series = [Series(SHIPPED, tuple(flat), marked=True)]
        series += [Series(start, tuple((float(x), y) for x, y in curve)) for start, curve in curves.items()]
        parts.append(
            Figure(
                f"pretraining-{domain}", f"What a start is worth, {domain}", "corpus, bytes", "bits per byte",
                tuple(series), "line", log_x=True, from_zero=False,
            )
        )  # fmt: skip
    return parts


def conclude(rows: Rows) -> Sequence[str]:
    """Say what going on brings, and from which size on one may begin with nothing."""
    said = []
    for domain in _domains(rows):
        found = select(rows, domain=domain)
        asis = float(select(found, start=SHIPPED)[0]["bpb"])
        tuned, fresh, plain = (_curve(found, start) for start in (TUNED, FRESH, BYTES))
        size, last = tuned[-1]
        said.append(
            f"{domain}: as it is, the shipped model takes {asis:.3f} bits per byte; going on with {size:,} bytes "
            f"takes {change(last, asis)} ({last:.3f})."
        )
        for name, curve in ((FRESH, fresh), (BYTES, plain)):
            said.append(f"{domain}, {name}: {_when(curve, tuned, asis)}")
        harmed = [f"{corpus:,}" for corpus, rate in tuned if rate > asis]
        if harmed:
            said.append(f"{domain}: with {', '.join(harmed)} bytes, going on makes the shipped model worse.")
        if any(row["near"] for row in found):
            said.append(f"{domain}: no fair test, the shipped model learned from such text of Python itself.")
    return said


def _when(curve: list[tuple[int, float]], tuned: list[tuple[int, float]], asis: float) -> str:
    """From which size on a model from nothing reaches the shipped one, before and after it has gone on."""
    reached = next((size for size, rate in curve if rate <= asis), None)
    beaten = next((size for (size, rate), (_, other) in zip(curve, tuned, strict=True) if rate <= other), None)
    size, rate = curve[-1]
    said = f"{rate:.3f} at {size:,} bytes; "
    said += (
        "it does not reach the shipped model as it is"
        if reached is None
        else f"it reaches the shipped one at {reached:,}"
    )
    return said + (
        ", nor, at any size tried, the one that went on."
        if beaten is None and reached is None
        else ", but not the one that went on."
        if beaten is None
        else f", and the one that went on at {beaten:,}."
    )


STUDY = Study(
    name="pretraining",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 150, "full": 5400},
    sizes={
        "quick": Sizes(("c",), (16_000, 64_000), 16_000, 2, replace(QUICK, tokens=200_000)),
        "full": Sizes(
            ("c", "table", "german"), (16_000, 64_000, 256_000, 1_000_000), 64_000, 3, replace(FULL, tokens=2_000_000)
        ),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
)
