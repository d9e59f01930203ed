"""zipllm itself as a codec: a model, and the options of its encoder.

Archives equal those of ``zipllm compress``, byte for byte. The encoder's own verification is off: the benchmark decodes
and compares every archive itself, and times that as decompression.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.bench.protocol import Codec, Facts, Kind, Spec
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.model_file.store import StoredModel

_OUTPUT_LIMIT = 1 << 50
"""No limit in effect: the archive is our own, and its content is compared with the original anyway."""


@dataclass(frozen=True)
class ZipllmSettings:
    """The settings of a ``zipllm`` entry: a model (None: the level's own), and options of the encoder by name."""

    model: str | None
    options: dict[str, int | bool]


def zipllm_settings(spec: Spec) -> ZipllmSettings:
    """Sort the settings of a ``zipllm`` entry: ``level=6`` or just ``6``, ``history=off``, and the model."""
    from zipllm.codec.levels import LEVELS

    options: dict[str, int | bool] = {}
    settings = list(spec.settings)
    while settings:
        last = settings[-1]
        name, equals, value = last.partition("=")
        if last in map(str, LEVELS) and "level" not in options:
            options["level"] = int(last)
        elif equals:
            options[name] = _value(spec, name, value)
        else:
            break
        settings.pop()
    return ZipllmSettings("/".join(settings) or None, options)


def options_of(settings: ZipllmSettings) -> "EncodeOptions":
    """Return the encoder's options. Raises ``UsageError`` for one that is unknown or out of range."""
    from zipllm.codec.levels import DEFAULT_LEVEL, encode_options

    known = ("level", "history", "lanes", "block_size")
    options: dict[str, Any] = dict(settings.options)
    for name in options:
        if name not in known:
            raise UsageError(f"zipllm has no setting {name!r} (known: {', '.join(known)})")
    level = options.pop("level", DEFAULT_LEVEL)
    return encode_options(level, **options, verify=False)


def model_of(settings: ZipllmSettings) -> str | None:
    """Return the named model, or else the level's model, which may be None."""
    from zipllm.codec.levels import DEFAULT_LEVEL, level_of

    return settings.model or level_of(int(settings.options.get("level", DEFAULT_LEVEL))).model


def open_zipllm(spec: Spec) -> Codec:
    """Load the model and prepare the encoder.

    Raises:
        ModelError: the model is missing or unusable.
        UsageError: the encoder does not have a setting.
    """
    from zipllm.engine.engine import engine_from_model
    from zipllm.machine import best_device
    from zipllm.model_file.store import ModelStore

    settings = zipllm_settings(spec)
    options, model = options_of(settings), model_of(settings)
    if model is None:
        return codec_of(None, options, Facts(_level(settings), program_bytes=program_bytes()))
    store = ModelStore.default()
    stored = store.find(model)
    engine = engine_from_model(store.load(stored.path), best_device())
    return codec_of(engine, options, _facts(stored, settings))


def codec_of(engine: "Engine | None", options: "EncodeOptions", facts: Facts, *, announce_size: bool = True) -> Codec:
    """Return zipllm's encoder and decoder as a codec; without an engine the history codes alone."""
    from zipllm.codec.decoder import DecodeOptions, decompress_stream
    from zipllm.codec.encoder import compress_stream
    from zipllm.container import Limits

    def find(model_id: bytes) -> "Engine":
        assert engine is not None, "an archive that names a model was written with one"
        return engine

    def compress(data: bytes) -> bytes:
        sink = io.BytesIO()
        size = len(data) if announce_size else None
        compress_stream(io.BytesIO(data), sink, engine=engine, options=options, original_size=size)
        return sink.getvalue()

    decoding = DecodeOptions(engines=find, limits=Limits(output=_OUTPUT_LIMIT))

    def decompress(archive: bytes) -> bytes:
        sink = io.BytesIO()
        decompress_stream(io.BytesIO(archive), sink, options=decoding)
        return sink.getvalue()

    return Codec(compress, decompress, facts)


def program_bytes() -> int:
    """Return the size of zipllm's own Python source; Python, torch, numpy and numba are not counted."""
    return sum(path.stat().st_size for path in Path(__file__).parents[1].rglob("*.py"))


def _facts(stored: "StoredModel", settings: ZipllmSettings) -> Facts:
    from zipllm.bench.contamination import learned_digests, learned_names

    card, config = stored.summary.metadata.card, stored.summary.metadata.config
    return Facts(
        level="/".join(filter(None, (stored.name, _level(settings)))),
        weights_bytes=stored.path.stat().st_size,
        program_bytes=program_bytes(),
        model=stored.name,
        model_id=stored.model_id.hex(),
        parameters=sum(config.parameter_counts()),
        learned_from=learned_digests(card),
        learned_names=learned_names(card),
    )


def _level(settings: ZipllmSettings) -> str:
    return "/".join(f"{name}={value}" if name != "level" else str(value) for name, value in settings.options.items())


def _value(spec: Spec, name: str, value: str) -> int | bool:
    if value in ("on", "off"):
        return value == "on"
    if value.isascii() and value.isdigit():
        return int(value)
    raise UsageError(f"{spec}: {name}={value} is neither a number nor on or off")


KINDS = {"zipllm": Kind(open_zipllm, reused=True, check=lambda spec: options_of(zipllm_settings(spec)))}
