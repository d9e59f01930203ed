"""zipllm behind a class's texts: each text costs as much as at the end of an archive of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.codec.engines import engine_with
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.classify import primed
from zipllm.classify.primed import PrimedClass, Priming
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.block import LEAN_MIXER
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import UsageError
from zipllm.measure.costs import history_costs, model_costs
from zipllm.mixing.contexts import TEXT
from zipllm.model_file.file import build_model
from zipllm.predictor.base import Traits
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer import ByteTokenizer
from zipllm.tokenizer.bpe import train_bpe

CONTENT = b"".join(b"the %d ships sailed at dawn, and the sea was calm.\n" % number for number in range(20))
TEXTS = [b"the ships sailed at dusk", b"", b"x", b"nine-to-five at the office: no sea, no ships" * 2]
HISTORY = 13


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_from_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.fixture(scope="module")
def bpe_engine() -> Engine:
    tokenizer = train_bpe([CONTENT], 300)
    config = CONFIG.__class__(**{**vars(CONFIG), "vocabulary_size": len(tokenizer.vocabulary)})
    return engine_from_model(build_model(config, tokenizer, random_integer_model(config), CARD))


def found(engine: Engine | None, history: int | None, texts: Sequence[bytes] = TEXTS) -> list[float]:
    steps: list[float] = []
    bits = PrimedClass(Priming(engine, history), CONTENT, max(map(len, texts))).bits(texts, steps.append)
    assert steps[-1] == 1.0
    assert steps == sorted(steps)
    return list(map(float, bits))


def paid(engine: Engine | None, history: int | None, text: bytes) -> float:
    """Return the cost of ``text`` at the end of a one-lane block that starts with ``CONTENT``."""
    mixer = {"mixer": LEAN_MIXER, "history": history, "family": TEXT, "row": 1} if history else {}
    parameters = CodingParameters(1, PROBABILITY_BITS, **mixer)
    raw = CONTENT + text
    costs = model_costs(engine, raw, parameters, None) if engine else history_costs(raw, parameters, None)
    return float(costs.bits[costs.bits.size - len(text) :].sum())


@pytest.mark.parametrize(("model", "history"), [(False, HISTORY), (True, HISTORY), (True, None)])
def test_it_is_the_cost_in_a_block_of_all_of_it(model: bool, history: int | None, engine: Engine) -> None:
    chosen = engine if model else None
    for text, bits in zip(TEXTS, found(chosen, history), strict=True):
        assert bits == pytest.approx(paid(chosen, history, text), rel=1e-3, abs=0.01)


def test_a_text_costs_the_same_in_any_company(bpe_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of several bytes; texts of any lengths in batches of any size."""
    wanted = [found(bpe_engine, HISTORY, [text, TEXTS[3]])[0] for text in TEXTS]
    assert found(bpe_engine, HISTORY) == wanted
    assert found(bpe_engine, HISTORY, TEXTS[::-1]) == wanted[::-1]
    monkeypatch.setattr(primed, "_ROWS", 1)
    assert found(bpe_engine, HISTORY) == wanted


def test_batches() -> None:
    lengths = [5, 0, 3, 9, 3, 100]
    batches = list(primed._batches(lengths, 10))
    assert sorted(index for batch in batches for index in batch) == list(range(6))
    assert [[lengths[index] for index in batch] for batch in batches] == [[0, 3, 3], [5], [9], [100]]


def test_the_class_matters(engine: Engine) -> None:
    """A text about the sea costs less behind others about it than behind random bytes."""
    noise = np.random.default_rng(0).bytes(len(CONTENT))
    other = PrimedClass(Priming(engine, HISTORY), noise, 100).bits(TEXTS[:1], lambda _: None)
    assert 2 * found(engine, HISTORY)[0] < other[0]


class Uncopied(NgramPredictor):
    traits = Traits()


def test_what_cannot_be_primed() -> None:
    with pytest.raises(UsageError, match="nothing predicts"):
        Priming(None, None)
    with pytest.raises(UsageError, match="cannot be copied"):
        Priming(engine_with(Uncopied(ByteTokenizer.vocabulary)), HISTORY)
