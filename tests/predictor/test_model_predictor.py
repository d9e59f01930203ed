"""A model file as a predictor: the reference's frequencies, and a self-test before the first."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.conftest import CONFIG, extreme_model, shaped
from zipllm.errors import ModelInvalid
from zipllm.jit.compiled import COMPILES
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, build_model
from zipllm.predictor.base import PRECISION, Predictor, Selection
from zipllm.predictor.model import ModelPredictor
from zipllm.tokenizer.byte import ByteTokenizer

EVERY = np.arange(3, dtype=np.int32)


@pytest.fixture(scope="module")
def model() -> Model:
    config = shaped(vocabulary_size=256)
    return build_model(config, ByteTokenizer(), extreme_model(config), Card("tiny"))


@pytest.fixture(scope="module")
def tokens() -> NDArray[np.int32]:
    table = np.random.default_rng(0).integers(0, 256, (3, 20), dtype=np.int32)
    table[:, 0] = 256
    return table


def test_it_keeps_the_protocol(model: Model, tokens: NDArray[np.int32]) -> None:
    predictor: Predictor = ModelPredictor(model)
    assert predictor.vocabulary == ByteTokenizer().vocabulary
    assert (predictor.precision, predictor.start_token) == (PRECISION, 256)
    assert predictor.lane_bytes >= 2 * CONFIG.layers * CONFIG.window * CONFIG.width
    cumulative = predictor.predict(predictor.start(3), tokens, EVERY)
    assert cumulative.dtype == np.int32
    assert cumulative.shape == (3, 20, 257)
    assert (cumulative[..., 0] == 0).all()
    assert (cumulative[..., -1] == 1 << PRECISION).all()
    assert (np.diff(cumulative) > 0).all()


def test_steps_of_some_lanes_leave_the_others_as_they_are(model: Model, tokens: NDArray[np.int32]) -> None:
    predictor = ModelPredictor(model)
    expected = predictor.predict(predictor.start(3), tokens, EVERY).copy()
    state = predictor.start(3)
    fed = np.zeros(3, dtype=np.int64)
    generator = np.random.default_rng(1)
    while (fed < 20).any():
        lanes = np.flatnonzero((fed < 20) & (generator.random(3) < 0.7)).astype(np.int32)
        cumulative = predictor.predict(state, tokens[lanes, fed[lanes], None], lanes)
        assert np.array_equal(cumulative[:, 0], expected[lanes, fed[lanes]])
        fed[lanes] += 1


def test_passes_of_some_lanes(model: Model, tokens: NDArray[np.int32]) -> None:
    predictor = ModelPredictor(model)
    expected = predictor.predict(predictor.start(3), tokens, EVERY).copy()
    state = predictor.start(3)
    predictor.predict(state, tokens[:, :7], EVERY)
    lanes = np.array([0, 2], dtype=np.int32)
    assert np.array_equal(predictor.predict(state, tokens[lanes, 7:], lanes), expected[lanes, 7:])
    lane = np.array([1], dtype=np.int32)
    assert np.array_equal(predictor.predict(state, tokens[lane, 7:], lane), expected[lane, 7:])


def test_a_model_that_computes_something_else_is_refused(model: Model) -> None:
    assert isinstance(model.config, TransformerConfig)
    other = extreme_model(model.config, seed=9)
    wrong = Model(model.config, model.tokenizer, other, model.card, model.self_test, b"w" * 32)
    with pytest.raises(ModelInvalid, match="self-test"):
        ModelPredictor(wrong)


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
@pytest.mark.parametrize(("count", "selects"), [("1", False), ("2", True)])
def test_columns_of_predictions(
    count: str, selects: bool, model: Model, tokens: NDArray[np.int32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread is not asked for them: the next chunk would be made by a second one."""
    monkeypatch.setenv("ZIPLLM_KERNELS", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    predictor = ModelPredictor(model)
    assert predictor.traits.selects == selects
    generator = np.random.default_rng(2)
    columns = generator.integers(0, 258, (9, 4), dtype=np.int32) % 257
    wanted = generator.integers(0, 9, tokens.shape, dtype=np.int32)
    right = np.take_along_axis(predictor.predict(predictor.start(3), tokens, EVERY), columns[wanted], axis=2)
    selected = predictor.predict(predictor.start(3), tokens, EVERY, threads=2, selection=Selection(columns, wanted))
    assert np.array_equal(selected, right)
