"""Whole archives by a Transformer of random weights: small, but the real thing from file to file."""

import io
from pathlib import Path

import numpy as np
import pytest

from tests.codec.engines import TEXT, codings, compress, decode, decompress
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.block.coding import StaticEncoder
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.container import Coding
from zipllm.engine.engine import Engine, engine_from_model, engine_from_model_file
from zipllm.errors import ModelInvalid, ModelNotFound
from zipllm.model_file.file import Model, build_model, model_to_bytes
from zipllm.model_file.store import ModelStore
from zipllm.tokenizer.byte import ByteTokenizer

DATA = TEXT[:200] + bytes(range(256))


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)


@pytest.fixture(scope="module")
def engine(model: Model) -> Engine:
    return engine_from_model(model)


@pytest.mark.parametrize("history_bits", [None, 14])
@pytest.mark.parametrize("lanes", [1, 3, 50])
def test_round_trip(engine: Engine, lanes: int, history_bits: int | None) -> None:
    archive = compress(DATA, engine, lanes=lanes, verify=False, history_bits=history_bits)
    assert codings(archive) == [Coding.MODEL]
    assert decompress(archive, engine) == DATA


@pytest.mark.parametrize("history_bits", [None, 14])
def test_threads_change_nothing(engine: Engine, history_bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread or two: the same archive."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = compress(DATA, engine, lanes=3, history_bits=history_bits)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert compress(DATA, engine, lanes=3, history_bits=history_bits) == one


def test_an_archive_that_carries_its_model(engine: Engine, model: Model) -> None:
    archive = compress(DATA, engine, embed_model=True)
    assert model_to_bytes(model) in archive

    def nothing_installed(model_id: bytes) -> Engine:
        raise ModelNotFound(model_id.hex())

    summary = decode(archive, out := io.BytesIO(), engines=nothing_installed)
    assert out.getvalue() == DATA
    assert summary.model_ids == (model.model_id,)


def test_a_damaged_model_file(model: Model) -> None:
    data = bytearray(model_to_bytes(model))
    data[-1] ^= 1
    with pytest.raises(ModelInvalid):
        engine_from_model_file(bytes(data))


def test_the_payload_costs_what_the_frequencies_say(engine: Engine) -> None:
    """Within 0.1 % and the closing words of the model's own cross-entropy."""
    tokens = [engine.tokenizer.encode(DATA * 4)]
    encoder = StaticEncoder(engine)
    for chunk in predicted_chunks(engine, tokens, steps=100):
        encoder.encode(chunk)
    state = engine.predictor.start(1)
    fed = np.concatenate([[engine.predictor.start_token], tokens[0][:-1]]).astype(np.int32)
    cumulative = engine.predictor.predict(state, fed[None], np.zeros(1, dtype=np.int32))[0].astype(np.int64)
    rows = np.arange(len(fed))
    frequencies = cumulative[rows, tokens[0] + 1] - cumulative[rows, tokens[0]]
    bits = float((engine.predictor.precision - np.log2(frequencies)).sum())
    assert abs(32 * len(encoder.finish()) - bits) < 0.001 * bits + 64


def test_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """``find_engine`` and ``load_engine``, as the command line and the API use them."""
    from zipllm.engine import engine as module

    path = tmp_path / "tiny.safetensors"
    path.write_bytes(model_to_bytes(model))
    store = ModelStore.default()
    monkeypatch.setattr(type(store), "find_by_id", lambda self, model_id: [store.find(path)])
    monkeypatch.setattr(type(store), "load_by_id", lambda self, model_id: model)
    module.kept.clear()
    try:
        assert module.load_engine(str(path)).model_id == model.model_id
        assert module.load_engine(str(path)) is module.load_engine(str(path))
        assert module.find_engine(model.model_id).model_id == model.model_id
    finally:
        module.kept.clear()
