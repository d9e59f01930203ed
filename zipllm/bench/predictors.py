"""Which predictor, same coder: counts of single bytes, of pairs and more, and an LSTM, each in front of zipllm's coder.

All of them begin with nothing and learn from the file while they code it, so they have no weights to count. The
archives are zipllm's own format with the predictor in the model's place, one lane, every block by the model.
"""

import hashlib
import io
from collections.abc import Callable

from zipllm.bench.codecs import Facts
from zipllm.bench.neural import program_bytes
from zipllm.bench.spec import Spec
from zipllm.codec.decoder import decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import MAX_BLOCK_SIZE, EncodeOptions
from zipllm.container import Limits
from zipllm.engine.engine import Engine
from zipllm.errors import UsageError
from zipllm.predictor.base import Predictor
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.byte import ByteTokenizer

_OPTIONS = EncodeOptions(block_size=MAX_BLOCK_SIZE, lanes=1, fallback=False, verify=False, history_bits=None)


class PredictorCodec:
    """A predictor of bytes as a codec."""

    def __init__(self, name: str, predictor: Predictor) -> None:
        identity = hashlib.sha256(name.encode()).digest()
        self._engine = Engine.create(identity, ByteTokenizer(), predictor)
        self.facts = Facts(program_bytes=program_bytes())

    def compress(self, data: bytes) -> bytes:
        sink = io.BytesIO()
        compress_stream(io.BytesIO(data), sink, engine=self._engine, options=_OPTIONS)
        return sink.getvalue()

    def decompress(self, archive: bytes) -> bytes:
        sink = io.BytesIO()
        limits = Limits(output=1 << 50)
        decompress_stream(io.BytesIO(archive), sink, engines=lambda model_id: self._engine, limits=limits)
        return sink.getvalue()


def open_codec(spec: Spec) -> PredictorCodec:
    """Make a predictor that knows nothing yet.

    Raises:
        UsageError: predictors have no settings.
    """
    if spec.settings:
        raise UsageError(f"{spec}: {spec.name} has no settings")
    return PredictorCodec(spec.name, _PREDICTORS[spec.name]())


def _counts(*orders: int) -> Callable[[], Predictor]:
    return lambda: NgramPredictor(ByteTokenizer.vocabulary, orders=orders)


def _lstm() -> Predictor:
    from zipllm.predictor.lstm import LstmPredictor

    return LstmPredictor()


_PREDICTORS: dict[str, Callable[[], Predictor]] = {
    "order0": _counts(0),
    "order2": _counts(2),
    "ngram": _counts(0, 1, 2),
    "lstm": _lstm,
}
