"""zipllm itself as a codec: a model, and the options of its encoder.

Archives are the ones ``zipllm compress`` writes, byte for byte. Only its own verification is left out: the benchmark
decodes and compares every archive itself, and times that as decompression.
"""

import io
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.bench.codecs import Facts
from zipllm.bench.contamination import learned_digests, learned_names
from zipllm.bench.spec import Spec, ZipllmSettings, zipllm_settings
from zipllm.errors import UsageError
from zipllm.machine import best_device

if TYPE_CHECKING:
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.model_file.store import StoredModel

_SETTINGS = ("level", "history", "lanes", "block_size")


class ZipllmCodec:
    """One model with one set of options."""

    def __init__(self, settings: ZipllmSettings) -> None:
        from zipllm.engine.engine import engine_from_model
        from zipllm.model_file.store import ModelStore

        self._options = options_of(settings)
        self._engine: Engine | None = None
        model = model_of(settings)
        if model is None:
            self.facts = Facts(level=_level(settings), program_bytes=program_bytes())
            return
        store = ModelStore.default()
        stored = store.find(model)
        self._engine = engine_from_model(store.load(stored.path), best_device())
        self.facts = _facts(stored, settings)

    def compress(self, data: bytes) -> bytes:
        from zipllm.codec.encoder import compress_stream

        sink = io.BytesIO()
        compress_stream(io.BytesIO(data), sink, engine=self._engine, options=self._options, original_size=len(data))
        return sink.getvalue()

    def decompress(self, archive: bytes) -> bytes:
        from zipllm.codec.decoder import decompress_stream
        from zipllm.container import Limits

        sink = io.BytesIO()
        limits = Limits(output=1 << 50)  # our own archive, and it is compared anyway
        decompress_stream(io.BytesIO(archive), sink, engines=self._find, limits=limits)
        return sink.getvalue()

    def _find(self, model_id: bytes) -> "Engine":
        assert self._engine is not None, "an archive that names a model was written with one"
        return self._engine


def open_codec(spec: Spec) -> ZipllmCodec:
    """Load the model.

    Raises:
        ModelError: it is missing or unusable.
        UsageError: a setting this zipllm does not have.
    """
    return ZipllmCodec(zipllm_settings(spec))


def options_of(settings: ZipllmSettings) -> "EncodeOptions":
    """Return the encoder's options.

    Raises:
        UsageError: an option is unknown, or the encoder of this version does not have it.
    """
    from zipllm.codec.levels import DEFAULT_LEVEL, encode_options

    options: dict[str, Any] = dict(settings.options)
    for name in options:
        if name not in _SETTINGS:
            raise UsageError(f"zipllm has no setting {name!r} (known: {', '.join(_SETTINGS)})")
    level = options.pop("level", DEFAULT_LEVEL)
    return encode_options(level, **options, verify=False)


def program_bytes() -> int:
    """Return the size of zipllm's own Python source; Python, torch, numpy and numba are not counted."""
    return sum(path.stat().st_size for path in Path(__file__).parents[1].rglob("*.py"))


def _facts(stored: "StoredModel", settings: ZipllmSettings) -> Facts:
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
        versions={"torch": metadata.version("torch")},
    )


def model_of(settings: ZipllmSettings) -> str | None:
    """Return the model that codes: the one named, else the level's, which may have none."""
    from zipllm.codec.levels import DEFAULT_LEVEL, level_of

    return settings.model or level_of(int(settings.options.get("level", DEFAULT_LEVEL))).model


def _level(settings: ZipllmSettings) -> str:
    return "/".join(f"{name}={value}" if name != "level" else str(value) for name, value in settings.options.items())
