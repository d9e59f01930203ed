"""Model files: damaged ones are refused; forged ones are refused, or compute frequencies that keep the contract."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from tests.fuzz.feed import Feed, edited
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.errors import LimitExceeded, ModelError
from zipllm.model.architecture import architecture_of
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model_file.file import Model, build_model, model_from_bytes, model_to_bytes, tokenizer_json
from zipllm.model_file.identity import compute_model_id
from zipllm.predictor.base import PRECISION
from zipllm.tokenizer import ByteTokenizer


@cache
def _good() -> tuple[Model, bytes]:
    model = build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)
    return model, model_to_bytes(model)


def run(data: bytes) -> None:
    """Any bytes, a damaged file, a damaged header, or values that a forger gave a right id."""
    feed = Feed(data)
    model, good = _good()
    head = 8 + int.from_bytes(good[:8], "little")
    match feed.below(4):
        case 0:
            _load(feed.rest())
        case 1:
            _load(edited(good, feed))
        case 2:
            text = edited(good[8:head], feed)
            _load(len(text).to_bytes(8, "little") + text + good[head:])
        case 3:
            _forge(model, feed)


def _load(data: bytes) -> Model | None:
    try:
        loaded = model_from_bytes(data)
    except (ModelError, LimitExceeded):
        return None
    again = model_from_bytes(model_to_bytes(loaded))
    assert again.model_id == loaded.model_id
    return loaded


def _forge(model: Model, feed: Feed) -> None:
    """Values of the tensors changed, the rest made to fit; the writer of the file checks nothing."""
    tensors = {name: tensor.clone() for name, tensor in model.integer.tensors().items()}
    for _ in range(1 + feed.below(4)):
        values = tensors[feed.choice(sorted(tensors))].view(-1)
        limits = torch.iinfo(values.dtype)
        value = feed.choice([0, 1, -1, limits.min, limits.max, feed.number(8) % (limits.max + 1)])
        start, count = feed.below(len(values)), feed.choice([1, 1, len(values)])
        values[start : start + count] = value
    integer = TransformerParameters.from_tensors(CONFIG, tensors)
    model_id = compute_model_id(CONFIG, tokenizer_json(model.tokenizer), integer.values)
    # The self-test stays that of another model: it is not what has to keep a hostile model out.
    data = model_to_bytes(replace(model, integer=integer, model_id=model_id))
    loaded = _load(data)
    if loaded is not None:
        _check_frequencies(loaded)


def _check_frequencies(model: Model) -> None:
    tokens = np.array([CONFIG.start_token, *range(0, 250, 13)], dtype=np.int32)
    network = architecture_of(model.config).reference(model.integer)
    frequencies = np.diff(
        network.predict(network.start(1), tokens[None], np.zeros(1, np.int32))[0].astype(np.int64), axis=-1
    )
    assert frequencies.min() >= 1
    assert (frequencies.sum(axis=-1) == 1 << PRECISION).all()


def seeds() -> Iterator[bytes]:
    """Each way once."""
    yield b"\0" + _good()[1][:2000]
    yield b"\0" + b"PK\x03\x04" + bytes(100)
    yield b"\0" + b"\x80\x04cposix\nsystem\n."
    for mode in (1, 2):
        for at in range(8, 250, 30):
            yield bytes([mode, 0, at, 0, 1, 3])
    for name in range(30):
        for value in range(5):
            yield bytes([3, 0, name, *([0] * 8), value, 0, 0, 2])
