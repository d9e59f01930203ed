"""Study: how far does a model of text reach, and where do codecs made for the data win?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zipllm.bench.codecs import open_codec
from zipllm.bench.spec import parse_spec
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import CorruptData, MissingPackage
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.media import find_piece, special_codecs, special_size
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.scoring import archive, context_words, payload
from zipllm.experiments.study import Quote, Rows, Study, Table, change, number, select
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT, Plan
from zipllm.model_file.store import ModelStore
from zipllm.report.figures import Figure, Series

QUESTION = "What do models of text make of Chinese, code, pictures, sound and DNA, beside codecs made for these?"
METHOD = (
    "A byte model trained here on English text and the shipped model, neither of which ever saw a picture, a sound "
    "or a genome, code data of several kinds: alone (the payload), and with the history (the whole archive, in "
    "which a block may do without a model that loses on it). gzip, xz and PPMd code the same bytes, PNG the "
    "pictures, FLAC the sound; each of these is decoded and compared."
)
TEXTS, MEDIA = {"wiki": "text", "chinese": "Chinese", "python": "code"}, ("image", "audio", "dna")
KINDS = (*TEXTS.values(), *MEDIA)
GENERAL = ("gzip:9", "xz:9e", "ppmd:6")


@dataclass(frozen=True)
class Sizes:
    """Training, and how much of each kind is coded."""

    train_bytes: int
    test_bytes: int
    plan: Plan
    shipped: bool = True


def run(lab: Lab, sizes: Sizes) -> None:
    """Measure every coder on every kind there is."""
    text = lab.main_text(sizes.train_bytes, sizes.test_bytes)
    trained = lab.train(sizes.plan, text)
    models = {"byte model": (engine_from_model(trained.export()), facts(trained))}
    if sizes.shipped:
        small = ModelStore.default().load("small")
        models["shipped small"] = (engine_from_model(small), {"window": small.config.window})
    for kind, (data, origin, near) in _pieces(lab, sizes).items():
        about = {"kind": kind, "raw_bytes": len(data), "text": f"{kind}: {origin}", "seed": lab.seed}
        for name, (engine, known) in models.items():
            _measure_model(
                lab, name, engine, data, {**about, **known, "contaminated": near and name == "shipped small"}
            )
        for coder in (*GENERAL, *special_codecs(kind)):
            _measure_codec(lab, coder, data, about)


def _pieces(lab: Lab, sizes: Sizes) -> dict[str, tuple[bytes, str, bool]]:
    """Data, origin and whether the shipped model may have seen it, by kind."""
    found: dict[str, tuple[bytes, str, bool]] = {}
    for domain, kind in TEXTS.items():
        text = lab.main_text(sizes.train_bytes, sizes.test_bytes) if domain == "wiki" else None
        text = text or lab.text_if_any(domain, sizes.train_bytes, sizes.test_bytes)
        if text is not None:
            found[kind] = (text.test, text.origin, text.near_shipped)
    for kind in MEDIA:
        piece = find_piece(kind, lab.places, sizes.test_bytes)
        if piece is None:
            lab.leave_out(f"{kind}: none here; --data-dir names a folder that has some")
        else:
            found[kind] = (piece.data, piece.origin, False)
    return found


def _measure_model(lab: Lab, name: str, engine: Engine, data: bytes, about: Mapping[str, Any]) -> None:
    ways: dict[str, Callable[[Engine, bytes], Any]] = {name: payload, f"{name} + history": archive}
    for coder, way in ways.items():
        lab.notice(f"{coder} on {about['kind']}")
        lab.measure(
            f"{coder} on {about['kind']}",
            lambda way=way, coder=coder: {  # type: ignore[misc]
                "coder": coder, "bytes": way(engine, data).bits / 8, **about,
                "context": context_words(about["window"]),
            },
        )  # fmt: skip


def _measure_codec(lab: Lab, name: str, data: bytes, about: Mapping[str, Any]) -> None:
    def size() -> dict[str, Any]:
        return {"coder": name, "bytes": _codec_size(name, data), **about}

    try:
        lab.measure(f"{name} on {about['kind']}", size)
    except MissingPackage as error:
        lab.leave_out(f"{name}: {error}")


def _codec_size(name: str, data: bytes) -> int:
    if name not in GENERAL:
        return special_size(name, data)
    codec = open_codec(parse_spec(name))
    packed = codec.compress(data)
    if codec.decompress(packed) != data:
        raise CorruptData(f"{name} did not give back what it was given")
    return len(packed)


def _percent(rows: Rows, coder: str, kind: str) -> float | None:
    found = select(rows, coder=coder, kind=kind)
    return 100 * float(found[0]["bytes"]) / float(found[0]["raw_bytes"]) if found else None


def _kinds(rows: Rows) -> list[str]:
    return [kind for kind in KINDS if select(rows, kind=kind)]


def _coders(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["coder"] for row in rows))


def tables(rows: Rows) -> Sequence[Table]:
    """Percent of raw size, coder by kind."""
    kinds = _kinds(rows)
    cells = tuple(
        (coder, *(number(_percent(rows, coder, kind), 1) + _mark(rows, coder, kind) for kind in kinds))
        for coder in _coders(rows)
    )
    size = max(row["raw_bytes"] for row in rows)
    return (Table(f"Percent of raw size, on up to {size:,} bytes of each kind", ("coder", *kinds), cells),)


def _mark(rows: Rows, coder: str, kind: str) -> str:
    return " †" if any(row.get("contaminated") for row in select(rows, coder=coder, kind=kind)) else ""


def figures(rows: Rows) -> Sequence[Figure]:
    """Bars by kind."""
    kinds = _kinds(rows)
    series = []
    for coder in _coders(rows):
        rates = [(float(i), _percent(rows, coder, kind)) for i, kind in enumerate(kinds)]
        series.append(Series(coder, tuple((i, rate) for i, rate in rates if rate is not None)))
    title = "Models of text on other data"
    return (Figure("modality", title, "", "% of raw size", tuple(series), "bars", ticks=tuple(kinds)),)


def conclude(rows: Rows) -> Sequence[str]:
    """For each kind: who wins, and how the models of text do against the best that is none."""
    said = []
    for kind in _kinds(rows):
        rates = {coder: rate for coder in _coders(rows) if (rate := _percent(rows, coder, kind)) is not None}
        neural = {coder: rate for coder, rate in rates.items() if "model" in coder or "shipped" in coder}
        others = {coder: rate for coder, rate in rates.items() if coder not in neural}
        alone = {coder: rate for coder, rate in neural.items() if "history" not in coder}
        ours, theirs, plain = (min(each, key=each.__getitem__) for each in (neural, others, alone))
        said.append(
            f"On {kind}, {ours}{_mark(rows, ours, kind)} takes {neural[ours]:.1f} % of the raw size, {theirs} "
            f"{others[theirs]:.1f} %: {change(neural[ours], others[theirs])}. Without the history the best model, "
            f"{plain}, takes {alone[plain]:.1f} %{', more than the data themselves' if alone[plain] > 100 else ''}."
        )
        archives = [row["bytes"] for row in select(rows, kind=kind) if "history" in row["coder"]]
        if len(archives) > 1 and len(set(archives)) == 1:
            said.append(
                f"On {kind} all archives are equally large: they do without the models, the history codes alone."
            )
    if any(row.get("contaminated") for row in rows):
        said.append("† no fair test: the shipped model learned from Python's own sources and documentation.")
    return said


def quotes(rows: Rows) -> Sequence[Quote]:
    """The same question, asked of a model some ten thousand times larger."""
    ours = tuple(
        (f"here: {coder}", number(_percent(rows, coder, "image"), 1), number(_percent(rows, coder, "audio"), 1))
        for coder in _coders(rows)
        if _percent(rows, coder, "image") is not None or _percent(rows, coder, "audio") is not None
    )
    cells = tuple((them.name, number(them.pictures, 1), number(them.sound, 1)) for them in TABLE_1)
    return (
        Quote(
            f"{DELETANG}, Table 1: patches of ImageNet, LibriSpeech.",
            Table("Percent of raw size", ("coder", "pictures", "sound"), cells + ours),
            "Their pictures and sounds (8 bits a sample) are others than ours, so only the order within each group can "
            "be compared. There, too, models as small as ours that know nothing but Wikipedia make pictures about "
            "twice as large, and sound 1.3 to 2.3 times; Chinchilla, whose parameters are not counted, beats PNG and "
            "FLAC without having been trained for either (in the first preprint 43.4 and 16.4 %).",
        ),
    )


STUDY = Study(
    name="modality",
    question=QUESTION,
    method=METHOD,
    expected={"quick": 40, "full": 600},
    sizes={"quick": Sizes(QUICK_TEXT, 32_000, QUICK), "full": Sizes(FULL_TEXT, 256_000, FULL)},
    run=run,
    tables=tables,
    figures=figures,
    conclude=conclude,
    quotes=quotes,
)
