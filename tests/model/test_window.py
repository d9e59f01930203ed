"""Causality and the sliding window, in both forms."""

import torch
from torch import Tensor

from tests.model.conftest import CONFIG, markov_tokens, randomized, shaped
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.quantize import quantize


def hidden(integer: IntegerTransformer, tokens: Tensor) -> Tensor:
    return integer.forward(integer.start(len(tokens)), tokens)


def changed_at(tokens: Tensor, position: int) -> Tensor:
    other = tokens.clone()
    other[:, position] = (other[:, position] + 1) % CONFIG.vocabulary_size
    return other


def test_the_future_never_changes_the_past(integer: IntegerTransformer) -> None:
    tokens = markov_tokens(3, 40, seed=6)
    before, after = hidden(integer, tokens), hidden(integer, changed_at(tokens, 25))
    assert torch.equal(before[:, :25], after[:, :25])
    assert not torch.equal(before[:, 25], after[:, 25])


def test_influence_ends_after_layers_times_window(integer: IntegerTransformer) -> None:
    """Each layer sees ``window - 1`` tokens back, so two layers of 8 reach 14 tokens and not 15."""
    tokens = markov_tokens(3, 40, seed=7)
    reach = CONFIG.layers * (CONFIG.window - 1)
    before, after = hidden(integer, tokens), hidden(integer, changed_at(tokens, 5))
    assert torch.equal(before[:, 5 + reach + 1 :], after[:, 5 + reach + 1 :])


def test_one_layer_sees_exactly_its_window() -> None:
    config = shaped(layers=1)
    transformer = randomized(config, seed=1, spread=4.0)
    with torch.no_grad():
        transformer.blocks[0].attention.position_bias.zero_()  # type: ignore[union-attr, operator]
        transformer.blocks[0].attention.score_scale.fill_(1.0)  # type: ignore[union-attr, operator]
    tokens = markov_tokens(4, 30, seed=8)
    integer = IntegerTransformer(quantize(transformer, tokens))
    before, after = hidden(integer, tokens), hidden(integer, changed_at(tokens, 4))
    differs = (before != after).flatten(2).any(-1).any(0)
    assert differs.nonzero()[:, 0].tolist() == list(range(4, 4 + config.window))


def test_absolute_position_does_not_matter(integer: IntegerTransformer) -> None:
    """A stream that goes on looks the same after the window as one that began just before it."""
    tokens = markov_tokens(2, 60, seed=9)
    reach = CONFIG.layers * (CONFIG.window - 1)
    late, early = hidden(integer, tokens), hidden(integer, tokens[:, 20:])
    assert torch.equal(late[:, 20 + reach :], early[:, reach:])


def test_a_ring_that_wrapped_many_times_equals_a_fresh_one(integer: IntegerTransformer) -> None:
    tokens = markov_tokens(1, 200, seed=10)
    state = integer.start(1)
    steps = [integer.forward(state, tokens[:, i : i + 1]) for i in range(200)]
    assert torch.equal(torch.cat(steps, dim=1), hidden(integer, tokens))
