"""Other predictors in front of zipllm's coder: counts of bytes and of their pairs and triples, and an LSTM.

All of them start without knowledge and learn from the file while they code it, so they have no weights to count. An
archive is zipllm's own format with the predictor in the model's place, one lane, and every block coded by the model.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zipllm.bench.neural import codec_of, program_bytes
from zipllm.bench.protocol import Codec, Facts, Kind, Spec
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.predictor.base import Predictor


def _counts(*orders: int) -> "Predictor":
    from zipllm.predictor.ngram import NgramPredictor
    from zipllm.tokenizer.byte import ByteTokenizer

    return NgramPredictor(ByteTokenizer.vocabulary, orders=orders)


def _lstm() -> "Predictor":
    from zipllm.predictor.lstm import LstmPredictor

    return LstmPredictor()


_PREDICTORS: dict[str, "Callable[[], Predictor]"] = {
    "order0": partial(_counts, 0),
    "order2": partial(_counts, 2),
    "ngram": partial(_counts, 0, 1, 2),
    "lstm": _lstm,
}
"""A new predictor is a line here."""


def open_predictor(spec: Spec) -> Codec:
    """Make a predictor that has learned nothing yet. Raises ``UsageError``: predictors have no settings."""
    from zipllm.codec.options import MAX_BLOCK_SIZE, EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.tokenizer.byte import ByteTokenizer

    if spec.settings:
        raise UsageError(f"{spec}: {spec.name} has no settings")
    engine = Engine(hashlib.sha256(spec.name.encode()).digest(), ByteTokenizer(), _PREDICTORS[spec.name]())
    options = EncodeOptions(block_size=MAX_BLOCK_SIZE, lanes=1, fallback=False, verify=False, history_bits=None)
    return codec_of(engine, options, Facts(program_bytes=program_bytes()), announce_size=False)


KINDS = {name: Kind(open_predictor, reused=True) for name in _PREDICTORS}
