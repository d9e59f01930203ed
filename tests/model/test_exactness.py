"""The same integers whatever the chunking, the lanes, the threads and the route of the products."""

import hashlib
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.model.conftest import CONFIG, extreme_model, markov_tokens, randomized, shaped
from tests.model.oracle import Oracle
from zipllm.model import arithmetic
from zipllm.model.transformer import integer as integer_module
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.quantize import quantize

TOKENS = torch.cat((torch.full((5, 1), CONFIG.start_token), markov_tokens(5, 70, seed=3)), dim=1)


def run(transformer: IntegerTransformer, tokens: Tensor, chunk: int) -> Tensor:
    state = transformer.start(len(tokens))
    parts = [transformer.cumulative(transformer.forward(state, part)) for part in torch.split(tokens, chunk, dim=1)]
    return torch.cat(parts, dim=1)


def digest(x: Tensor) -> str:
    return hashlib.sha256(x.numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def expected(integer: IntegerTransformer) -> str:
    return digest(run(integer, TOKENS, TOKENS.shape[1]))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("chunk", [1, 2, 7, 8, 9, 64])
def test_any_chunking_gives_the_same_integers(integer: IntegerTransformer, expected: str, chunk: int) -> None:
    assert digest(run(integer, TOKENS, chunk)) == expected


@pytest.mark.parametrize("budget", [1, 3_000, 1 << 30])
def test_internal_chunks_change_nothing(
    exported: TransformerParameters, expected: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integer_module, "CHUNK_ELEMENTS", budget)
    assert digest(run(IntegerTransformer(exported), TOKENS, TOKENS.shape[1])) == expected


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("chunk", [1, 71])
def test_two_threads_give_the_same_integers(integer: IntegerTransformer, expected: str, chunk: int) -> None:
    assert digest(run(integer, TOKENS, chunk)) == expected


@pytest.fixture(scope="module")
def wide() -> IntegerTransformer:
    """Large enough that torch does split its work between threads."""
    config = shaped(width=256, layers=1, heads=4, feedforward=512, vocabulary_size=300, window=32)
    return IntegerTransformer(quantize(randomized(config, seed=7), markov_tokens(4, 40, 14, 300)))


def test_a_wide_model_ignores_threads_batch_and_chunking(
    wide: IntegerTransformer, request: pytest.FixtureRequest
) -> None:
    tokens = markov_tokens(6, 40, 15, 300)
    once = run(wide, tokens, 40)
    request.getfixturevalue("two_threads")
    assert torch.equal(run(wide, tokens, 40), once)
    assert torch.equal(run(wide, tokens, 11), once)
    assert torch.equal(run(wide, tokens[3:4], 40), once[3:4])
    assert torch.equal(run(wide, tokens[:2, :8], 1), once[:2, :8])


def test_each_lane_alone_gives_its_part(integer: IntegerTransformer) -> None:
    together = run(integer, TOKENS, TOKENS.shape[1])
    for lane in range(len(TOKENS)):
        assert torch.equal(run(integer, TOKENS[lane : lane + 1], 71)[0], together[lane])


def test_lane_subsets_advance_only_the_lanes_named(integer: IntegerTransformer) -> None:
    """Lanes at different positions step side by side, in any order, as they would alone."""
    together = run(integer, TOKENS, TOKENS.shape[1])
    state = integer.start(5)
    fed = torch.zeros(5, dtype=torch.long)
    generator = torch.Generator().manual_seed(4)
    for _ in range(60):
        count = int(torch.randint(1, 6, (1,), generator=generator))
        lanes = torch.randperm(5, generator=generator)[:count]
        hidden = integer.forward(state, TOKENS[lanes, fed[lanes]][:, None], lanes)
        assert torch.equal(integer.cumulative(hidden)[:, 0], together[lanes, fed[lanes]])
        fed[lanes] += 1
    assert torch.equal(state.positions, fed)
    assert len(set(fed.tolist())) > 1


def test_prefill_then_steps_continue_one_stream(integer: IntegerTransformer) -> None:
    together = run(integer, TOKENS, TOKENS.shape[1])
    state = integer.start(5)
    integer.forward(state, TOKENS[:, :40])
    for step in range(40, 60):
        hidden = integer.forward(state, TOKENS[:, step : step + 1])
        assert torch.equal(integer.cumulative(hidden)[:, 0], together[:, step])


@pytest.mark.parametrize("route", ["float32", "float64", "int64"])
def test_every_route_of_the_products_agrees(
    integer: IntegerTransformer, expected: str, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "_best_route", lambda activations, weight: route)
    assert digest(run(integer, TOKENS, 71)) == expected


@pytest.mark.parametrize(
    "config",
    [CONFIG, shaped(tied=True), shaped(window=1), shaped(heads=1, width=1, feedforward=1), shaped(vocabulary_size=1)],
    ids=["plain", "tied", "window 1", "width 1", "vocabulary 1"],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_unbounded_integers_agree_at_the_limits(config: TransformerConfig, seed: int) -> None:
    """Weights of +-127, the largest multipliers and norms: still what Python's integers give."""
    model = extreme_model(config, seed)
    check_against_oracle(model, 20)


def test_unbounded_integers_agree_on_a_trained_model(exported: TransformerParameters) -> None:
    check_against_oracle(exported, 24)


def check_against_oracle(model: TransformerParameters, time: int) -> None:
    vocabulary = model.config.vocabulary_size
    tokens = torch.cat((torch.tensor([[vocabulary]]), markov_tokens(1, time, 5, vocabulary)), dim=1)
    result = run(IntegerTransformer(model), tokens, 9)
    oracle = Oracle(model)
    for step, token in enumerate(tokens[0].tolist()):
        assert result[0, step].tolist() == oracle.feed(token)


def test_no_tokens_give_no_predictions(integer: IntegerTransformer) -> None:
    state = integer.start(3)
    hidden = integer.forward(state, torch.zeros(3, 0, dtype=torch.long))
    assert integer.cumulative(hidden).shape == (3, 0, CONFIG.vocabulary_size + 1)
    assert state.positions.tolist() == [0, 0, 0]


@pytest.mark.parametrize("token", [-1, CONFIG.vocabulary_size + 1])
def test_ids_outside_the_alphabet_are_refused(integer: IntegerTransformer, token: int) -> None:
    state = integer.start(1)
    with pytest.raises(ValueError, match="token ids must be from 0 to 60"):
        integer.forward(state, torch.tensor([[0, token]]))
    assert state.positions.tolist() == [0]
