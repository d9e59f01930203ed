"""Study: what does a model trained on one kind of text know of another?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zipllm.experiments import show
from zipllm.experiments.lab import Lab, score
from zipllm.experiments.ledger import Rows
from zipllm.experiments.material import find_text
from zipllm.experiments.study import ByScale, Sizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK
from zipllm.report.figures import Figure
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
        found = {name: find_text(name, lab.places, sizes.train_bytes, sizes.test_bytes) for name in sizes.domains}
        texts = {name: text for name, text in found.items() if text and len(text.train) >= sizes.tuning_bytes}
        for name in set(found) - set(texts):
            lab.leave_out(f"{name}: no text to train on here")
        lab.total = 2 * len(texts) ** 2
        models = {name: lab.train(sizes.plan, text) for name, text in texts.items()}
        fresh = replace(sizes.plan, tokens=sizes.tuning_tokens)
        tuning = replace(fresh, rate=_TUNING_RATE)
        for target, text in texts.items():
            piece = replace(text, train=text.train[: sizes.tuning_bytes])
            about = {"target": target, "tuning_bytes": len(piece.train), "text": f"{target}: {text.origin}"}
            for source, model in models.items():
                lab.measure(f"{source} on {target}", score, model, piece, source=source, tuned=False, **about)
            starts = {name: Start(each.model, each.tokenizer, name) for name, each in models.items() if name != target}
            for source, start in (*starts.items(), (FRESH, None)):
                plan, key = tuning if start else fresh, f"{source} on {target}, fine-tuned"
                lab.measure(key, lab.train_and_score, plan, piece, start, source=source, tuned=True, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        targets = show.distinct(rows, "target")
        heads = ("trained on", *(f"on {name}" for name in targets))
        parts = []
        for tuned in (False, True):
            cells = tuple(
                (source, *(show.number(_rate(rows, source, target, tuned=tuned)) for target in targets))
                for source in (*targets, *([FRESH] if tuned else []))
            )
            title = f"fine-tuned on {rows[0]['tuning_bytes']:,} bytes of the target" if tuned else "as trained"
            parts.append(show.Table(f"Bits per byte, {title}", heads, cells))
        return parts

    def figures(self, rows: Rows) -> Sequence[Figure]:
        targets = show.distinct(rows, "target")
        before = show.grid(targets, targets, lambda source, target: _rate(rows, source, target, tuned=False))
        after = show.grid([*targets, FRESH], targets, lambda source, target: _rate(rows, source, target, tuned=True))
        axes, ticks = ("measured on", "trained on"), tuple(targets)
        return (
            Figure("transfer-before", "Bits per byte, as trained", *axes, before, "heat", ticks=ticks),
            Figure("transfer-after", "Bits per byte, after fine-tuning", *axes, after, "heat", ticks=ticks),
        )

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


def _rate(rows: Rows, source: str, target: str, *, tuned: bool) -> float | None:
    found = show.select(rows, source=source, target=target, tuned=tuned and source != target)
    return float(found[0]["bpb"]) if found else None


STUDY = Transfer()
