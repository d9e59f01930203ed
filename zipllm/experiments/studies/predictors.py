"""Study: which predictor, in front of the same coder?"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import open_codec, parse_codecs
from zipllm.bench.columns import amount
from zipllm.bench.inputs import BenchInput
from zipllm.bench.protocol import parse_spec
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.errors import MissingPackage
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.scoring import context_words
from zipllm.experiments.study import ByScale, ShippedSizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT
from zipllm.model_file.file import Model, save_model
from zipllm.report.figures import Figure, Series

_ONLINE = {"order0": "order0", "order2": "order2", "ngram": "ngram", "lstm": "lstm", "history": "zipllm:3"}
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


class Predictors(Study[ShippedSizes]):
    """Every predictor on the same held-out text."""

    question = "How much of compression is the predictor, if tokenizing, coding and container stay the same?"
    method = (
        "Counts of order 0 and 2, a blend of orders 0 to 2, and an LSTM that learns while it codes begin with nothing. "
        "The Transformer over bytes was trained on other text of the same kind and does not change. The history (bit "
        "histories and a mixer) learns from the file, alone or beside the Transformer. All drive the same range coder; "
        "another process decodes every archive and compares. gzip, xz and PPMd for orientation."
    )
    expected = ByScale(70, 600)
    sizes = ByScale(quick=ShippedSizes(QUICK_TEXT, 32_000, QUICK), full=ShippedSizes(FULL_TEXT, 256_000, FULL))

    def run(self, lab: Lab, sizes: ShippedSizes) -> None:
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        trained = lab.train(sizes.plan, text)
        path = keep_model(trained.export(), lab.models)
        codecs = {
            **_ONLINE,
            "transformer": f"zipllm:{path}/6/history=off",
            "transformer+history": f"zipllm:{path}/6",
        }
        if sizes.shipped:
            codecs |= {"small": "zipllm:small/6/history=off", "small+history": "zipllm:small/6"}
        for codec in _OTHERS:
            try:
                open_codec(parse_spec(codec))
                codecs[codec] = codec
            except MissingPackage as error:
                lab.leave_out(f"{codec}: {error}")
        lab.total = len(codecs)
        for name, codec in codecs.items():
            about: dict[str, Any] = {"context": "the whole file so far"}
            if name.startswith("transformer"):
                about = {**facts(trained), "context": context_words(trained.model.config.window)}
            elif name.startswith("small"):
                about = {"context": context_words(256)}
            about |= {"text": text.origin, "contaminated": name.startswith("small") and text.near_shipped}
            lab.notice(f"{_NAMES[name]} on {len(text.test):,} bytes")
            lab.measure(name, _measure, codec, text.name, text.test, **about)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        found = _best_first(rows)
        columns = {
            "predictor": _name,
            "bytes": lambda row: f"{row['bytes']:,}",
            "bits per byte": lambda row: show.number(row["bpb"]),
            "weights, bytes": lambda row: f"{row['weights_bytes']:,}",
            "tokens trained on": show.trained_on,
            "s to compress": lambda row: show.number(row["compress_s"], 1),
        }
        size = found[0]["raw_bytes"] if found else 0
        return (show.table(f"The same {size:,} bytes by every predictor", found, columns),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        found = _best_first(rows)
        bars = tuple((float(place), float(row["bpb"])) for place, row in enumerate(found))
        title, series = "The same text, the same coder, another predictor", (Series("archive", bars),)
        return (Figure("predictors", title, "", "bits per byte", series, "bars", ticks=tuple(map(_name, found))),)

    def conclude(self, rows: Rows) -> Sequence[str]:
        found = {row["key"]: float(row["bpb"]) for row in rows if row["bpb"] is not None}
        fair = {row["key"]: found[row["key"]] for row in rows if row["key"] in found and not row.get("contaminated")}
        best = min(fair, key=fair.__getitem__)
        counts = min(found[name] for name in ("order0", "order2", "ngram"))
        alone, history, both = found["transformer"], found["history"], found["transformer+history"]
        said = [
            f"The best here is {_NAMES[best]}: {fair[best]:.3f} bits per byte.",
            (
                f"The LSTM, which begins with nothing, takes {show.change(found['lstm'], counts)} than the best counts "
                f"({found['lstm']:.3f} against {counts:.3f})."
            ),
            (
                f"The Transformer, trained beforehand, takes {show.change(alone, history)} than the history, which "
                f"learns from these bytes only ({alone:.3f} against {history:.3f}); both together take "
                f"{show.change(both, min(alone, history))} than the better of the two."
            ),
            *_weights(rows, fair),
            *(f"{row['key']} gave no result: {row['problem']}." for row in rows if row["problem"]),
        ]
        return [*said, show.UNFAIR] if show.mark(rows) else said


def _measure(codec: str, corpus: str, data: bytes) -> Row:
    """Return the numbers of an archive that another process decoded, or None for each and ``problem``."""
    with tempfile.TemporaryDirectory(prefix="zipllm-study-") as folder:
        path = Path(folder, "data")
        path.write_bytes(data)
        item = BenchInput.of_file(corpus, corpus, path)
        (row,) = run_benchmark([item], parse_codecs(codec, None), RunOptions(scratch=Path(folder)))
    return {
        "raw_bytes": row.raw_bytes,
        "bytes": row.compressed_bytes,
        "bpb": row.bits_per_byte,
        "weights_bytes": row.weights_bytes,
        "compress_s": row.compress_s,
        "decompress_s": row.decompress_s,
        "problem": "" if row.verified else f"{row.status}: {row.message}",
    }


def keep_model(model: Model, folder: Path) -> Path:
    """Write a model where the processes of the benchmark find it, named by the beginning of its id."""
    path = folder / f"{model.model_id.hex()[:16]}.safetensors"
    if not path.exists():
        save_model(model, path)
    return path


def _best_first(rows: Rows) -> list[Row]:
    return sorted((row for row in rows if row["bpb"] is not None), key=lambda row: float(row["bpb"]))


def _name(row: Row) -> str:
    return _NAMES[row["key"]] + show.mark([row])


def _weights(rows: Rows, fair: dict[str, float]) -> list[str]:
    """Say at which amount of text the weights of the best trained predictor break even."""
    free = {row["key"]: fair[row["key"]] for row in rows if row["key"] in fair and not row["weights_bytes"]}
    paid = [row for row in rows if row["key"] in fair and row["weights_bytes"]]
    if not free or not paid:
        return []
    rival = min(free, key=free.__getitem__)
    row = min(paid, key=lambda row: float(row["bpb"]))
    gain = free[rival] - float(row["bpb"])
    if gain <= 0:
        return [f"With weights or without, nothing beats {_NAMES[rival]}, which has no weights."]
    size, name = amount(8 * row["weights_bytes"] / gain), _NAMES[row["key"]]
    return [f"With its weights counted, the break-even of {name} against {_NAMES[rival]} is at {size} of such text."]


STUDY = Predictors()
