"""Which codec tells how what a text costs behind the texts of a class.

gzip, bzip2, xz, ppmd    the growth of the stream that holds the class's texts (``continued``)
zstd                     the size with a dictionary trained on the class's texts
zipllm                   the growth of the archive, in fractions of a bit (``primed``), without or with a Transformer,
                         which can be fine-tuned on the class first (``tuned``)

A class's texts are joined by newlines. The label itself costs nothing: no text is cheaper where there are more texts.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from zipllm.bench.codecs import open_codec, with_defaults
from zipllm.bench.spec import Spec
from zipllm.classify.continued import FORKED, Measure, Step, forked_stream, growth, zlib_stream
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.classify.primed import Priming
    from zipllm.engine.engine import Engine

Prime = Callable[[Sequence[bytes], int], AbstractContextManager[Measure]]
"""From the texts of a class, and the bytes of the longest text to be measured, to the measure."""

Tune = Callable[[Sequence[bytes]], "Engine"]
"""Fine-tunes a model on the texts of a class."""

_DICTIONARY_BYTES = 112_640
KNOWN = ("gzip", *FORKED, "zstd", "zipllm")


def class_coder(spec: Spec, tune_steps: int = 0) -> Prime:
    """Return how a codec measures texts behind those of a class.

    Args:
        spec: of the codec.
        tune_steps: training steps on each class; 0 takes the model as it is.

    Raises:
        UsageError: the codec cannot do this, or a setting is unknown.
        MissingPackage: its library is not installed.
        ModelError: its model is missing or unusable.
    """
    if spec.name not in KNOWN:
        raise UsageError(
            f"{spec} cannot go on behind the texts of a class (known: {', '.join(KNOWN)}; see --method ncd)"
        )
    if tune_steps and spec.name != "zipllm":
        raise UsageError(f"{spec} has no model that could be fine-tuned")
    if spec.name == "zipllm":
        return _zipllm(spec, tune_steps)
    spec = with_defaults(spec)
    open_codec(spec)  # says what is wrong with the settings, or what is missing
    if spec.name == "zstd":
        return lambda texts, longest: _zstd(spec, texts)
    if spec.name == "gzip":
        return lambda texts, longest: zlib_stream(int(spec.settings[0]), _joined(texts))
    return lambda texts, longest: forked_stream(spec, _joined(texts))


@contextlib.contextmanager
def _zstd(spec: Spec, texts: Sequence[bytes]) -> Iterator[Measure]:
    import zstandard

    if len(spec.settings) > 1:
        raise UsageError(f"{spec}: the dictionary is trained on each class, there are no other settings than the level")
    try:
        dictionary = zstandard.train_dictionary(_DICTIONARY_BYTES, list(texts))
    except (zstandard.ZstdError, ValueError):  # too few texts for statistics: their end is the dictionary
        content = _joined(texts)[-_DICTIONARY_BYTES:]
        dictionary = zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    dictionary.precompute_compress(level=int(spec.settings[0]))
    compressor = zstandard.ZstdCompressor(level=int(spec.settings[0]), dict_data=dictionary)
    yield growth(lambda text: len(compressor.compress(text)))


def _zipllm(spec: Spec, tune_steps: int) -> Prime:
    from zipllm.bench.neural import model_of, options_of, zipllm_settings
    from zipllm.classify.primed import Priming
    from zipllm.engine.engine import load_engine

    settings = zipllm_settings(spec)
    options = options_of(settings)
    model = model_of(settings)
    if model is None:
        if tune_steps:
            raise UsageError(f"{spec} has no model that could be fine-tuned")
        priming = Priming(None, options.history_bits)
        return lambda texts, longest: _primed(priming, texts, longest)
    engine = load_engine(model)
    if not tune_steps:
        priming = Priming(engine, options.history_bits)
        return lambda texts, longest: _primed(priming, texts, longest)
    from zipllm.classify.tuned import tuned_engine

    return lambda texts, longest: _primed(
        Priming(tuned_engine(model, texts, tune_steps), options.history_bits), texts, longest
    )


@contextlib.contextmanager
def _primed(priming: "Priming", texts: Sequence[bytes], longest: int) -> Iterator[Measure]:
    from zipllm.classify.primed import PrimedClass

    yield PrimedClass(priming, _joined(texts), longest).bits


def _joined(texts: Sequence[bytes]) -> bytes:
    return b"\n".join(texts) + b"\n"


__all__ = ["KNOWN", "Measure", "Prime", "Step", "class_coder"]
