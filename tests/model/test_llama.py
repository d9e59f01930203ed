"""The exact Llama: passes equal steps, nothing overflows, and the integers predict what the floats do."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.model.llama_models import OPTIONS, exported_llama, extreme_llama, llama_config, random_llama, random_tokens
from tests.model.llama_oracle import Oracle
from zipllm.errors import ModelInvalid
from zipllm.model.architecture import architecture_of, config_from_dict
from zipllm.model.config import MOST_REWOUND
from zipllm.model.frequencies import cumulate, frequencies
from zipllm.model.gap import float_bits, measure_gap
from zipllm.model.llama.integer import IntegerLlama
from zipllm.model.llama.parameters import LlamaParameters
from zipllm.model.llama.quantize import quantize
from zipllm.model.llama.restore import restore

TIME = 40  # more than three windows
LANES = np.arange(3, dtype=np.int32)

options = pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)


def tokens(seed: int = 1, time: int = TIME) -> NDArray[np.int32]:
    return random_tokens(len(LANES), time, seed).numpy().astype(np.int32)


def in_pieces(integer: IntegerLlama, ids: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    state = integer.start(len(ids))
    lanes = np.arange(len(ids), dtype=np.int32)
    pieces = [integer.predict(state, ids[:, at : at + size], lanes) for at in range(0, ids.shape[1], size)]
    return np.concatenate(pieces, axis=1)


@options
def test_any_chunking_gives_the_same_integers(changes: dict[str, Any]) -> None:
    integer = IntegerLlama(exported_llama(**changes))
    whole = in_pieces(integer, tokens(), TIME)
    for size in (1, 7, 13):
        assert np.array_equal(in_pieces(integer, tokens(), size), whole)


@options
@pytest.mark.parametrize("make", [exported_llama, extreme_llama])
def test_unbounded_integers_agree(make: Any, changes: dict[str, Any]) -> None:
    model: LlamaParameters = make(seed=3, **changes)
    integer, oracle = IntegerLlama(model), Oracle(model)
    ids = tokens(4, 22)[:1]
    found = in_pieces(integer, ids, 22)[0]
    table = torch.from_numpy(model["frequency_exponential"])
    for position, token in enumerate(ids[0].tolist()):
        logits = torch.tensor(oracle.feed(token))
        assert np.array_equal(cumulate(frequencies(logits, table)).numpy(), found[position])


def test_subsets_of_lanes_advance_alone() -> None:
    integer, ids = IntegerLlama(exported_llama()), tokens()
    whole = in_pieces(integer, ids, TIME)
    state = integer.start(3)
    for at in range(0, TIME, 4):
        for lanes in (np.array([1], dtype=np.int32), np.array([0, 2], dtype=np.int32)):
            assert np.array_equal(integer.predict(state, ids[lanes, at : at + 4], lanes), whole[lanes, at : at + 4])


@pytest.mark.parametrize("before", [0, 2, 3, 11, 30])
@pytest.mark.parametrize("taken_back", [1, 2, MOST_REWOUND])
def test_tokens_taken_back_leave_no_trace(before: int, taken_back: int) -> None:
    integer, ids = IntegerLlama(exported_llama()), tokens(time=before + 20)
    state = integer.start(3)
    if before:
        integer.predict(state, ids[:, :before], LANES)
    integer.predict(state, tokens(9, taken_back), LANES)
    integer.rewind(state, LANES, taken_back)
    whole = in_pieces(integer, ids, before + 20)
    assert np.array_equal(integer.predict(state, ids[:, before:], LANES), whole[:, before:])


def test_a_copy_goes_on_by_itself() -> None:
    integer, ids = IntegerLlama(exported_llama()), tokens()
    state = integer.start(1)
    integer.predict(state, ids[:1, :20], LANES[:1])
    state = integer.copy(state, 3)
    following = integer.predict(state, ids[:, 20:], LANES)
    together = np.concatenate((np.repeat(ids[:1, :20], 3, 0), ids[:, 20:]), 1)
    assert np.array_equal(following, in_pieces(integer, together, TIME)[:, 20:])


def test_kept_tokens_matter_for_ever_and_others_for_a_while() -> None:
    """Two layers of a window of 12 reach 22 tokens back, and the kept ones."""
    integer, ids = IntegerLlama(exported_llama()), tokens()
    whole = in_pieces(integer, ids, TIME)
    for position, matters in ((0, True), (2, True), (3, False), (4, False)):
        other = ids.copy()
        other[:, position] = (other[:, position] + 1) % 257
        changed = in_pieces(integer, other, TIME)[:, position + 23 :]
        assert np.array_equal(changed, whole[:, position + 23 :]) is not matters


@options
def test_integers_cost_what_floats_cost(changes: dict[str, Any]) -> None:
    network = random_llama(2, **changes)
    model = quantize(network, random_tokens(8, TIME, 5))
    gap = measure_gap(network, IntegerLlama(model), random_tokens(6, TIME, 6))
    assert abs(gap.percent) < 0.3


@options
def test_a_restored_model_predicts_the_same_and_quantizes_again(changes: dict[str, Any]) -> None:
    network, ids = random_llama(2, **changes), random_tokens(6, TIME, 6)
    model = quantize(network, random_tokens(8, TIME, 5))
    restored = restore(model).eval()
    cost = float_bits(network, ids)
    assert float_bits(restored, ids) == pytest.approx(cost, rel=0.003)
    assert float_bits(restore(quantize(restored, ids)), ids) == pytest.approx(cost, rel=0.005)


def test_the_config_comes_back_from_its_json() -> None:
    config = llama_config(biases=True, kept=0)
    assert config_from_dict(config.to_dict()) == config
    assert config.to_dict()["architecture"] == "llama"


@pytest.mark.parametrize(
    ("field", "value"),
    [("kept", 65), ("kept", True), ("key_heads", 4), ("head_size", 9), ("window", 0), ("tied", 1), ("layers", -1)],
)
def test_impossible_configs_are_refused_by_the_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        llama_config(**{field: value})


def test_counts_parameters_as_the_float_form_has_them() -> None:
    for changes in OPTIONS.values():
        network = random_llama(**changes)
        assert sum(network.config.parameter_counts()) == sum(parameter.numel() for parameter in network.parameters())


def test_a_weight_that_is_not_finite_is_refused() -> None:
    network = random_llama()
    with torch.no_grad():
        network.norm.gain[3] = float("nan")
    with pytest.raises(ModelInvalid, match="weight of the float model is not finite"):
        architecture_of(network.config).quantize(network, random_tokens(2, 20))
