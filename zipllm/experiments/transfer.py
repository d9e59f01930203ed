"""Study: what does a model trained on one kind of text know of another?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.material import Text
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.study import Rows, Study, Table, change, number, select
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, Plan, Trained, as_start
from zipllm.report.figures import Figure, Series

QUESTION = "How well does a model trained on one domain compress another, before and after a little fine-tuning?"
METHOD = (
    "A byte model is trained on each domain and codes held-out text of every domain. Then each is fine-tuned on a "
    "small piece of each other domain, and a new model is trained on that piece alone for as many tokens, as "
    "control."
)
FRESH = "nothing"
"""What the control has been trained on before the small piece."""
_TUNING_RATE = 0.5


@dataclass(frozen=True)
class Sizes:
    """Domains, training, and fine-tuning."""

    domains: tuple[str, ...]
    train_bytes: int
    test_bytes: int
    plan: Plan
    tuning_bytes: int
    tuning_tokens: int


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure the matrix, then the one after fine-tuning."""
    found = {name: lab.text_if_any(name, sizes.train_bytes, sizes.test_bytes) for name in sizes.domains}
    texts = {name: text for name, text in found.items() if text is not None and len(text.train) >= sizes.tuning_bytes}
    for name in set(found) - set(texts):
        lab.leave_out(f"{name}: no text of it to train on here")
    models = {name: lab.train(sizes.plan, text) for name, text in texts.items()}
    tuning = replace(sizes.plan, tokens=sizes.tuning_tokens, rate=_TUNING_RATE)
    fresh = replace(sizes.plan, tokens=sizes.tuning_tokens)
    for target, text in texts.items():
        piece = replace(text, train=text.train[: sizes.tuning_bytes])
        for source, model in models.items():
            _measure(lab, source, piece, model, tuned=False)
            if source != target:
                lab.notice(f"{source} model, fine-tuned on {target}")
                _measure(lab, source, piece, lab.train(tuning, piece, as_start(model)), tuned=True)
        _measure(lab, FRESH, piece, lab.train(fresh, piece), tuned=True)


def _measure(lab: Lab, source: str, target: Text, model: Trained, *, tuned: bool) -> None:
    def score() -> dict[str, Any]:
        found = payload(model.export(), target.test)
        return {
            "source": source, "target": target.name, "tuned": tuned, "bpb": found.bpb, "bytes": found.raw_bytes,
            "tuning_bytes": len(target.train), "text": f"{target.name}: {target.origin}", "seed": lab.seed,
            "context": context_words(model.model.config.window), **facts(model),
        }  # fmt: skip

    lab.measure(f"{source} on {target.name}{', fine-tuned' if tuned else ''}", score)


def _targets(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["target"] for row in rows))


def _rate(rows: Rows, source: str, target: str, *, tuned: bool) -> float | None:
    found = select(rows, source=source, target=target, tuned=tuned and source != target)
    return float(found[0]["bpb"]) if found else None


def tables(rows: Rows) -> Sequence[Table]:
    """The matrix before and after fine-tuning."""
    targets = _targets(rows)
    heads = ("trained on", *(f"on {name}" for name in targets))
    parts = []
    for tuned in (False, True):
        sources = [*targets, FRESH] if tuned else targets
        cells = tuple(
            (source, *(number(_rate(rows, source, target, tuned=tuned)) for target in targets)) for source in sources
        )
        title = f"fine-tuned on {rows[0]['tuning_bytes']:,} bytes of the target" if tuned else "as trained"
        parts.append(Table(f"Bits per byte, {title}", heads, cells))
    return parts


def figures(rows: Rows) -> Sequence[Figure]:
    """Both matrices in colors."""
    targets = _targets(rows)
    parts = []
    for tuned, title in ((False, "as trained"), (True, "after fine-tuning")):
        series = []
        for source in [*targets, FRESH] if tuned else targets:
            rates = ((i, _rate(rows, source, target, tuned=tuned)) for i, target in enumerate(targets))
            series.append(Series(source, tuple((float(i), rate) for i, rate in rates if rate is not None)))
        name = f"transfer-{'after' if tuned else 'before'}"
        parts.append(
            Figure(
                name,
                f"Bits per byte, {title}",
                "measured on",
                "trained on",
                tuple(series),
                "heat",
                ticks=tuple(targets),
            )
        )
    return parts


def conclude(rows: Rows) -> Sequence[str]:
    """Say what distance costs, and whether having learned something else first helps."""
    targets = _targets(rows)
    said = []
    for target in targets:
        own = _rate(rows, target, target, tuned=False) or 0.0
        others = {name: _rate(rows, name, target, tuned=False) or 0.0 for name in targets if name != target}
        near, far = min(others, key=others.__getitem__), max(others, key=others.__getitem__)
        said.append(
            f"On {target}: {own:.3f} bits per byte by its own model, {others[near]:.3f} by the one trained on {near} "
            f"({change(others[near], own)}), {others[far]:.3f} by the one trained on {far}."
        )
        tuned = {name: _rate(rows, name, target, tuned=True) or 0.0 for name in others}
        fresh, best = _rate(rows, FRESH, target, tuned=True) or 0.0, min(tuned, key=tuned.__getitem__)
        said.append(
            f"After the small piece of {target} the {best} model is at {tuned[best]:.3f}; a model that saw the piece "
            f"only is at {fresh:.3f}: having learned {best} first takes {change(tuned[best], fresh)}."
        )
    return said


STUDY = Study(
    name="transfer",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 110, "full": 3500},
    sizes={
        "quick": Sizes(("english", "python", "c"), 500_000, 16_000, replace(QUICK, tokens=300_000), 32_000, 64_000),
        "full": Sizes(
            ("english", "german", "python", "c", "chinese", "markup", "table"),
            FULL_TEXT // 2, 128_000, replace(FULL, tokens=2_000_000), 256_000, 512_000,
        ),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
)  # fmt: skip
