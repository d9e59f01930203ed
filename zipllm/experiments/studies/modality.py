"""Study: how far does a model of text reach, and where do codecs made for the data win?"""

from collections.abc import Sequence

from zipllm.bench.codecs import open_codec
from zipllm.bench.protocol import parse_spec
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import CorruptData, MissingPackage
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.material import Text, find_text
from zipllm.experiments.media import SPECIAL, find_media, special_size
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.scoring import archive_bytes, context_words, payload
from zipllm.experiments.study import ByScale, Quote, ShippedSizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT
from zipllm.model_file.store import ModelStore
from zipllm.report.figures import Figure

TEXTS, MEDIA = {"chinese": "Chinese", "python": "code"}, ("image", "audio", "dna")
KINDS = ("text", *TEXTS.values(), *MEDIA)
GENERAL = ("gzip:9", "xz:9e", "ppmd:6")


class Modality(Study[ShippedSizes]):
    """Every coder on every kind of data; the test bytes are those of each kind."""

    question = "What do models of text make of Chinese, code, pictures, sound and DNA, beside codecs made for these?"
    method = (
        "A byte model trained here on English text and the shipped model, neither of which ever saw a picture, a sound "
        "or a genome, code data of several kinds: alone (the payload), and with the history (the whole archive, in "
        "which a block may drop a model that loses on it). gzip, xz and PPMd code the same bytes, PNG the pictures, "
        "FLAC the sound; each of their files is decoded and compared."
    )
    expected = ByScale(40, 600)
    sizes = ByScale(quick=ShippedSizes(QUICK_TEXT, 32_000, QUICK), full=ShippedSizes(FULL_TEXT, 256_000, FULL))

    def run(self, lab: Lab, sizes: ShippedSizes) -> None:
        trained = lab.train(sizes.plan, lab.main_text(sizes.train_bytes, sizes.test_bytes))
        models: dict[str, tuple[Engine, Row]] = {"byte model": (engine_from_model(trained.export()), facts(trained))}
        if sizes.shipped:
            small = ModelStore.default().load("small")
            models["shipped small"] = (engine_from_model(small), {"window": small.config.window})
        texts = _texts(lab, sizes)
        lab.total = sum(2 * len(models) + len(GENERAL) + len(SPECIAL.get(kind, ())) for kind in texts)
        for kind, text in texts.items():
            data = text.test
            about = {"kind": kind, "raw_bytes": len(data), "text": f"{kind}: {text.origin}"}
            for name, (engine, known) in models.items():
                of_model = {**about, **known, "contaminated": text.near_shipped and name == "shipped small"}
                of_model["context"] = context_words(known["window"])
                for coder, way in ((name, _alone), (f"{name} + history", _archive)):
                    lab.notice(f"{coder} on {kind}")
                    lab.measure(f"{coder} on {kind}", way, engine, data, coder=coder, **of_model)
            for coder in (*GENERAL, *SPECIAL.get(kind, ())):
                try:
                    lab.measure(f"{coder} on {kind}", _by_codec, coder, data, coder=coder, **about)
                except MissingPackage as error:
                    lab.leave_out(f"{coder}: {error}")

    def tables(self, rows: Rows) -> Sequence[show.Table]:
        kinds = _kinds(rows)
        cells = tuple(
            (coder, *(show.number(_percent(rows, coder, kind), 1) + _mark(rows, coder, kind) for kind in kinds))
            for coder in show.distinct(rows, "coder")
        )
        size = max(row["raw_bytes"] for row in rows)
        return (show.Table(f"Percent of raw size, on up to {size:,} bytes of each kind", ("coder", *kinds), cells),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        kinds, title = _kinds(rows), "Models of text on other data"
        series = show.grid(show.distinct(rows, "coder"), kinds, lambda coder, kind: _percent(rows, coder, kind))
        return (Figure("modality", title, "", "% of raw size", series, "bars", ticks=tuple(kinds)),)

    def conclude(self, rows: Rows) -> Sequence[str]:
        said = []
        for kind in _kinds(rows):
            rates = {row["coder"]: _percent(rows, row["coder"], kind) or 0.0 for row in show.select(rows, kind=kind)}
            models = {coder: rate for coder, rate in rates.items() if "model" in coder or "shipped" in coder}
            others = {coder: rate for coder, rate in rates.items() if coder not in models}
            neural = {coder: rate for coder, rate in models.items() if not _mark(rows, coder, kind)}
            alone = {coder: rate for coder, rate in neural.items() if "history" not in coder}
            ours, theirs, plain = (min(each, key=each.__getitem__) for each in (neural, others, alone))
            larger = ", more than the data themselves" if alone[plain] > 100 else ""
            said.append(
                f"On {kind}, {ours} takes {neural[ours]:.1f} % of the raw size, {theirs} "
                f"{others[theirs]:.1f} %: {show.change(neural[ours], others[theirs])}. Without the history the best "
                f"model, {plain}, takes {alone[plain]:.1f} %{larger}."
            )
            archives = [row["bytes"] for row in show.select(rows, kind=kind) if "history" in row["coder"]]
            if len(archives) > 1 and len(set(archives)) == 1:
                said.append(
                    f"On {kind} all archives are equally large: they drop the models and use the history alone."
                )
        return [*said, show.UNFAIR] if show.mark(rows) else said

    def quotes(self, rows: Rows) -> Sequence[Quote]:
        coders = show.distinct([row for row in rows if row["kind"] in ("image", "audio")], "coder")
        ours = tuple(
            (f"here: {coder}", *(show.number(_percent(rows, coder, kind), 1) for kind in ("image", "audio")))
            for coder in show.distinct(rows, "coder")
            if coder in coders
        )
        cells = tuple((them.name, show.number(them.pictures, 1), show.number(them.sound, 1)) for them in TABLE_1)
        return (
            Quote(
                f"{DELETANG}, Table 1: patches of ImageNet, LibriSpeech.",
                show.Table("Percent of raw size", ("coder", "pictures", "sound"), cells + ours),
                "Their pictures and sounds (8 bits a sample) are not ours, so only the order within each group is "
                "comparable. There, too, models as small as ours that know only Wikipedia make pictures about twice as "
                "large, and sound 1.3 to 2.3 times; Chinchilla, whose parameters do not count, beats PNG and FLAC "
                "without training for either (in the first preprint 43.4 and 16.4 %).",
            ),
        )


def _texts(lab: Lab, sizes: ShippedSizes) -> dict[str, Text]:
    """Return data by kind."""
    texts = {"text": lab.main_text(sizes.train_bytes, sizes.test_bytes)}
    for domain, kind in TEXTS.items():
        if text := find_text(domain, lab.places, sizes.train_bytes, sizes.test_bytes):
            texts[kind] = text
    for kind in MEDIA:
        if text := find_media(kind, lab.places, sizes.test_bytes):
            texts[kind] = text
        else:
            lab.leave_out(f"{kind}: no data here; --data-dir names a folder with some")
    return texts


def _alone(engine: Engine, data: bytes) -> Row:
    return {"bytes": payload(engine, data).bits / 8}


def _archive(engine: Engine, data: bytes) -> Row:
    return {"bytes": archive_bytes(engine, data)}


def _by_codec(name: str, data: bytes) -> Row:
    if name not in GENERAL:
        return {"bytes": special_size(name, data)}
    codec = open_codec(parse_spec(name))
    packed = codec.compress(data)
    if codec.decompress(packed) != data:
        raise CorruptData(f"{name} did not give back its input")
    return {"bytes": len(packed)}


def _percent(rows: Rows, coder: str, kind: str) -> float | None:
    found = show.select(rows, coder=coder, kind=kind)
    return 100 * float(found[0]["bytes"]) / float(found[0]["raw_bytes"]) if found else None


def _kinds(rows: Rows) -> list[str]:
    return [kind for kind in KINDS if show.select(rows, kind=kind)]


def _mark(rows: Rows, coder: str, kind: str) -> str:
    return show.mark(show.select(rows, coder=coder, kind=kind))


STUDY = Modality()
