"""A machine that computes differently is refused before it codes anything."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model_file.conftest import CONFIG
from zipllm.errors import ModelInvalid
from zipllm.model.architecture import architecture_of
from zipllm.model_file import self_test
from zipllm.model_file.file import Model, check_reference
from zipllm.model_file.self_test import SelfTest, make_self_test, run_self_test, self_test_from_dict


@pytest.fixture(autouse=True)
def forget_what_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_passed", set())


def test_tokens_begin_a_stream_and_spread_over_the_vocabulary(model: Model) -> None:
    tokens = model.self_test.tokens
    assert tokens[0] == CONFIG.start_token
    assert max(tokens[1:]) < CONFIG.vocabulary_size
    assert len(set(tokens[1:])) > len(tokens) // 2
    assert len(tokens) > 2 * CONFIG.window, "the ring must wrap in this tiny model"


def test_survives_its_json_form(model: Model) -> None:
    assert self_test_from_dict(model.self_test.to_dict(), CONFIG) == model.self_test


def test_reference_passes(model: Model) -> None:
    check_reference(model)


class Reference:
    """The reference network of a model, which counts the tokens of every call."""

    def __init__(self, model: Model) -> None:
        self._network = architecture_of(model.config).reference(model.integer)
        self.calls: list[int] = []

    def start(self, lanes: int) -> Any:
        return self._network.start(lanes)

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        self.calls.append(tokens.shape[1])
        return self._network.predict(state, tokens, lanes)


class Broken(Reference):
    """One frequency of the last token is wrong."""

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        cumulative = super().predict(state, tokens, lanes).copy()
        cumulative[-1, -1, 100] += 1
        return cumulative


def run(model: Model, name: str, network: Reference) -> None:
    run_self_test(model.model_id, model.self_test, CONFIG, name, network)


def test_covers_a_pass_and_single_steps(model: Model) -> None:
    network = Reference(model)
    run(model, "counted", network)
    assert network.calls == [len(model.self_test.tokens) - 4, 1, 1, 1, 1]


def test_one_wrong_frequency_is_refused_and_named(model: Model) -> None:
    with pytest.raises(ModelInvalid, match=r"failed its self-test on engine 'broken': this machine or one of its lib"):
        run(model, "broken", Broken(model))


def test_runs_once_per_process_model_and_network(model: Model, other_model: Model) -> None:
    networks = [Reference(each) for _ in range(2) for _ in range(2) for each in (model, other_model)]
    names = [name for _ in range(2) for name in ("a", "a", "b", "b")]
    for name, network, each in zip(names, networks, [model, other_model] * 4, strict=True):
        run(each, name, network)
    assert [bool(network.calls) for network in networks] == [True] * 4 + [False] * 4


def test_failure_is_not_remembered_as_success(model: Model) -> None:
    broken = replace(model, self_test=replace(model.self_test, sha256=bytes(32)))
    for _ in range(2):
        with pytest.raises(ModelInvalid):
            check_reference(broken)
    check_reference(model)


def test_another_model_gives_another_hash(model: Model, other_model: Model) -> None:
    assert make_self_test(CONFIG, Reference(other_model)).sha256 != model.self_test.sha256


def test_hash_is_known(model: Model) -> None:
    """The arithmetic of a tiny model, frozen: a change here makes every model file fail its self-test."""
    assert model.self_test.sha256.hex() == "4b1e69760eda18878e9f2dc3772c1730f2a5ca445536cac1cfd355518fc8b5e5"


@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_any_number_of_tokens_can_be_tested(model: Model, count: int) -> None:
    test = SelfTest((CONFIG.start_token, *range(count - 1)), bytes(32))
    network = Reference(model)
    with pytest.raises(ModelInvalid, match="self-test"):
        run_self_test(model.model_id, test, CONFIG, "counted", network)
    assert sum(network.calls) == count
