"""Study: does starting from the shipped model help a small corpus, and up to which size?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from zipllm.experiments import show
from zipllm.experiments.lab import Lab, score
from zipllm.experiments.ledger import Rows
from zipllm.experiments.material import find_text
from zipllm.experiments.study import ByScale, Study
from zipllm.experiments.training import FULL, QUICK, Plan, shipped_model
from zipllm.model.architecture import architecture_of
from zipllm.report.figures import Figure, Series
from zipllm.train.start import Start, load_start

SHIPPED, TUNED = "shipped, as it is", "shipped, trained on"
FRESH, BYTES = "same network, from nothing", "byte model, from nothing"
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


class Pretraining(Study[Sizes]):
    """Every start on every corpus."""

    question = "Does starting from the shipped model help a small corpus, and how large may the corpus be?"
    method = (
        "The shipped model is trained further on corpora of several sizes. The same network with fresh weights, and a "
        "small byte model, learn the same corpora from nothing; the first sees exactly the same tokens, the second a "
        "fixed number of them. All code the same held-out text, and so does the shipped model as it is."
    )
    expected = ByScale(150, 5400)
    sizes = ByScale(
        quick=Sizes(("c",), (16_000, 64_000), 16_000, 2, replace(QUICK, tokens=200_000)),
        full=Sizes(
            ("c", "table", "german"), (16_000, 64_000, 256_000, 1_000_000), 64_000, 3, replace(FULL, tokens=2_000_000)
        ),
    )

    def run(self, lab: Lab, sizes: Sizes) -> None:
        shipped = load_start(sizes.start)
        torch.manual_seed(lab.seed)
        fresh = Start(
            architecture_of(shipped.model.config).float_form(shipped.model.config), shipped.tokenizer, "nothing"
        )
        lab.total = len(sizes.domains) * (1 + 3 * len(sizes.corpora))
        for domain in sizes.domains:
            text = find_text(domain, lab.places, max(sizes.corpora), sizes.test_bytes)
            if text is None or len(text.train) < max(sizes.corpora):
                lab.leave_out(f"{domain}: not enough text to train on here")
                lab.total -= 1 + 3 * len(sizes.corpora)
                continue
            about = {"domain": domain, "near": text.near_shipped, "text": f"{domain}: {text.origin}"}
            lab.notice(f"shipped model, as it is, on {domain}")
            trained = shipped_model(shipped, text.train, 256)
            lab.measure(f"{SHIPPED}, {domain}", score, trained, text, start=SHIPPED, corpus=0, **about)
            for size in sizes.corpora:
                piece = replace(text, train=text.train[:size])
                tokens = sizes.epochs * len(shipped.tokenizer.encode(piece.train))
                plan = replace(sizes.byte_plan, tokens=tokens, batch=2)
                for name, how, start in (
                    (TUNED, replace(plan, rate=_TUNING_RATE), shipped),
                    (FRESH, plan, fresh),
                    (BYTES, sizes.byte_plan, None),
                ):
                    key, of_row = f"{name}, {domain}, {size}", {**about, "start": name, "corpus": size}
                    lab.measure(key, lab.train_and_score, how, piece, start, **of_row)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        parts = []
        for domain in show.distinct(rows, "domain"):
            found = show.select(rows, domain=domain)
            (asis,) = show.select(found, start=SHIPPED)
            curves = {start: dict(_curve(found, start)) for start in (TUNED, FRESH, BYTES)}
            cells = tuple(
                (f"{size:,.0f}", show.number(asis["bpb"]), *(show.number(curve[size]) for curve in curves.values()))
                for size in curves[TUNED]
            )
            title = f"{domain}, bits per byte on {asis['bytes']:,} held-out bytes"
            parts.append(show.Table(title, ("corpus, bytes", SHIPPED, *curves), cells))
        return parts

    def figures(self, rows: Rows) -> Sequence[Figure]:
        parts = []
        for domain in show.distinct(rows, "domain"):
            found = show.select(rows, domain=domain)
            asis = float(show.select(found, start=SHIPPED)[0]["bpb"])
            series = [Series(SHIPPED, tuple((size, asis) for size, _ in _curve(found, TUNED)), marked=True)]
            series += [Series(start, _curve(found, start)) for start in (TUNED, FRESH, BYTES)]
            title = f"What a start is worth, {domain}"
            parts.append(show.curves(f"pretraining-{domain}", title, "corpus, bytes", series))
        return parts

    def conclude(self, rows: Rows) -> Sequence[str]:
        said = []
        for domain in show.distinct(rows, "domain"):
            found = show.select(rows, domain=domain)
            asis = float(show.select(found, start=SHIPPED)[0]["bpb"])
            tuned = _curve(found, TUNED)
            size, last = tuned[-1]
            said.append(
                f"{domain}: as it is, the shipped model takes {asis:.3f} bits per byte; training on {size:,.0f} bytes "
                f"takes {show.change(last, asis)} ({last:.3f})."
            )
            said += [f"{domain}, {name}: {_when(_curve(found, name), tuned, asis)}" for name in (FRESH, BYTES)]
            harmed = [f"{corpus:,.0f}" for corpus, rate in tuned if rate > asis]
            if harmed:
                said.append(f"{domain}: training on {', '.join(harmed)} bytes makes the shipped model worse.")
            if any(row["near"] for row in found):
                said.append(f"{domain}: no fair test, the shipped model learned from such text of Python itself.")
        return said


def _curve(rows: Rows, start: str) -> tuple[tuple[float, float], ...]:
    return tuple(sorted(show.points(show.select(rows, start=start), "corpus")))


def _when(curve: Sequence[tuple[float, float]], tuned: Sequence[tuple[float, float]], asis: float) -> str:
    """Say from which size on a model from nothing reaches the shipped one, as it is and trained further."""
    reached = next((size for size, rate in curve if rate <= asis), None)
    beaten = next((size for (size, rate), (_, other) in zip(curve, tuned, strict=True) if rate <= other), None)
    size, rate = curve[-1]
    said = f"{rate:.3f} at {size:,.0f} bytes; "
    if reached is None:
        said += "it does not reach the shipped model as it is"
    else:
        said += f"it reaches the shipped one at {reached:,.0f}"
    if beaten is not None:
        return f"{said}, and the one trained further at {beaten:,.0f}."
    if reached is not None:
        return f"{said}, but not the one trained further."
    return f"{said}, nor, at any size tried, the one trained further."


STUDY = Pretraining()
