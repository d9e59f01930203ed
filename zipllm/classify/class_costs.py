"""The cost of texts behind the texts of a class, by codec.

gzip, bzip2, xz, ppmd    the growth of the stream that holds the class's texts (``continued``)
zstd                     the size with a dictionary trained on the class's texts
zipllm                   the growth of the archive, in fractions of a bit (``primed``), without or with a Transformer,
                         which can be fine-tuned on the class first (``tuned``)

Newlines join the texts of a class. The label itself costs nothing, so larger classes have no advantage.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from zipllm.bench.codecs import open_codec, with_defaults
from zipllm.bench.protocol import Spec
from zipllm.classify.continued import FORKED, Measure, forked_stream, growth, zlib_growth
from zipllm.errors import UsageError

Prime = Callable[[Sequence[bytes], int], AbstractContextManager[Measure]]
"""From the texts of a class, and the size in bytes of the longest text to measure, to the measure."""

_DICTIONARY_BYTES = 112_640
"""The default size of ``zstd --train``."""

KNOWN = ("gzip", *FORKED, "zstd", "zipllm")


def class_coder(spec: Spec, tune_steps: int = 0) -> Prime:
    """Return how a codec measures texts behind those of a class.

    Args:
        spec: the codec and its settings.
        tune_steps: training steps on each class; 0 leaves the model unchanged.

    Raises:
        UsageError: the codec cannot continue behind a class, or a setting is unknown.
        MissingPackage: the codec's library is not installed.
        ModelError: the codec's model is missing or unusable.
    """
    if spec.name not in KNOWN:
        raise UsageError(
            f"{spec} cannot continue behind the texts of a class (known: {', '.join(KNOWN)}; see --method ncd)"
        )
    if tune_steps and spec.name != "zipllm":
        raise UsageError(f"{spec} has no model to fine-tune")
    if spec.name == "zipllm":
        return _zipllm(spec, tune_steps)
    spec = with_defaults(spec)
    open_codec(spec)  # raises for bad settings and missing libraries
    if spec.name == "zstd":
        return lambda texts, longest: nullcontext(_zstd(spec, texts))
    if spec.name == "gzip":
        return lambda texts, longest: nullcontext(zlib_growth(int(spec.settings[0]), _joined(texts)))
    return lambda texts, longest: forked_stream(spec, _joined(texts))


def _zstd(spec: Spec, texts: Sequence[bytes]) -> Measure:
    import zstandard

    if len(spec.settings) > 1:
        raise UsageError(f"{spec}: zstd trains its dictionary on each class and has no other settings than the level")
    try:
        dictionary = zstandard.train_dictionary(_DICTIONARY_BYTES, list(texts))
    except (zstandard.ZstdError, ValueError):  # too few texts to train on: their last bytes become the dictionary
        content = _joined(texts)[-_DICTIONARY_BYTES:]
        dictionary = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    dictionary.precompute_compress(level=int(spec.settings[0]))
    compressor = zstandard.ZstdCompressor(level=int(spec.settings[0]), dict_data=dictionary)
    return growth(lambda text: len(compressor.compress(text)))


def _zipllm(spec: Spec, tune_steps: int) -> Prime:
    from zipllm.bench.neural import model_of, options_of, zipllm_settings
    from zipllm.classify.primed import PrimedClass, Priming
    from zipllm.engine.engine import load_engine

    settings = zipllm_settings(spec)
    model = model_of(settings)
    if model is None and tune_steps:
        raise UsageError(f"{spec} has no model to fine-tune")
    priming = Priming(load_engine(model) if model else None, options_of(settings).history_bits)

    def prime(texts: Sequence[bytes], longest: int) -> AbstractContextManager[Measure]:
        own = priming
        if model is not None and tune_steps:
            from zipllm.classify.tuned import tuned_engine

            own = replace(priming, engine=tuned_engine(model, texts, tune_steps))
        return nullcontext(PrimedClass(own, _joined(texts), longest).bits)

    return prime


def _joined(texts: Sequence[bytes]) -> bytes:
    return b"\n".join(texts) + b"\n"
