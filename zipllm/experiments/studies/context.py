"""Study: what is context worth, by window and by position?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from zipllm.engine.engine import Engine, engine_from_model
from zipllm.experiments import show
from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.scoring import costs_along
from zipllm.experiments.show import Table
from zipllm.experiments.study import ByScale, Study
from zipllm.experiments.training import Plan, Shape
from zipllm.report.figures import Figure, Series

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


class Context(Study[Sizes]):
    """By window first, then by position."""

    question = "How much does a longer context save, and how far into a text do the savings grow?"
    method = (
        "Models that differ only in their attention window, trained on the same tokens, code the same held-out text. "
        "Then the model with the longest window codes pieces of text that each begin without context, alone and with "
        "the history, and the cost of every byte is averaged by its position in the piece."
    )
    expected = ByScale(80, 1800)
    sizes = ByScale(
        quick=Sizes(1_000_000, 32_000, 600_000, 64, 2, (8, 32, 128), 7, 4096),
        full=Sizes(8_000_000, 512_000, 4_000_000, 96, 3, (4, 16, 64, 256), 24, 16384, 512),
    )

    def run(self, lab: Lab, sizes: Sizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        for window in sizes.windows:
            shape = Shape(sizes.width, sizes.layers, max(1, sizes.width // 32), window)
            trained = lab.train(Plan(shape, sizes.tokens, sequence=sizes.sequence), text)
            lab.measure(f"window {window}", lab.score, trained, text)
        engine, pieces = engine_from_model(trained.export()), _cut(text.test, sizes)
        about = {
            "window_reach": max(sizes.windows),
            "pieces": len(pieces),
            "context": f"along: pieces of {sizes.piece_bytes:,} bytes, each a block of one lane without context before",
            "text": text.origin,
            "seed": lab.seed,
        }
        for history, name in _WAYS.items():
            lab.notice(f"{name} along {len(pieces)} pieces of {sizes.piece_bytes:,} bytes")
            lab.measure(f"along, {name}", _along, engine, pieces, history=history, about=about)

    def tables(self, rows: Rows) -> Sequence[Table]:
        found = _windows(rows)
        by_window = show.table(
            f"By window, on {found[0]['bytes']:,} bytes",
            found,
            {
                "window, bytes": lambda row: str(row["window"]),
                "bits per byte": lambda row: show.number(row["bpb"]),
                "parameters": lambda row: f"{row['parameters']:,}",
                "tokens trained on": show.trained_on,
            },
        )
        alone, both = (_row_along(rows, name)["along"] for name in _WAYS.values())
        positions = tuple(
            (f"{begin:,.0f} to {end - 1:,.0f}", show.number(rate), show.number(both[i][2]) if i < len(both) else "-")
            for i, (begin, end, rate) in enumerate(alone)
        )
        title = f"By position, bits per byte, mean of {_row_along(rows, _WAYS[False])['pieces']} pieces"
        return by_window, Table(title, ("bytes", *_WAYS.values()), positions)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        windows = (Series("Transformer", show.points(_windows(rows), "window")),)
        positions = tuple(
            Series(name, tuple(((a + b) / 2, rate) for a, b, rate in _row_along(rows, name)["along"]), marked=history)
            for history, name in _WAYS.items()
        )
        return (
            Figure(
                "context-window", "What a window is worth", "window, bytes", "bits per byte", windows, "line",
                log_x=True, from_zero=False,
            ),
            Figure(
                "context-position", "What a byte costs, by its position", "position, bytes", "bits per byte",
                positions, "line", log_x=True,
            ),
        )  # fmt: skip

    def conclude(self, rows: Rows) -> Sequence[str]:
        found = _windows(rows)
        first, last = found[0], found[-1]
        steps = [(row["window"], before["bpb"] - row["bpb"]) for before, row in pairwise(found)]
        gains = ", ".join(f"to {window}: {gain:+.3f}" for window, gain in steps)
        shrinking = all(later < earlier for (_, earlier), (_, later) in pairwise(steps))
        said = [
            (
                f"A window of {last['window']} instead of {first['window']} "
                f"takes {show.change(last['bpb'], first['bpb'])} ({last['bpb']:.3f} "
                f"against {first['bpb']:.3f} bits per byte)."
            )
        ]
        trend = "ever less" if shrinking else "not always less than the one before, at this amount of training"
        said.append(f"Each longer window saves {trend} ({gains} bits per byte).")
        best = min(found, key=lambda row: float(row["bpb"]))
        if best is not last:
            said.append(
                f"The best window is {best['window']}, not the longest: a model must learn to use context, too."
            )
        return [*said, *_positions(rows)]


def _cut(data: bytes, sizes: Sizes) -> list[bytes]:
    """Cut pieces at equal distances, without overlap."""
    step = max(sizes.piece_bytes, len(data) // sizes.pieces)
    begins = range(0, len(data) - sizes.piece_bytes + 1, step)
    return [data[begin : begin + sizes.piece_bytes] for begin in begins][: sizes.pieces]


def _along(engine: Engine, pieces: list[bytes], *, history: bool, about: Row) -> Row:
    """Return a row with bits per byte between positions that double: ``[begin, end, bits per byte]``."""
    edges = [0, *(1 << power for power in range(len(pieces[0]).bit_length()))]
    bits, counts = np.zeros((2, len(edges) - 1))
    for piece in pieces:
        starts, costs = costs_along(engine, piece, history=history)
        places = np.searchsorted(edges, starts, side="right") - 1
        bits += np.bincount(places, weights=costs, minlength=len(bits))[: len(bits)]
        counts += np.bincount(places, minlength=len(bits))[: len(bits)]
    along = [[edges[i], edges[i + 1], float(bits[i] / counts[i])] for i in range(len(bits)) if counts[i]]
    return {"along": along, **about}


def _windows(rows: Rows) -> Rows:
    return [row for row in rows if str(row["key"]).startswith("window ")]


def _row_along(rows: Rows, way: str) -> dict[str, Any]:
    (row,) = show.select(rows, key=f"along, {way}")
    return dict(row)


def _positions(rows: Rows) -> list[str]:
    said = []
    for name in _WAYS.values():
        row = _row_along(rows, name)
        curve, reach = row["along"], row["window_reach"]
        inside = [rate for _, end, rate in curve if end <= reach]
        beyond = [rate for begin, _, rate in curve if begin >= reach]
        if inside and len(beyond) > 1:
            said.append(
                f"{name}: {curve[0][2]:.2f} bits for the first byte, {inside[-1]:.2f} at the end of the window of "
                f"{reach}, {beyond[-1]:.2f} at the end of the piece; past the window the last bytes cost "
                f"{show.change(beyond[-1], beyond[0])} than the first."
            )
    return said


STUDY = Context()
