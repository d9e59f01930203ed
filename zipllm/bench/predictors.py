"""Other predictors in front of zipllm's coder: counts of bytes and of their pairs and triples, and an LSTM.

All of them start without knowledge and learn from the file while they code it, so they have no weights to count. An
archive is zipllm's own format with the predictor in the model's place, one lane, and every block coded by the model.
"""

import hashlib

from zipllm.bench.neural import codec_of, program_bytes
from zipllm.bench.protocol import Facts, FunctionCodec, Kind
from zipllm.bench.spec import Spec
from zipllm.errors import UsageError

_ORDERS = {"order0": (0,), "order2": (2,), "ngram": (0, 1, 2)}


def open_predictor(spec: Spec) -> FunctionCodec:
    """Make a predictor that has learned nothing yet.

    Raises:
        UsageError: predictors have no settings.
    """
    from zipllm.codec.options import MAX_BLOCK_SIZE, EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.predictor.lstm import LstmPredictor
    from zipllm.predictor.ngram import NgramPredictor
    from zipllm.tokenizer.byte import ByteTokenizer

    if spec.settings:
        raise UsageError(f"{spec}: {spec.name} has no settings")
    counts = _ORDERS.get(spec.name)
    predictor = LstmPredictor() if counts is None else NgramPredictor(ByteTokenizer.vocabulary, orders=counts)
    engine = Engine(hashlib.sha256(spec.name.encode()).digest(), ByteTokenizer(), predictor)
    options = EncodeOptions(block_size=MAX_BLOCK_SIZE, lanes=1, fallback=False, verify=False, history_bits=None)
    return codec_of(engine, options, Facts(program_bytes=program_bytes()), announce_size=False)


KINDS = {name: Kind(open_predictor, reused=True) for name in (*_ORDERS, "lstm")}
