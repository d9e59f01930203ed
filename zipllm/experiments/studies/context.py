"""Study: what is context worth, by window and by position?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from zipllm.engine.engine import Engine, engine_from_model
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, score
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.scoring import costs_along
from zipllm.experiments.study import ByScale, Sizes, Study
from zipllm.experiments.training import FULL_TEXT, QUICK, QUICK_TEXT, Plan
from zipllm.report.figures import Figure, Series

_WAYS = {False: "Transformer", True: "Transformer + history"}


@dataclass(frozen=True)
class ContextSizes(Sizes):
    """The windows, and the pieces along which the cost is followed."""

    windows: tuple[int, ...]
    pieces: int
    piece_bytes: int


class Context(Study[ContextSizes]):
    """By window first, then by position."""

    question = "How much does a longer context save, and how far into a text do the savings grow?"
    method = (
        "Models that differ only in their attention window, trained on the same tokens, code the same held-out text. "
        "Then the model with the longest window codes pieces of text that each begin without context, alone and with "
        "the history, and the cost of every byte is averaged by its position in the piece."
    )
    expected = ByScale(80, 1800)
    sizes = ByScale(
        quick=ContextSizes(QUICK_TEXT, 32_000, QUICK, (8, 32, 128), 7, 4096),
        full=ContextSizes(FULL_TEXT, 512_000, Plan(96, 3, 4_000_000, sequence=512), (4, 16, 64, 256), 24, 16384),
    )

    def run(self, lab: Lab, sizes: ContextSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        lab.total = len(sizes.windows) + len(_WAYS)
        for window in sizes.windows:
            trained = lab.train(replace(sizes.plan, window=window), text)
            lab.measure(f"window {window}", score, trained, text)
        engine, pieces = engine_from_model(trained.export()), _cut(text.test, sizes)
        about = {
            "window_reach": max(sizes.windows),
            "pieces": len(pieces),
            "context": f"along: pieces of {sizes.piece_bytes:,} bytes, each a block of one lane without context before",
            "text": text.origin,
        }
        for history, name in _WAYS.items():
            lab.notice(f"{name} along {len(pieces)} pieces of {sizes.piece_bytes:,} bytes")
            lab.measure(f"along, {name}", _along, engine, pieces, history, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        found = _windows(rows)
        columns: dict[str, Callable[[Row], str]] = {
            "window, bytes": lambda row: str(row["window"]),
            "bits per byte": lambda row: show.number(row["bpb"]),
            "parameters": lambda row: f"{row['parameters']:,}",
            "tokens trained on": show.trained_on,
        }
        by_window = show.table(f"By window, on {found[0]['bytes']:,} bytes", found, columns)
        alone, both = (_row_along(rows, name)["along"] for name in _WAYS.values())
        positions = tuple(
            (f"{begin:,.0f} to {end - 1:,.0f}", show.number(rate), show.number(both[i][2]) if i < len(both) else "-")
            for i, (begin, end, rate) in enumerate(alone)
        )
        title = f"By position, bits per byte, mean of {_row_along(rows, _WAYS[False])['pieces']} pieces"
        return by_window, show.Table(title, ("bytes", *_WAYS.values()), positions)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        windows = (Series("Transformer", show.points(_windows(rows), "window")),)
        positions = (
            Series(name, tuple(((a + b) / 2, rate) for a, b, rate in _row_along(rows, name)["along"]), marked=history)
            for history, name in _WAYS.items()
        )
        title, x = "What a byte costs, by its position", "position, bytes"
        return (
            show.curves("context-window", "What a window is worth", "window, bytes", windows),
            show.curves("context-position", title, x, positions, from_zero=True),
        )

    def conclude(self, rows: Rows) -> Sequence[str]:
        found = _windows(rows)
        first, last = found[0], found[-1]
        steps = [(row["window"], before["bpb"] - row["bpb"]) for before, row in pairwise(found)]
        gains = ", ".join(f"to {window}: {gain:+.3f}" for window, gain in steps)
        shrinking = all(later < earlier for (_, earlier), (_, later) in pairwise(steps))
        trend = "ever less" if shrinking else "not always less than the one before, at this amount of training"
        saved = (
            f"A window of {last['window']} instead of {first['window']} takes {show.change(last['bpb'], first['bpb'])} "
            f"({last['bpb']:.3f} against {first['bpb']:.3f} bits per byte)."
        )
        said = [saved, f"Each longer window saves {trend} ({gains} bits per byte)."]
        best = min(found, key=lambda row: float(row["bpb"]))["window"]
        if best != last["window"]:
            said.append(f"The best window is {best}, not the longest: a model must learn to use context, too.")
        return [*said, *_positions(rows)]


def _cut(data: bytes, sizes: ContextSizes) -> list[bytes]:
    """Cut pieces at equal distances, without overlap."""
    step = max(sizes.piece_bytes, len(data) // sizes.pieces)
    begins = range(0, len(data) - sizes.piece_bytes + 1, step)
    return [data[begin : begin + sizes.piece_bytes] for begin in begins][: sizes.pieces]


def _along(engine: Engine, pieces: list[bytes], history: bool) -> Row:
    """Return a row with bits per byte between positions that double: ``[begin, end, bits per byte]``."""
    edges = [0, *(1 << power for power in range(len(pieces[0]).bit_length()))]
    bits, counts = np.zeros((2, len(edges) - 1))
    for piece in pieces:
        starts, costs = costs_along(engine, piece, history=history)
        places = np.searchsorted(edges, starts, side="right") - 1
        bits += np.bincount(places, weights=costs, minlength=len(bits))[: len(bits)]
        counts += np.bincount(places, minlength=len(bits))[: len(bits)]
    return {"along": [[edges[i], edges[i + 1], float(bits[i] / counts[i])] for i in range(len(bits)) if counts[i]]}


def _windows(rows: Rows) -> Rows:
    return [row for row in rows if str(row["key"]).startswith("window ")]


def _row_along(rows: Rows, way: str) -> Row:
    (row,) = show.select(rows, key=f"along, {way}")
    return row


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
