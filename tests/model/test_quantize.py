"""Export: the integer form costs what the float form costs, and impossible models are refused."""

import math

import numpy as np
import pytest
import torch

from tests.model.conftest import CONFIG, markov_tokens, randomized, shaped
from zipllm.errors import ModelInvalid
from zipllm.model.gap import float_bits, integer_bits, measure_gap
from zipllm.model.transformer.float_form import Transformer
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.quantize import quantize
from zipllm.model.transformer.scales import best_clip, quantize_rows

TEST_TOKENS = markov_tokens(64, 48, seed=11)


def test_the_gap_of_a_trained_model_is_small(trained: Transformer, integer: IntegerTransformer) -> None:
    gap = measure_gap(trained, integer, TEST_TOKENS)
    uniform = TEST_TOKENS.numel() * math.log2(60)
    assert gap.float_bits < 0.6 * uniform  # it has learned something, so the gap means something
    assert abs(gap.percent) < 0.3


def test_fewer_bits_cost_more_but_work(trained: Transformer) -> None:
    calibration = markov_tokens(64, 48, seed=2)
    gaps = []
    for bits in (8, 4, 3):
        model = quantize(trained, calibration, weight_bits=bits)
        assert int(np.abs(model["query"]).max()) == 2 ** (bits - 1) - 1
        gaps.append(measure_gap(trained, IntegerTransformer(model), TEST_TOKENS).percent)
    assert gaps[0] < gaps[1] < gaps[2] < 60


@pytest.mark.parametrize("changes", [{"tied": True}, {"position": "alibi"}, {"heads": 4}, {"layers": 1}])
def test_logits_follow_the_float_model(changes: dict[str, object]) -> None:
    config = shaped(**changes)  # type: ignore[arg-type]
    transformer = randomized(config, seed=3)
    check_close(transformer)


def check_close(transformer: Transformer) -> None:
    """Integer logits follow the float model's."""
    tokens = markov_tokens(16, 40, seed=12)
    integer = IntegerTransformer(quantize(transformer, tokens))
    with torch.no_grad():
        wanted = transformer(tokens) / math.log(2)
    got = integer.logits(integer.forward(integer.start(16), tokens)) / 256
    assert float((got - wanted).square().mean().sqrt()) < 0.05 * float(wanted.std())


def test_a_model_that_knows_nothing_is_uniform() -> None:
    torch.manual_seed(0)
    model = quantize(Transformer(CONFIG), markov_tokens(4, 20, seed=1))  # a fresh head is zero
    bits = integer_bits(IntegerTransformer(model), TEST_TOKENS, model.config.start_token)
    assert bits == pytest.approx(TEST_TOKENS.numel() * math.log2(60), rel=1e-5)
    assert bits == pytest.approx(float_bits(Transformer(CONFIG), TEST_TOKENS), rel=1e-5)


def test_negative_score_scales_are_turned_into_the_queries() -> None:
    transformer = randomized(shaped(layers=1), seed=5)
    with torch.no_grad():
        transformer.blocks[0].attention.score_scale.mul_(-1)  # type: ignore[union-attr, operator]
    check_close(transformer)


def test_export_is_repeatable_and_leaves_the_float_model_alone(trained: Transformer) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    calibration = markov_tokens(16, 48, seed=2)
    first, second = quantize(trained, calibration), quantize(trained, calibration)
    assert all(np.array_equal(first[name], second[name]) for name in CONFIG.specification())
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in trained.modules())


def test_tensors_come_back_from_their_names(exported: TransformerParameters) -> None:
    again = TransformerParameters.from_tensors(CONFIG, exported.tensors())
    assert list(again.tensors()) == sorted(CONFIG.specification())
    assert all(np.array_equal(again[name], array) for name, array in exported.values.items())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    transformer = randomized(CONFIG)
    with torch.no_grad():
        transformer.embedding.weight[0, 0] = value
    with pytest.raises(ModelInvalid, match="not finite"):
        quantize(transformer, markov_tokens(2, 20, seed=1))


def test_activations_that_are_not_finite_are_refused() -> None:
    transformer = randomized(CONFIG)
    with torch.no_grad():
        transformer.blocks[0].attention.value.weight.fill_(3e38)  # type: ignore[union-attr, operator]
    with pytest.raises(ModelInvalid, match="activation of the float model is not finite"):
        quantize(transformer, markov_tokens(2, 20, seed=1))


@pytest.mark.parametrize("bits", [1, 9])
def test_impossible_weight_widths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="weight_bits must be from 2 to 8"):
        quantize(randomized(CONFIG), markov_tokens(2, 20, seed=1), weight_bits=bits)


@pytest.mark.parametrize("dead", ["attention.query", "attention.key", "attention.value", "feedforward.up"])
@pytest.mark.parametrize("value", [0.0, 1e-7])
def test_layers_that_never_fire_do_no_harm(dead: str, value: float) -> None:
    transformer = randomized(CONFIG, seed=6)
    with torch.no_grad():
        transformer.get_submodule(f"blocks.0.{dead}").weight.fill_(value)  # type: ignore[operator]
    check_close(transformer)


@pytest.mark.parametrize("position", ["rotary", "sinusoidal"])
def test_positions_without_an_integer_form_are_refused(position: str) -> None:
    with pytest.raises(ModelInvalid, match="no integer form"):
        quantize(randomized(shaped(position=position)), markov_tokens(2, 20, seed=1))


def test_scores_beyond_the_integer_form_are_refused() -> None:
    transformer = randomized(CONFIG)
    with torch.no_grad():
        transformer.blocks[0].attention.score_scale.fill_(1e9)  # type: ignore[union-attr, operator]
    with pytest.raises(ModelInvalid, match="scores are too large"):
        quantize(transformer, markov_tokens(2, 20, seed=1))


def test_rows_keep_their_scale_and_sign() -> None:
    weight = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [1e-3, 0.0, -1e-3]], dtype=torch.float64)
    rows, scale = quantize_rows(weight, torch.ones(3, dtype=torch.float64), 127)
    assert (rows * scale[:, None] - weight).abs().max() < 0.01
    assert rows[1].tolist() == [0, 0, 0]
    assert int(rows.abs().max()) == 127


def test_clipping_gives_up_a_rare_outlier_for_the_rest() -> None:
    ordinary = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0))
    largest = float(ordinary.abs().max())
    assert best_clip(ordinary, 127).item() == pytest.approx(largest, rel=0.3)
    outlier = torch.cat((ordinary, torch.tensor([[1000.0]])), dim=1)
    assert best_clip(outlier, 7).item() > 300  # squared error: a single 1000 still outweighs 20,000 roundings
    assert best_clip(ordinary, 1).item() < 0.7 * largest
