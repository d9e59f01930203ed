"""Small random models, tokens for them, and what the reference predicts."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from tests.model.conftest import markov_tokens, randomized, shaped
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.quantize import quantize

SHAPES = [
    shaped(),
    shaped(window=1),
    shaped(window=3, layers=3),
    shaped(window=7, heads=1),
    shaped(window=64),
    shaped(heads=4, width=20, feedforward=36),
    shaped(heads=8, width=8, feedforward=1),
    shaped(width=72, heads=3, feedforward=130),
    shaped(vocabulary_size=1, layers=1),
    shaped(vocabulary_size=67, tied=True),
    shaped(vocabulary_size=300, position="alibi"),
    shaped(width=130, heads=2, feedforward=257, vocabulary_size=513),
    shaped(layers=1, feedforward=1100, vocabulary_size=2100),  # longer than what is worked on at once
]


@lru_cache(64)
def random_model(config: TransformerConfig, seed: int) -> TransformerParameters:
    tokens = markov_tokens(4, 24, seed=seed, vocabulary=config.vocabulary_size)
    return quantize(randomized(config, seed, spread=1.5), tokens)


def random_tokens(config: TransformerConfig, lanes: int, time: int, seed: int) -> NDArray[np.int32]:
    tokens = np.random.default_rng(seed).integers(0, config.vocabulary_size, (lanes, time)).astype(np.int32)
    tokens[:, 0] = config.start_token
    return tokens


def expected(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    reference = IntegerTransformer(model)
    hidden = reference.forward(reference.start(len(tokens)), torch.from_numpy(tokens))
    result: NDArray[np.int32] = reference.cumulative(hidden).numpy()
    return result


def every(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 ``[lanes]``: the lane of each row of tokens where all lanes are fed."""
    return np.arange(len(tokens), dtype=np.int32)
