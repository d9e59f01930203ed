"""The last phase: the float model computes nearly what its integer form will, and can be resumed inside of it."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.train.test_trainer import ignore, same_weights
from zipllm.model.architecture import find_architecture
from zipllm.model.gap import integer_bits, measure_gap
from zipllm.model.rounding import Matrix, round_rows, round_to_levels
from zipllm.train.runlog import Report
from zipllm.train.trainer import Trainer

MakeTrainer = Callable[..., Trainer]

architecture = find_architecture("transformer")


def test_values_are_rounded_to_127_steps_and_clipped() -> None:
    x = torch.tensor([0.0, 0.1, -0.3, 0.5, 2.0, -2.0])
    rounded = round_to_levels(x, torch.tensor(1.0))
    assert torch.allclose(rounded, torch.tensor([0.0, 13 / 127, -38 / 127, 64 / 127, 1.0, -1.0]))
    assert len(set((rounded * 127).round().tolist())) == 6


def test_gradients_pass_unchanged() -> None:
    x = torch.tensor([0.1, 0.7, 3.0], requires_grad=True)
    (round_to_levels(x, torch.tensor(1.0)) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


def test_every_row_has_its_own_scale() -> None:
    weight = torch.tensor([[1.0, 0.004], [0.001, 0.0005]])
    rounded = round_rows(weight)
    assert torch.allclose(rounded, torch.tensor([[1.0, 1 / 127], [0.001, 0.0005]]), atol=5e-6)


def test_a_matrix_rounds_only_when_told() -> None:
    matrix = Matrix(8, 4)
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    plain = matrix(x)
    assert torch.equal(plain, torch.nn.functional.linear(x, matrix.weight))
    matrix.rounding = True
    matrix.input_clip.fill_(3.0)
    assert not torch.equal(matrix(x), plain)
    assert torch.allclose(matrix(x), plain, atol=0.1)


def test_rounding_begins_at_the_end_and_survives_a_resumption(make_trainer: MakeTrainer) -> None:
    whole = make_trainer("whole", steps=12, rounding=0.5)
    whole.train(ignore)
    assert whole.model.rounding
    calls = iter(range(100))
    first = make_trainer("parts", steps=12, rounding=0.5)
    first.train(ignore, lambda: next(calls) >= 8)
    assert first.model.rounding
    second = make_trainer("parts", steps=12, rounding=0.5, resume=True)
    assert second.model.rounding
    second.train(ignore)
    assert same_weights(whole.model, second.model)


@pytest.mark.filterwarnings("ignore")  # the compiler warns about itself
def test_the_traced_form_rounds_as_the_plain_one_does(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_trainer("plain", rounding=0.5)
    plain.train(ignore)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    compiled = make_trainer("compiled", rounding=0.5)
    compiled.use_compiler(True)
    seen: list[Report] = []
    compiled.train(seen.append)
    assert compiled.model.rounding
    assert seen[-1].rounding
    for ours, theirs in zip(compiled.model.state_dict().values(), plain.model.state_dict().values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_no_rounding_when_it_is_switched_off(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(rounding=0.0)
    trainer.train(ignore)
    assert not trainer.model.rounding


@pytest.fixture
def tokens(make_trainer: MakeTrainer) -> torch.Tensor:
    text = np.frombuffer(b"the cat sat on the mat. the dog sat on the log. " * 20, dtype=np.uint8)
    return torch.from_numpy(text[: 20 * 48].astype(np.int64)).view(20, 48)


def test_the_gap_of_export_is_under_one_percent(make_trainer: MakeTrainer, tokens: torch.Tensor) -> None:
    trainer = make_trainer(steps=150)
    trainer.train(ignore)
    trainer.model.set_rounding(False)
    gap = measure_gap(trainer.model, architecture.reference(architecture.quantize(trainer.model, tokens)), tokens)
    bytes_coded = tokens.numel()
    assert abs(gap.integer_bits - gap.float_bits) / bytes_coded < 0.01
    assert gap.percent < 1.0


@pytest.mark.parametrize("tied", [False, True])
def test_a_restored_model_predicts_what_the_integer_model_predicts(
    make_trainer: MakeTrainer, tokens: torch.Tensor, tied: bool
) -> None:
    trainer = make_trainer(steps=100, tied=tied)
    trainer.train(ignore)
    integer = architecture.quantize(trainer.model, tokens)
    restored = architecture.restore(integer)
    gap = measure_gap(restored, architecture.reference(integer), tokens)
    assert abs(gap.integer_bits - gap.float_bits) / tokens.numel() < 0.01
    again = architecture.reference(architecture.quantize(restored, tokens))
    assert integer_bits(again, tokens, integer.config.start_token) == pytest.approx(gap.integer_bits, rel=0.02)


def test_fine_tuning_goes_on_where_the_model_was(make_trainer: MakeTrainer, tokens: torch.Tensor) -> None:
    trainer = make_trainer("first", steps=100)
    trainer.train(ignore)
    cost = trainer.evaluate()
    tuned = make_trainer("second", steps=5, start=architecture.restore(architecture.quantize(trainer.model, tokens)))
    start = tuned.evaluate()
    assert cost is not None
    assert start is not None
    assert start.total == pytest.approx(cost.total, abs=0.05)
    assert start.total < 4.0
