"""Puts the parts of a model together: computes its id and its self-test."""

from dataclasses import replace

from zipllm.model.architecture import architecture_of
from zipllm.model.config import NetworkConfig
from zipllm.model.parameters import IntegerParameters
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, tokenizer_json
from zipllm.model_file.identity import compute_model_id
from zipllm.model_file.self_test import make_self_test, run_self_test
from zipllm.tokenizer import Tokenizer


def build_model(config: NetworkConfig, tokenizer: Tokenizer, integer: IntegerParameters, card: Card) -> Model:
    """Return a model ready to be saved.

    Args:
        config: shape of the network.
        tokenizer: its vocabulary has ``config.vocabulary_size`` tokens.
        integer: the exported network, of the same shape, on any device.
        card: provenance and measurements; ``with_card`` replaces it later without changing the id.

    Raises:
        ValueError: the tokenizer and the config disagree about the vocabulary.
    """
    if len(tokenizer.vocabulary) != config.vocabulary_size:
        raise ValueError(
            f"the tokenizer has {len(tokenizer.vocabulary)} tokens, the config a vocabulary of {config.vocabulary_size}"
        )
    model_id = compute_model_id(config, tokenizer_json(tokenizer), integer.values)
    self_test = make_self_test(config, architecture_of(config).reference(integer))
    return Model(config, tokenizer, integer, card, self_test, model_id)


def with_card(model: Model, card: Card) -> Model:
    """Return the same model, with the same id, under another card."""
    return replace(model, card=card)


def check_reference(model: Model) -> None:
    """Run the self-test on the reference network, once per process. Raises ``ModelInvalid``."""
    network = architecture_of(model.config).reference(model.integer)
    run_self_test(model.model_id, model.self_test, model.config, "reference", network)
