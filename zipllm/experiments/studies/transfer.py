"""Study: what does a model trained on one kind of text know of another?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zipllm.experiments import show
from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.material import Text
from zipllm.experiments.show import Table
from zipllm.experiments.study import ByScale, Sizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, Plan, Trained
from zipllm.report.figures import Figure, Series
from zipllm.train.start import Start

FRESH = "nothing"
"""Start of the control, which learns the small piece only."""
_TUNING_RATE = 0.5


@dataclass(frozen=True)
class TransferSizes(Sizes):
    """Domains, and how much of each the fine-tuning sees."""

    domains: tuple[str, ...]
    tuning_bytes: int
    tuning_tokens: int


class Transfer(Study[TransferSizes]):
    """Every domain on every other, before and after fine-tuning."""

    question = "How well does a model trained on one domain compress another, before and after a little fine-tuning?"
    method = (
        "A byte model is trained on each domain and codes held-out text of every domain. Then each is fine-tuned on a "
        "small piece of each other domain. As control, a new model is trained on that piece alone for as many tokens."
    )
    expected = ByScale(110, 3500)
    sizes = ByScale(
        quick=TransferSizes(
            500_000, 16_000, replace(QUICK, tokens=300_000), ("english", "python", "c"), 32_000, 64_000
        ),
        full=TransferSizes(
            FULL_TEXT // 2, 128_000, replace(FULL, tokens=2_000_000),
            ("english", "german", "python", "c", "chinese", "markup", "table"), 256_000, 512_000,
        ),
    )  # fmt: skip

    def run(self, lab: Lab, sizes: TransferSizes) -> None:
        found = {name: lab.text(name, sizes.train_bytes, sizes.test_bytes) for name in sizes.domains}
        texts = {name: text for name, text in found.items() if text and len(text.train) >= sizes.tuning_bytes}
        for name in set(found) - set(texts):
            lab.leave_out(f"{name}: no text to train on here")
        models = {name: lab.train(sizes.plan, text) for name, text in texts.items()}
        fresh = replace(sizes.plan, tokens=sizes.tuning_tokens)
        tuning = replace(fresh, rate=_TUNING_RATE)
        for target, text in texts.items():
            piece = replace(text, train=text.train[: sizes.tuning_bytes])
            for source, model in models.items():
                lab.measure(f"{source} on {target}", _score, lab, source, piece, model, tuned=False)
                if source != target:
                    lab.notice(f"{source} model, fine-tuned on {target}")
                    _tune(lab, source, piece, tuning, Start(model.model, model.tokenizer, source))
            _tune(lab, FRESH, piece, fresh, None)

    def tables(self, rows: Rows) -> Sequence[Table]:
        targets = show.distinct(rows, "target")
        heads = ("trained on", *(f"on {name}" for name in targets))
        parts = []
        for tuned in (False, True):
            cells = tuple(
                (source, *(show.number(_rate(rows, source, target, tuned=tuned)) for target in targets))
                for source in _sources(targets, tuned=tuned)
            )
            title = f"fine-tuned on {rows[0]['tuning_bytes']:,} bytes of the target" if tuned else "as trained"
            parts.append(Table(f"Bits per byte, {title}", heads, cells))
        return parts

    def figures(self, rows: Rows) -> Sequence[Figure]:
        targets = show.distinct(rows, "target")
        parts = []
        for tuned, name, title in ((False, "before", "as trained"), (True, "after", "after fine-tuning")):
            series = []
            for source in _sources(targets, tuned=tuned):
                rates = ((float(i), _rate(rows, source, target, tuned=tuned)) for i, target in enumerate(targets))
                series.append(Series(source, tuple((i, rate) for i, rate in rates if rate is not None)))
            title = f"Bits per byte, {title}"
            axes = ("measured on", "trained on")
            parts.append(Figure(f"transfer-{name}", title, *axes, tuple(series), "heat", ticks=tuple(targets)))
        return parts

    def conclude(self, rows: Rows) -> Sequence[str]:
        targets = show.distinct(rows, "target")
        said = []
        for target in targets:
            own = _rate(rows, target, target, tuned=False) or 0.0
            others = {name: _rate(rows, name, target, tuned=False) or 0.0 for name in targets if name != target}
            near, far = min(others, key=others.__getitem__), max(others, key=others.__getitem__)
            tuned = {name: _rate(rows, name, target, tuned=True) or 0.0 for name in others}
            fresh, best = _rate(rows, FRESH, target, tuned=True) or 0.0, min(tuned, key=tuned.__getitem__)
            said.append(
                f"On {target}: {own:.3f} bits per byte by its own model, {others[near]:.3f} by the one trained on "
                f"{near} ({show.change(others[near], own)}), {others[far]:.3f} by the one trained on {far}."
            )
            said.append(
                f"After the small piece of {target} the {best} model is at {tuned[best]:.3f}; a model that saw only "
                f"the piece is at {fresh:.3f}: having learned {best} first takes {show.change(tuned[best], fresh)}."
            )
        return said


def _tune(lab: Lab, source: str, piece: Text, plan: Plan, start: Start | None) -> None:
    model = lab.train(plan, piece, start)
    lab.measure(f"{source} on {piece.name}, fine-tuned", _score, lab, source, piece, model, tuned=True)


def _score(lab: Lab, source: str, target: Text, model: Trained, *, tuned: bool) -> Row:
    return lab.score(
        model,
        target,
        source=source,
        target=target.name,
        tuned=tuned,
        tuning_bytes=len(target.train),
        text=f"{target.name}: {target.origin}",
    )


def _sources(targets: Sequence[str], *, tuned: bool) -> list[str]:
    return [*targets, FRESH] if tuned else list(targets)


def _rate(rows: Rows, source: str, target: str, *, tuned: bool) -> float | None:
    found = show.select(rows, source=source, target=target, tuned=tuned and source != target)
    return float(found[0]["bpb"]) if found else None


STUDY = Transfer()
