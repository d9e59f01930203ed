"""Study: what is context worth, by window and by position?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from zipllm.engine.engine import Engine, engine_from_model
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.scoring import context_words, costs_along, payload
from zipllm.experiments.study import Rows, Study, Table, change, number, select, trained_on
from zipllm.experiments.training import Plan, Shape
from zipllm.report.figures import Figure, Series

QUESTION = "How much does a longer context save, and how far into a text does the saving go on?"
METHOD = (
    "Models that differ in their attention window only, trained on the same tokens, code the same held-out text. Then "
    "the model with the longest window codes pieces of text that each begin with nothing, alone and with the history, "
    "and the cost of every byte is averaged by its position in the piece."
)
_WAYS = {False: "Transformer", True: "Transformer + history"}


@dataclass(frozen=True)
class Sizes:
    """Training, windows, and the pieces along which the cost is followed."""

    train_bytes: int
    test_bytes: int
    tokens: int
    width: int
    layers: int
    windows: tuple[int, ...]
    pieces: int
    piece_bytes: int
    sequence: int = 256


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure every window, then the cost along pieces."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    about = {"text": text.origin, "seed": lab.seed}
    for window in sizes.windows:
        shape = Shape(sizes.width, sizes.layers, max(1, sizes.width // 32), window)
        trained = lab.train(Plan(shape, sizes.tokens, sequence=sizes.sequence), text)
        model = trained.export()

        def score(model: Any = model, trained: Any = trained, window: int = window) -> dict[str, Any]:
            found = payload(model, text.test)
            return {"bpb": found.bpb, "bytes": found.raw_bytes, "context": context_words(window), **facts(trained)}

        lab.measure(f"window {window}", lambda score=score: {**score(), **about})  # type: ignore[misc]
    engine = engine_from_model(model)
    pieces = _cut(text.test, sizes)
    for history, name in _WAYS.items():
        lab.notice(f"{name} along {len(pieces)} pieces of {sizes.piece_bytes:,} bytes")
        lab.measure(
            f"along, {name}",
            lambda history=history: {  # type: ignore[misc]
                "along": _along(engine, pieces, history=history),
                "window_reach": max(sizes.windows),
                "pieces": len(pieces),
                "context": f"along: pieces of {sizes.piece_bytes:,} bytes, each a block of one lane that begins "
                "with nothing",
                **about,
            },
        )


def _cut(data: bytes, sizes: Sizes) -> list[bytes]:
    """Pieces at equal distances, at most as many as are wanted; none shares a byte with another."""
    step = max(sizes.piece_bytes, len(data) // sizes.pieces)
    begins = range(0, len(data) - sizes.piece_bytes + 1, step)
    return [data[begin : begin + sizes.piece_bytes] for begin in begins][: sizes.pieces]


def _along(engine: Engine, pieces: list[bytes], *, history: bool) -> list[list[float]]:
    """Bits per byte between positions that double: ``[begin, end, bits per byte]``."""
    edges = [0, *(1 << power for power in range(len(pieces[0]).bit_length()))]
    bits = np.zeros(len(edges) - 1)
    counts = np.zeros(len(edges) - 1)
    for piece in pieces:
        starts, costs = costs_along(engine, piece, history=history)
        places = np.searchsorted(edges, starts, side="right") - 1
        bits += np.bincount(places, weights=costs, minlength=len(bits))[: len(bits)]
        counts += np.bincount(places, minlength=len(bits))[: len(bits)]
    return [[edges[i], edges[i + 1], float(bits[i] / counts[i])] for i in range(len(bits)) if counts[i]]


def _windows(rows: Rows) -> Rows:
    return [row for row in rows if str(row["key"]).startswith("window ")]


def tables(rows: Rows) -> Sequence[Table]:
    """By window, and by position."""
    found = _windows(rows)
    cells = tuple((str(row["window"]), number(row["bpb"]), f"{row['parameters']:,}", trained_on(row)) for row in found)
    heads = ("window, bytes", "bits per byte", "parameters", "tokens trained on")
    parts = [Table(f"By window, on {found[0]['bytes']:,} bytes", heads, cells)]
    count = select(rows, key=f"along, {_WAYS[False]}")[0]["pieces"]
    alone, both = (_curve(rows, name) for name in _WAYS.values())
    positions = tuple(
        (f"{begin:,.0f} to {end - 1:,.0f}", number(rate), number(both[i][2]) if i < len(both) else "-")
        for i, (begin, end, rate) in enumerate(alone)
    )
    return (*parts, Table(f"By position, bits per byte, mean of {count} pieces", ("bytes", *_WAYS.values()), positions))


def _curve(rows: Rows, name: str) -> list[list[float]]:
    (row,) = select(rows, key=f"along, {name}")
    curve: list[list[float]] = row["along"]
    return curve


def figures(rows: Rows) -> Sequence[Figure]:
    """Both as curves over a logarithmic axis."""
    points = tuple((float(row["window"]), float(row["bpb"])) for row in _windows(rows))
    series = tuple(
        Series(name, tuple(((begin + end) / 2, rate) for begin, end, rate in _curve(rows, name)), marked=index > 0)
        for index, name in enumerate(_WAYS.values())
    )
    return (
        Figure(
            "context-window", "What a window is worth", "window, bytes", "bits per byte",
            (Series("Transformer", points),), "line", log_x=True, from_zero=False,
        ),
        Figure(
            "context-position", "What a byte costs, by its position after nothing", "position, bytes",
            "bits per byte", series, "line", log_x=True,
        ),
    )  # fmt: skip


def conclude(rows: Rows) -> Sequence[str]:
    """Say where longer windows stop paying, and where the curves flatten."""
    found = _windows(rows)
    first, last = found[0], found[-1]
    whole = (
        f"A window of {last['window']} instead of {first['window']} takes {change(last['bpb'], first['bpb'])} "
        f"({last['bpb']:.3f} against {first['bpb']:.3f} bits per byte)."
    )
    said = [whole]
    steps = [(row["window"], before["bpb"] - row["bpb"]) for before, row in pairwise(found)]
    gains = ", ".join(f"to {window}: {gain:+.3f}" for window, gain in steps)
    shrinking = all(later < earlier for (_, earlier), (_, later) in pairwise(steps))
    said.append(
        f"What each step saves ({gains} bits per byte) "
        + ("gets less every time." if shrinking else "does not get less every time, at this amount of training.")
    )
    best = min(found, key=lambda row: float(row["bpb"]))
    if best is not last:
        said.append(f"The best window is {best['window']}, not the longest: more context has to be learned, too.")
    return [*said, *_positions(rows)]


def _positions(rows: Rows) -> list[str]:
    reach = select(rows, key=f"along, {_WAYS[False]}")[0]["window_reach"]
    said = []
    for name in _WAYS.values():
        curve = _curve(rows, name)
        inside = [rate for begin, end, rate in curve if end <= reach]
        beyond = [rate for begin, _, rate in curve if begin >= reach]
        if inside and len(beyond) > 1:
            trend = change(beyond[-1], beyond[0])
            said.append(
                f"{name}: {curve[0][2]:.2f} bits for the first byte, {inside[-1]:.2f} at the end of the window of "
                f"{reach}, {beyond[-1]:.2f} at the end of the piece; from the window on the cost becomes {trend}."
            )
    return said


STUDY = Study(
    name="context",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 80, "full": 1800},
    sizes={
        "quick": Sizes(1_000_000, 32_000, 600_000, 64, 2, (8, 32, 128), 7, 4096),
        "full": Sizes(8_000_000, 512_000, 4_000_000, 96, 3, (4, 16, 64, 256), 24, 16384, 512),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
)
