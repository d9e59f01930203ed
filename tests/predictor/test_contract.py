"""Every predictor keeps the promises that lossless coding stands on."""

from collections.abc import Callable

import pytest

from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from tests.predictor import contract
from zipllm.model_file.file import build_model
from zipllm.predictor.base import Predictor
from zipllm.predictor.lstm import LstmPredictor
from zipllm.predictor.model import ModelPredictor
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.byte import ByteTokenizer


def transformer() -> Predictor:
    return ModelPredictor(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


MAKERS: dict[str, Callable[[], Predictor]] = {
    "lstm": LstmPredictor,
    "counts, 5 tokens": lambda: NgramPredictor([b"a", b"ab", b"b", b"c", b"d"]),
    "counts, bytes": lambda: NgramPredictor(ByteTokenizer.vocabulary),
    "transformer": transformer,
}


@pytest.fixture(scope="module", params=MAKERS)
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return MAKERS[request.param]()


def test_vocabulary(predictor: Predictor) -> None:
    assert list(predictor.vocabulary) == sorted(set(predictor.vocabulary))
    assert predictor.start_token == len(predictor.vocabulary)
    assert predictor.lane_bytes > 0


def test_frequencies(predictor: Predictor) -> None:
    tokens = contract.random_tokens(predictor, 2, 30)
    contract.check_frequencies(predictor, contract.by_steps(predictor, tokens))


@pytest.mark.parametrize("lengths", [[30], [1, 29], [7, 7, 7, 7, 2]])
def test_chunks(predictor: Predictor, lengths: list[int]) -> None:
    contract.check_chunks(predictor, contract.random_tokens(predictor, 3, 30), lengths)


@pytest.mark.parametrize("seed", range(3))
def test_subsets(predictor: Predictor, seed: int) -> None:
    contract.check_subsets(predictor, contract.random_tokens(predictor, 4, 12, seed), seed)


def test_causality(predictor: Predictor) -> None:
    contract.check_causality(predictor, contract.random_tokens(predictor, 2, 20))


def test_states_are_apart(predictor: Predictor) -> None:
    contract.check_states_are_apart(predictor, contract.random_tokens(predictor, 2, 20))


@pytest.mark.parametrize("fed", [0, 3, 25])
def test_copies(predictor: Predictor, fed: int) -> None:
    contract.check_copies(predictor, contract.random_tokens(predictor, 3, 30), fed)


def test_out_and_selection(predictor: Predictor) -> None:
    contract.check_out_and_selection(predictor, contract.random_tokens(predictor, 3, 12))


@pytest.mark.parametrize("seed", range(3))
def test_tokens_can_be_taken_back(seed: int) -> None:
    predictor = transformer()
    contract.check_rewinding(predictor, contract.random_tokens(predictor, 2, 80, seed), seed)


def test_a_reference_takes_tokens_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    test_tokens_can_be_taken_back(7)
