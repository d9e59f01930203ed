"""Study: how far does a model of text reach, and where do codecs made for the data win?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zipllm.bench.codecs import open_codec
from zipllm.bench.spec import parse_spec
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import CorruptData, MissingPackage
from zipllm.experiments import show
from zipllm.experiments.lab import Lab, facts
from zipllm.experiments.ledger import Row, Rows
from zipllm.experiments.material import Text
from zipllm.experiments.media import SPECIAL, find_piece, special_size
from zipllm.experiments.published import DELETANG, TABLE_1
from zipllm.experiments.scoring import archive_bytes, context_words, payload
from zipllm.experiments.show import Table
from zipllm.experiments.study import ByScale, Quote, Sizes, Study
from zipllm.experiments.training import FULL, FULL_TEXT, QUICK, QUICK_TEXT
from zipllm.model_file.store import ModelStore
from zipllm.report.figures import Figure, Series

TEXTS, MEDIA = {"wiki": "text", "chinese": "Chinese", "python": "code"}, ("image", "audio", "dna")
KINDS = (*TEXTS.values(), *MEDIA)
GENERAL = ("gzip:9", "xz:9e", "ppmd:6")


@dataclass(frozen=True)
class ModalitySizes(Sizes):
    """Whether the shipped model takes part; the test bytes are those of each kind."""

    shipped: bool = True


class Modality(Study[ModalitySizes]):
    """Every coder on every kind of data."""

    question = "What do models of text make of Chinese, code, pictures, sound and DNA, beside codecs made for these?"
    method = (
        "A byte model trained here on English text and the shipped model, neither of which ever saw a picture, a sound "
        "or a genome, code data of several kinds: alone (the payload), and with the history (the whole archive, in "
        "which a block may drop a model that loses on it). gzip, xz and PPMd code the same bytes, PNG the pictures, "
        "FLAC the sound; each of their files is decoded and compared."
    )
    expected = ByScale(40, 600)
    sizes = ByScale(quick=ModalitySizes(QUICK_TEXT, 32_000, QUICK), full=ModalitySizes(FULL_TEXT, 256_000, FULL))

    def run(self, lab: Lab, sizes: ModalitySizes) -> None:
        trained = lab.train(sizes.plan, lab.main_text(sizes.train_bytes, sizes.test_bytes))
        models = {"byte model": (engine_from_model(trained.export()), facts(trained))}
        if sizes.shipped:
            small = ModelStore.default().load("small")
            models["shipped small"] = (engine_from_model(small), {"window": small.config.window})
        for kind, (data, origin, near) in _pieces(lab, sizes).items():
            about = {"kind": kind, "raw_bytes": len(data), "text": f"{kind}: {origin}", "seed": lab.seed}
            for name, (engine, known) in models.items():
                of_model = {**about, **known, "contaminated": near and name == "shipped small"}
                of_model["context"] = context_words(known["window"])
                for coder, way in ((name, _payload_bytes), (f"{name} + history", archive_bytes)):
                    lab.notice(f"{coder} on {kind}")
                    lab.measure(f"{coder} on {kind}", _code, coder, way, engine, data, of_model)
            for coder in (*GENERAL, *SPECIAL.get(kind, ())):
                try:
                    lab.measure(f"{coder} on {kind}", _by_codec, coder, data, about)
                except MissingPackage as error:
                    lab.leave_out(f"{coder}: {error}")

    def tables(self, rows: Rows) -> Sequence[Table]:
        kinds = _kinds(rows)
        cells = tuple(
            (coder, *(show.number(_percent(rows, coder, kind), 1) + _mark(rows, coder, kind) for kind in kinds))
            for coder in show.distinct(rows, "coder")
        )
        size = max(row["raw_bytes"] for row in rows)
        return (Table(f"Percent of raw size, on up to {size:,} bytes of each kind", ("coder", *kinds), cells),)

    def figures(self, rows: Rows) -> Sequence[Figure]:
        kinds = _kinds(rows)
        series = []
        for coder in show.distinct(rows, "coder"):
            rates = [(float(i), _percent(rows, coder, kind)) for i, kind in enumerate(kinds)]
            series.append(Series(coder, tuple((i, rate) for i, rate in rates if rate is not None)))
        title = "Models of text on other data"
        return (Figure("modality", title, "", "% of raw size", tuple(series), "bars", ticks=tuple(kinds)),)

    def conclude(self, rows: Rows) -> Sequence[str]:
        said = []
        for kind in _kinds(rows):
            rates = {row["coder"]: _percent(rows, row["coder"], kind) or 0.0 for row in show.select(rows, kind=kind)}
            neural = {coder: rate for coder, rate in rates.items() if "model" in coder or "shipped" in coder}
            others = {coder: rate for coder, rate in rates.items() if coder not in neural}
            alone = {coder: rate for coder, rate in neural.items() if "history" not in coder}
            ours, theirs, plain = (min(each, key=each.__getitem__) for each in (neural, others, alone))
            larger = ", more than the data themselves" if alone[plain] > 100 else ""
            said.append(
                f"On {kind}, {ours}{_mark(rows, ours, kind)} takes {neural[ours]:.1f} % of the raw size, {theirs} "
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
        ours = tuple(
            (
                f"here: {coder}",
                show.number(_percent(rows, coder, "image"), 1),
                show.number(_percent(rows, coder, "audio"), 1),
            )
            for coder in show.distinct(rows, "coder")
            if show.select(rows, coder=coder, kind="image") or show.select(rows, coder=coder, kind="audio")
        )
        cells = tuple((them.name, show.number(them.pictures, 1), show.number(them.sound, 1)) for them in TABLE_1)
        return (
            Quote(
                f"{DELETANG}, Table 1: patches of ImageNet, LibriSpeech.",
                Table("Percent of raw size", ("coder", "pictures", "sound"), cells + ours),
                "Their pictures and sounds (8 bits a sample) are not ours, so only the order within each group is "
                "comparable. There, too, models as small as ours that know only Wikipedia make pictures about twice as "
                "large, and sound 1.3 to 2.3 times; Chinchilla, whose parameters do not count, beats PNG and FLAC "
                "without training for either (in the first preprint 43.4 and 16.4 %).",
            ),
        )


def _pieces(lab: Lab, sizes: ModalitySizes) -> dict[str, tuple[bytes, str, bool]]:
    """Return data, origin and whether the shipped model may have seen it, by kind."""
    found: dict[str, tuple[bytes, str, bool]] = {}
    for domain, kind in TEXTS.items():
        if domain == "wiki":
            text: Text | None = lab.main_text(sizes.train_bytes, sizes.test_bytes)
        else:
            text = lab.text(domain, sizes.train_bytes, sizes.test_bytes)
        if text is not None:
            found[kind] = (text.test, text.origin, text.near_shipped)
    for kind in MEDIA:
        piece = find_piece(kind, lab.places, sizes.test_bytes)
        if piece is None:
            lab.leave_out(f"{kind}: no data here; --data-dir names a folder with some")
        else:
            found[kind] = (piece.data, piece.origin, False)
    return found


def _code(coder: str, way: Callable[[Engine, bytes], float], engine: Engine, data: bytes, about: Row) -> Row:
    return {"coder": coder, "bytes": way(engine, data), **about}


def _payload_bytes(engine: Engine, data: bytes) -> float:
    return payload(engine, data).bits / 8


def _by_codec(name: str, data: bytes, about: Row) -> Row:
    return {"coder": name, "bytes": _codec_size(name, data), **about}


def _codec_size(name: str, data: bytes) -> int:
    if name not in GENERAL:
        return special_size(name, data)
    codec = open_codec(parse_spec(name))
    packed = codec.compress(data)
    if codec.decompress(packed) != data:
        raise CorruptData(f"{name} did not give back its input")
    return len(packed)


def _percent(rows: Rows, coder: str, kind: str) -> float | None:
    found = show.select(rows, coder=coder, kind=kind)
    return 100 * float(found[0]["bytes"]) / float(found[0]["raw_bytes"]) if found else None


def _kinds(rows: Rows) -> list[str]:
    return [kind for kind in KINDS if show.select(rows, kind=kind)]


def _mark(rows: Rows, coder: str, kind: str) -> str:
    return show.mark(show.select(rows, coder=coder, kind=kind))


STUDY = Modality()
