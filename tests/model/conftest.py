"""Models for the integer engine's tests: one trained for seconds, and ones made of numbers at their limits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from zipllm.model.transformer.bounds import check_bounds
from zipllm.model.transformer.config import LINEAR_LAYERS, TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model.transformer.quantize import quantize
from zipllm.model.transformer.scales import exponential_table

CONFIG = TransformerConfig(vocabulary_size=60, width=32, layers=2, heads=2, feedforward=72, window=8)


def markov_tokens(sequences: int, time: int, seed: int, vocabulary: int = 60) -> Tensor:
    """Sequences that reward looking back: each token follows from the one before the last, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(vocabulary, (sequences, time), generator=generator)
    noise = torch.rand(sequences, time, generator=generator) < 0.15
    for step in range(2, time):
        rule = (tokens[:, step - 2] + 1) % min(17, vocabulary)
        tokens[:, step] = torch.where(noise[:, step], tokens[:, step], rule)
    return tokens


def randomized(config: TransformerConfig, seed: int = 0, spread: float = 1.0) -> Transformer:
    """A float model whose every matrix is random, none zero."""
    torch.manual_seed(seed)
    transformer = Transformer(config)
    for parameter in transformer.parameters():
        if parameter.dim() == 2 and not bool(parameter.abs().max() > 0):
            torch.nn.init.normal_(parameter, std=spread * parameter.shape[1] ** -0.5)
    return transformer


@pytest.fixture(scope="session")
def trained() -> Transformer:
    """A tiny model after a few seconds of training."""
    torch.manual_seed(0)
    transformer = Transformer(CONFIG)
    optimizer = torch.optim.AdamW(transformer.parameters(), lr=3e-3)
    tokens = markov_tokens(240, 48, seed=1)
    for step in range(180):
        batch = tokens[(16 * step) % 240 :][:16]
        start = torch.full((len(batch), 1), CONFIG.start_token)
        logits = transformer(torch.cat((start, batch[:, :-1]), dim=1))
        optimizer.zero_grad()
        functional.cross_entropy(logits.flatten(0, 1), batch.flatten()).backward()
        optimizer.step()
    return transformer.eval()


@pytest.fixture(scope="session")
def exported(trained: Transformer) -> TransformerParameters:
    """The trained model's integer form."""
    return quantize(trained, markov_tokens(64, 48, seed=2))


@pytest.fixture(scope="session")
def integer(exported: TransformerParameters) -> IntegerTransformer:
    return IntegerTransformer(exported)


def extreme_tensors(config: TransformerConfig, seed: int = 0) -> dict[str, Tensor]:
    """Tensors at the edge of what `check_bounds` accepts: weights +-127, largest multipliers, sharp scores."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for name, (dtype, shape) in config.specification().items():
        sizes = tuple(256 if size < 0 else size for size in shape)
        if dtype == "int8":
            signs = torch.randint(2, sizes, generator=generator) * 2 - 1
            if len(sizes) == 3:
                signs[:, : sizes[1] // 2] = 1  # some rows all alike: the largest sums there are
            tensors[name] = (127 * signs).to(torch.int8)
        else:
            tensors[name] = torch.from_numpy(np.zeros(sizes, dtype=dtype))
    _fill_scales(config, tensors)
    return tensors


def _fill_scales(config: TransformerConfig, tensors: dict[str, Tensor]) -> None:
    for name in (*LINEAR_LAYERS, "head", "embedding"):
        inputs = 1 if name == "embedding" else config.feedforward if name == "down" else config.width
        product = 127 if name == "embedding" else inputs * 127 * 127
        # the largest multiplier for which product * multiplier >> shift stays below 2**30
        shift = 16
        largest = min((1 << 31) - 1, (((1 << (30 + shift)) - 1) - (1 << (shift - 1))) // product)
        tensors[f"{name}_multiplier"].fill_(largest)
        tensors[f"{name}_shift"].fill_(shift)
    for name in ("attention_norm", "feedforward_norm", "final_norm", "query_norm", "key_norm"):
        tensors[name].fill_((1 << 62) - 1)
    tensors["mixing_scale"].fill_((1 << 55) - 1)
    limit = config.head_size * 127 * 127
    tensors["score_shift"].fill_(4)
    tensors["score_multiplier"].fill_(((1 << 31) - 1 - 8) // limit)
    tensors["position_bias"][..., ::2] = 1 << 20
    tensors["position_bias"][..., 1::2] = -(1 << 20)
    top = min(32_767, ((1 << 31) - 1) // (127 * config.window))
    tensors["attention_exponential"] = exponential_table(top)
    tensors["frequency_exponential"] = exponential_table(1 << 24)


def extreme_model(config: TransformerConfig = CONFIG, seed: int = 0) -> TransformerParameters:
    model = TransformerParameters.from_tensors(config, extreme_tensors(config, seed))
    check_bounds(model)
    return model


def shaped(**changes: int | bool | str) -> TransformerConfig:
    return replace(CONFIG, **changes)  # type: ignore[arg-type]
