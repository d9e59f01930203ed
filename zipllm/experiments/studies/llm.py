"""Study: what do open language models bring beside the shipped ones, by parameters?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zipllm.bench.columns import amount
from zipllm.engine.engine import LazyEngine
from zipllm.experiments import show
from zipllm.experiments.contenders import Contender, contenders
from zipllm.experiments.lab import Lab
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.material import Text, held_out, own_text
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.scoring import decoded_archive
from zipllm.experiments.study import ByScale, Quote, Study
from zipllm.model_file.store import ModelStore
from zipllm.report.figures import Figure, Series

KINDS = {"English": "english", "Chinese": "chinese", "code": "python", "JSON": "json"}
UNSEEN = "zipllm's source"
NO_MODEL = "history alone"
_CORPORA = (1e7, 1e8, 1e9, 1e10)
"""Bytes over which the model file is spread."""
_WAYS = {"alone": False, "with history": True}
_HONESTY = (
    "† no fair test: what an imported model learned is not recorded, so it may know these texts by heart; its import "
    f"also set scales with the second halves of the bundled samples. Only {UNSEEN} is fair, to models that were "
    "trained before zipllm was published."
)

_NO_GUESTS = (
    "No imported model took part, so these are the shipped models only: `zipllm model import FILE.gguf -o NAME` adds "
    "one."
)


@dataclass(frozen=True)
class LlmSizes:
    """Bytes of each kind, where there are as many, and the shipped models."""

    kind_bytes: int
    shipped: tuple[str, ...] = ("nano", "small", "base")


class Llm(Study[LlmSizes]):
    """Every model on every kind, alone and with the history."""

    question = "How many bits per byte do open language models save beside the shipped models, and at which size?"
    method = (
        "The shipped models and imported open models code the same texts at the default level: each model alone, and "
        "with the history beside it, where a block may drop a model that loses. Every number is the size of an archive "
        "that was decoded and compared; about 130 bytes of headers count, which is much on a few kilobytes. The raw "
        "rate counts the archive. The adjusted rate adds the model file, spread over a corpus of a given size that is "
        "assumed to cost the same rate. English, Chinese, code and JSON are public texts; "
        f"{UNSEEN} is younger than most models."
    )
    expected = ByScale(60, 180)
    sizes = ByScale(quick=LlmSizes(8_000), full=LlmSizes(64_000))
    takes_models = True

    def run(self, lab: Lab, sizes: LlmSizes) -> None:
        found = contenders(sizes.shipped, lab.named, ModelStore.default())
        texts = {kind: held_out(domain, lab.places, sizes.kind_bytes) for kind, domain in KINDS.items()}
        texts[UNSEEN] = own_text(sizes.kind_bytes)
        lab.total = len(texts) * (1 + len(_WAYS) * len(found))
        for kind, text in texts.items():
            lab.notice(f"{NO_MODEL} on {kind}")
            about = {"model": NO_MODEL, "parameters": 0, "model_bytes": 0, "guest": False, "way": "with history"}
            lab.measure(f"{NO_MODEL} on {kind}", _without_model, text.test, **about, **_about(kind, text))
        for contender in found:
            _measure_model(lab, contender, texts)

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        return (_by_kind(rows), _counted(rows, "all texts"), _counted(show.select(rows, kind=UNSEEN), UNSEEN))

    def figures(self, rows: Rows) -> Sequence[Figure]:
        theirs = tuple((them.parameters / 1e6, 8 * them.text / 100) for them in TABLE_1 if them.parameters)
        published = Series("published, enwik9", theirs)
        return [
            show.curves(
                f"llm-{way.replace(' ', '-')}",
                f"Archives by models {way}: more parameters",
                "millions of parameters",
                [*_curves(rows, way), published],
            )
            for way in _WAYS
        ]

    def conclude(self, rows: Rows) -> Sequence[str]:
        said = [*_growth(rows), *_guests(rows), *_best(rows), *_dropped(rows)]
        return [*said, _HONESTY] if show.mark(rows) else said

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        cells = tuple(
            (them.name, f"{them.parameters:,}", show.number(them.text, 1), show.number(8 * them.text / 100))
            for them in TABLE_1
            if them.parameters
        )
        ours = tuple(
            (
                f"here: {row['model']}{show.mark([row])}",
                f"{row['parameters']:,}",
                show.number(100 * row["bpb"] / 8, 1),
                show.number(row["bpb"]),
            )
            for row in show.select(rows, kind="English", way="alone")
        )
        return (
            Quote(
                f"{DELETANG}, Table 1, enwik9; ours is the English text.",
                show.Table(
                    "Models alone", ("model", "parameters", "percent of raw size", "bits per byte"), cells + ours
                ),
                "Their numbers are sums of -log2 of probabilities over pieces of 2,048 bytes of a gigabyte, ours are "
                "sizes of archives of a few kilobytes, whose headers count and whose model begins with no context. So "
                "only the shape compares: bits fall with the logarithm of the parameters.",
            ),
        )


def _measure_model(lab: Lab, contender: Contender, texts: Mapping[str, Text]) -> None:
    engine = contender.engine()
    for kind, text in texts.items():
        known = contender.knows(text, newer=kind == UNSEEN)
        for way, history in _WAYS.items():
            lab.notice(f"{contender.name} {way} on {kind}")
            lab.measure(
                f"{contender.name} {contender.digits} {way} on {kind}", _with_model, engine, text.test, history,
                way=way, contaminated=known, **contender.facts(), **_about(kind, text),
            )  # fmt: skip


def _about(kind: str, text: Text) -> dict[str, str]:
    return {"kind": kind, "text": f"{kind}: {text.origin}"}


def _without_model(data: bytes) -> Row:
    return decoded_archive(None, data, history=True)


def _with_model(engine: LazyEngine, data: bytes, history: bool) -> Row:
    return decoded_archive(engine(), data, history=history)


def _models(rows: Rows, *, guest: bool | None = None) -> list[Row]:
    """Return one row of each model, by parameters; of the guests or of the shipped family only, if wanted."""
    found = {row["model_id"]: row for row in rows if "model_id" in row and guest in (None, row["guest"])}
    return sorted(found.values(), key=lambda row: int(row["parameters"]))


def _rate(rows: Rows) -> float:
    """Return the bits per byte of all texts of these rows together."""
    return 8.0 * float(sum(row["bytes"] for row in rows)) / float(sum(row["raw_bytes"] for row in rows))


def _of(rows: Rows, model: Row, way: str, **wanted: str) -> list[Row]:
    return show.select(rows, model_id=model["model_id"], way=way, **wanted)


def _by_kind(rows: Rows) -> show.Table:
    kinds = show.distinct(rows, "kind")
    lines = [(NO_MODEL, "-", show.select(rows, model=NO_MODEL))]
    for model in _models(rows):
        lines += [(f"{model['model']} {way}", f"{model['parameters']:,}", _of(rows, model, way)) for way in _WAYS]
    cells = tuple(
        (name, size, *(_cell(show.select(found, kind=kind)) for kind in kinds)) for name, size, found in lines
    )
    return show.Table("Bits per byte of archives", ("model", "parameters", *kinds), cells)


def _cell(found: Rows) -> str:
    return show.number(found[0]["bpb"] if found else None) + show.mark(found)


def _counted(rows: Rows, what: str) -> show.Table:
    """Return the rates of archives with the history, without and with the model file."""
    lines = []
    for model in _models(rows):
        found = _of(rows, model, "with history")
        total = {"bpb": _rate(found), "model_bytes": model["model_bytes"]}
        rates = (total["bpb"], *(show.adjusted(total, corpus) for corpus in _CORPORA))
        speed = sum(row["raw_bytes"] for row in found) / max(0.001, sum(row["decompress_s"] for row in found))
        percents = (show.number(100 * rate / 8, 1) for rate in rates)
        lines.append((model["model"] + show.mark(found), f"{model['model_bytes']:,}", *percents, f"{speed:,.0f}"))
    heads = ("model", "model file, bytes", "raw", *(f"adjusted, {amount(corpus)}" for corpus in _CORPORA))
    return show.Table(f"Percent of raw size with history, {what}", (*heads, "bytes/s when decoding here"), tuple(lines))


def _curves(rows: Rows, way: str) -> list[Series]:
    found = sorted((row for row in rows if "model_id" in row), key=lambda row: int(row["parameters"]))
    return [
        Series(kind, tuple((row["parameters"] / 1e6, row["bpb"]) for row in show.select(found, way=way, kind=kind)))
        for kind in show.distinct(rows, "kind")
    ]


def _growth(rows: Rows) -> list[str]:
    """Say what parameters bring within the shipped family."""
    family = _models(rows, guest=False)
    if len(family) < 2:
        return []
    small, large = family[0], family[-1]
    pairs = {way: [_rate(_of(rows, model, way)) for model in (large, small)] for way in _WAYS}
    words = ", ".join(f"{way} {show.change(*rates)}" for way, rates in pairs.items())
    times = large["parameters"] / small["parameters"]
    return [f"{large['model']} has {times:.0f} times the parameters of {small['model']} and takes {words}."]


def _guests(rows: Rows) -> list[str]:
    """Compare every guest with the largest shipped model, kind by kind."""
    guests, family = _models(rows, guest=True), _models(rows, guest=False)
    if not guests:
        return [_NO_GUESTS]
    said = []
    for guest in guests if family else ():
        rival = family[-1]
        for way in _WAYS:
            words = [
                f"{show.change(*(_rate(_of(rows, model, way, kind=kind)) for model in (guest, rival)))} on {kind}"
                + show.mark(_of(rows, guest, way, kind=kind))
                for kind in show.distinct(rows, "kind")
            ]
            times = guest["parameters"] / rival["parameters"]
            size = f"{times:.1f} times the parameters of {rival['model']}"
            said.append(f"{guest['model']} {way}, with {size}, takes {', '.join(words)}.")
    return said


def _best(rows: Rows) -> list[str]:
    """Say which model is best with its file counted, on the text that is fair to all."""
    found = [row for row in show.select(rows, kind=UNSEEN, way="with history") if not row.get("contaminated")]
    best = ", ".join(
        f"{min(found, key=lambda row: show.adjusted(row, corpus))['model']} for {amount(corpus)}" for corpus in _CORPORA
    )
    return [f"With the model file counted, and text that costs what {UNSEEN} costs, the best is {best}."]


def _dropped(rows: Rows) -> list[str]:
    """Name the archives that do without their model."""
    plain = {row["kind"]: row["bytes"] for row in show.select(rows, model=NO_MODEL)}
    found = [
        f"{row['model']} on {row['kind']}"
        for row in show.select(rows, way="with history")
        if "model_id" in row and row["bytes"] == plain[row["kind"]]
    ]
    return [f"The history alone was smaller, so archives drop the model: {', '.join(found)}."] if found else []


STUDY = Llm()
