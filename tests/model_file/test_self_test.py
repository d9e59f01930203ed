"""A machine that computes differently is refused before it codes anything."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model_file.conftest import CONFIG
from zipllm.errors import ModelInvalid
from zipllm.model.parameters import IntegerModel
from zipllm.model_file import self_test
from zipllm.model_file.build import check_reference
from zipllm.model_file.file import Model
from zipllm.model_file.reference import reference_engine
from zipllm.model_file.self_test import make_self_test, run_self_test, self_test_from_dict

Table = NDArray[np.int32]


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


def test_single_steps_pass_too(model: Model) -> None:
    one_pass = reference_engine(model.integer)

    def steps(tokens: Table) -> Table:
        return np.stack([one_pass(tokens[: count + 1])[-1] for count in range(len(tokens))])

    run_self_test(model.model_id, model.self_test, CONFIG, "steps", steps)


def test_one_wrong_frequency_is_refused_and_named(model: Model) -> None:
    right = reference_engine(model.integer)

    def wrong(tokens: Table) -> Table:
        cumulative = right(tokens).copy()
        cumulative[-1, 100] += 1
        return cumulative

    with pytest.raises(ModelInvalid, match=r"failed its self-test on engine 'broken': this machine or one of its lib"):
        run_self_test(model.model_id, model.self_test, CONFIG, "broken", wrong)


def test_runs_once_per_process_model_and_engine(model: Model, other_model: Model) -> None:
    calls = []

    def counting(integer: IntegerModel) -> Callable[[Table], Table]:
        engine = reference_engine(integer)

        def predict(tokens: Table) -> Table:
            calls.append(1)
            return engine(tokens)

        return predict

    for _ in range(2):
        for engine in ("a", "b"):
            for each in (model, other_model):
                run_self_test(each.model_id, each.self_test, CONFIG, engine, counting(each.integer))
    assert len(calls) == 4


def test_failure_is_not_remembered_as_success(model: Model) -> None:
    broken = replace(model, self_test=replace(model.self_test, sha256=bytes(32)))
    for _ in range(2):
        with pytest.raises(ModelInvalid):
            check_reference(broken)
    check_reference(model)


def test_another_model_gives_another_hash(model: Model, other_model: Model) -> None:
    assert make_self_test(CONFIG, reference_engine(other_model.integer)).sha256 != model.self_test.sha256


def test_hash_is_known(model: Model) -> None:
    """The arithmetic of a tiny model, frozen: a change here makes every model file fail its self-test."""
    assert model.self_test.sha256.hex() == "4b1e69760eda18878e9f2dc3772c1730f2a5ca445536cac1cfd355518fc8b5e5"


@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_any_number_of_tokens_can_be_tested(model: Model, count: int) -> None:
    tokens = np.array((CONFIG.start_token, *range(count - 1)), dtype=np.int32)
    cumulative = reference_engine(model.integer)(tokens)
    assert cumulative.shape == (count, CONFIG.vocabulary_size + 1)
    assert cumulative.dtype == np.int32
    assert (cumulative[:, -1] == 1 << 24).all()
