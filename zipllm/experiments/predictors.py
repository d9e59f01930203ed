"""Study: which predictor, in front of one and the same coder?"""

from collections.abc import Sequence
from dataclasses import dataclass

from zipllm.experiments.contest import contest, is_there, keep_model
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.scoring import context_words
from zipllm.experiments.study import Row, Rows, Study, Table, change, number, trained_on
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan
from zipllm.report.figures import Figure, Series

QUESTION = "How much of compression is the predictor, if tokenizing, coding and container stay the same?"
METHOD = (
    "Counts of order 0 and 2, a blend of orders 0 to 2, and an LSTM that learns while it codes begin with nothing. The "
    "Transformer over bytes was trained on other text of the same kind and stays as it is. The history (bit histories "
    "and a mixer) learns from the file, alone or beside the Transformer. All of them drive the same range coder; every "
    "archive is decoded by another process and compared. gzip, xz and PPMd for orientation."
)
_ONLINE = ("order0", "order2", "ngram", "lstm", "history")
_OTHERS = {"gzip:9": "gzip -9", "xz:9e": "xz -9e", "ppmd:12": "PPMd, order 12"}
_NAMES = {
    "order0": "counts, order 0",
    "order2": "counts, order 2",
    "ngram": "counts, orders 0-2",
    "lstm": "LSTM, learning",
    "history": "history alone",
    "transformer": "Transformer",
    "transformer+history": "Transformer + history",
    "small": "shipped small",
    "small+history": "shipped small + history",
    **_OTHERS,
}


@dataclass(frozen=True)
class Sizes:
    """How much is computed: training text, what is trained on it, and the text that is compressed."""

    train_bytes: int
    test_bytes: int
    plan: Plan
    shipped: bool = True


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure every predictor on the same held-out text."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    trained = lab.train(sizes.plan, text)
    path = keep_model(trained.export(), lab.models)
    codecs = {
        **{name: name if name != "history" else "zipllm:3" for name in _ONLINE},
        "transformer": f"zipllm:{path}/6/history=off",
        "transformer+history": f"zipllm:{path}/6",
    }
    if sizes.shipped:
        codecs |= {"small": "zipllm:small/6/history=off", "small+history": "zipllm:small/6"}
    for codec in _OTHERS:
        if is_there(codec):
            codecs[codec] = codec
        else:
            lab.leave_out(f"{codec}: its library is not installed (pip install 'zipllm[bench]')")
    for name, codec in codecs.items():
        about = facts(trained) if name.startswith("transformer") else {}
        lab.notice(f"{_NAMES[name]} on {len(text.test):,} bytes")
        lab.measure(
            name,
            lambda codec=codec, about=about, name=name: {  # type: ignore[misc]
                **contest(codec, text.name, text.test),
                **about,
                "seed": lab.seed,
                "text": text.origin,
                "context": _context(name, trained.model.config.window),
                "contaminated": name.startswith("small") and text.near_shipped,
            },
        )


def _context(name: str, window: int) -> str:
    if name in _OTHERS or name in _ONLINE:
        return "the whole file so far"
    return context_words(256 if name.startswith("small") else window)


def tables(rows: Rows) -> Sequence[Table]:
    """One line for each predictor, the best first."""
    found = sorted((row for row in rows if row["bpb"] is not None), key=lambda row: float(row["bpb"]))
    cells = tuple(
        (
            _name(row),
            f"{row['bytes']:,}",
            number(row["bpb"]),
            f"{row['weights_bytes']:,}",
            trained_on(row),
            number(row["compress_s"], 1),
        )
        for row in found
    )
    size = found[0]["raw_bytes"] if found else 0
    heads = ("predictor", "bytes", "bits per byte", "weights, bytes", "tokens trained on", "s to compress")
    return (Table(f"The same {size:,} bytes by every predictor", heads, cells),)


def _name(row: Row) -> str:
    return _NAMES[row["key"]] + (" †" if row.get("contaminated") else "")


def figures(rows: Rows) -> Sequence[Figure]:
    """Bars, the best first."""
    found = sorted((row for row in rows if row["bpb"] is not None), key=lambda row: float(row["bpb"]))
    points = tuple((float(place), float(row["bpb"])) for place, row in enumerate(found))
    series = (Series("archive", points),)
    title = "The same text, the same coder, another predictor"
    names = tuple(_name(row) for row in found)
    return (Figure("predictors", title, "", "bits per byte", series, "bars", ticks=names),)


def conclude(rows: Rows) -> Sequence[str]:
    """Say who won, what learning ahead brought, and what the history added."""
    found = {row["key"]: float(row["bpb"]) for row in rows if row["bpb"] is not None}
    dirty = {row["key"] for row in rows if row.get("contaminated")}
    fair = {name: rate for name, rate in found.items() if name not in dirty}
    best = min(fair, key=fair.__getitem__)
    said = [f"The best here is {_NAMES[best]}: {fair[best]:.3f} bits per byte."]
    counts = min(found[name] for name in ("order0", "order2", "ngram"))
    said.append(
        f"The LSTM, which begins with nothing, takes {change(found['lstm'], counts)} than the best counts "
        f"({found['lstm']:.3f} against {counts:.3f})."
    )
    alone, history, both = found["transformer"], found["history"], found["transformer+history"]
    said.append(
        f"The Transformer, trained beforehand, takes {change(alone, history)} than the history, which learns from "
        f"these bytes only ({alone:.3f} against {history:.3f}); both together take "
        f"{change(both, min(alone, history))} than the better of the two."
    )
    said += _weights(rows, fair)
    said += [f"{row['key']} gave no result: {row['problem']}." for row in rows if row["problem"]]
    if dirty:
        said.append("† no fair test: the shipped model learned from Python's own sources and documentation.")
    return said


def _weights(rows: Rows, fair: dict[str, float]) -> list[str]:
    """From which size on the weights of the best trained predictor have paid for themselves."""
    free = {row["key"]: fair[row["key"]] for row in rows if row["key"] in fair and not row["weights_bytes"]}
    paid = [row for row in rows if row["key"] in fair and row["weights_bytes"]]
    if not free or not paid:
        return []
    rival = min(free, key=free.__getitem__)
    row = min(paid, key=lambda row: float(row["bpb"]))
    gain = free[rival] - float(row["bpb"])
    if gain <= 0:
        return [f"With weights or without, nothing beats {_NAMES[rival]}, which has none to carry."]
    size = 8 * row["weights_bytes"] / gain
    name = _NAMES[row["key"]]
    return [f"Weights counted, {name} pays from {size / 1e6:,.1f} MB of such text on, against {_NAMES[rival]}."]


STUDY = Study(
    name="predictors",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 70, "full": 600},
    sizes={
        "quick": Sizes(QUICK_TEXT, 32_000, QUICK),
        "full": Sizes(FULL_TEXT, 256_000, FULL),
    },
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
)
