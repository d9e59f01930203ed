"""Small random models, tokens for them, and what the reference predicts."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zipllm.model.llama.bounds import check_bounds, dot_shift
from zipllm.model.llama.config import LINEAR_LAYERS, LlamaConfig
from zipllm.model.llama.float_form import Llama
from zipllm.model.llama.integer import IntegerLlama
from zipllm.model.llama.parameters import GAIN_SHIFT, RESULT_MAX, ROTARY_SHIFT, SIGMOID_SHIFT, LlamaParameters
from zipllm.model.llama.quantize import quantize
from zipllm.model.ranges import INT8_MAX, INT16_MAX, TOTAL, WIDE_MAX

INT32_MAX = (1 << 31) - 1


def shaped(**changes: Any) -> LlamaConfig:
    usual: dict[str, Any] = {
        "vocabulary_size": 97,
        "width": 40,
        "layers": 2,
        "heads": 6,
        "key_heads": 2,
        "head_size": 10,
        "feedforward": 72,
        "window": 9,
        "kept": 3,
    }
    return LlamaConfig(**usual | changes)


SHAPES = [
    shaped(),
    shaped(kept=0),
    shaped(kept=1, window=1),
    shaped(kept=0, window=1),
    shaped(kept=20, window=5),
    shaped(kept=16, window=64),
    shaped(biases=True),
    shaped(head_norms=True),
    shaped(biases=True, head_norms=True, tied=False),
    shaped(heads=1, key_heads=1, head_size=40),
    shaped(heads=4, key_heads=4, head_size=16),
    shaped(heads=16, key_heads=1, head_size=2),  # more queries than a tile has rows
    shaped(width=37, feedforward=51, head_size=6, window=5, vocabulary_size=257),
    shaped(width=1, feedforward=1, heads=1, key_heads=1, head_size=2, vocabulary_size=1, layers=1),
    shaped(layers=1, width=130, heads=3, key_heads=3, head_size=50, feedforward=300, vocabulary_size=2100),
]


@lru_cache(64)
def random_model(config: LlamaConfig, seed: int) -> LlamaParameters:
    """Export a network with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Llama(config).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.3 + (1 if parameter.dim() == 1 else 0))
            network.norm.gain.abs_()
        return quantize(network, torch.randint(0, config.vocabulary_size, (4, 24)))


def wild_model(config: LlamaConfig, seed: int, *, extreme: bool) -> LlamaParameters:
    """Return any numbers that pass the check of bounds; ``extreme``: all of them are the largest."""
    numbers = _Numbers(np.random.default_rng(seed), extreme)
    values = {name: numbers.of(name, *each) for name, each in config.specification().items() if _has_range(name, *each)}
    values |= numbers.tables(config)
    for name in (*LINEAR_LAYERS, "head"):
        values |= numbers.scales(config, name)
    model = LlamaParameters.from_arrays(config, values)
    check_bounds(model)
    return model


RANGES: dict[str, tuple[int, int]] = {
    "_gain": (-(1 << GAIN_SHIFT), 1 << GAIN_SHIFT),
    "_bias": (-RESULT_MAX, RESULT_MAX),
    "_norm": (1 << 50, (1 << 62) - 1),
    "levels": (1, WIDE_MAX),
    "embedding_multiplier": (0, 1 << 16),
    "embedding_shift": (1, 1),
    "epsilon": (0, 1 << 51),
    "rotary_step": (0, (1 << 32) - 1),
    "score_multiplier": (0, 4_095),
    "sigmoid_multiplier": (0, INT32_MAX),
}
"""By the end of a tensor's name; weights are int8."""


def _has_range(name: str, kind: str, shape: tuple[int, ...]) -> bool:
    return kind == "int8" or name.endswith(tuple(RANGES))


class _Numbers:
    """Draws the tensors of a wild model."""

    def __init__(self, generator: np.random.Generator, extreme: bool) -> None:
        self.generator = generator
        self.extreme = extreme

    def of(self, name: str, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Draw a tensor whose numbers have a range."""
        low, high = next((bounds for end, bounds in RANGES.items() if name.endswith(end)), (-INT8_MAX, INT8_MAX))
        return self.between(low, high, shape).astype(kind)

    def between(self, low: int, high: int, shape: int | tuple[int, ...]) -> NDArray[np.int64]:
        if not self.extreme:
            return self.generator.integers(low, high, shape, endpoint=True)
        return self.generator.choice([low, high], shape) if low < 0 else np.full(shape, high)

    def falling(self, first: int) -> NDArray[np.int32]:
        rest = np.sort(self.generator.integers(0, first, 300, endpoint=True))[::-1]
        return np.concatenate(([first], rest, [0])).astype(np.int32)

    def tables(self, config: LlamaConfig) -> dict[str, NDArray[Any]]:
        """Draw what the length of a table or the shape of the network bounds."""
        most = INT32_MAX // ((config.window + config.kept) * INT8_MAX)
        turn = self.between(-(1 << ROTARY_SHIFT), 1 << ROTARY_SHIFT, 1 << int(self.generator.integers(2, 10)))
        return {
            "cosine": turn.astype(np.int32),
            "sigmoid": self.between(0, 1 << SIGMOID_SHIFT, 301).astype(np.int32),
            "dot_shift": np.array([dot_shift(config.head_size)], dtype=np.int32),
            "score_shift": self.generator.integers(4, 31, (config.layers, config.heads), dtype=np.int32),
            "attention_exponential": self.falling(min(INT16_MAX >> 1, most)),
            "frequency_exponential": self.falling(TOTAL),
        }

    def scales(self, config: LlamaConfig, name: str) -> dict[str, NDArray[Any]]:
        """Draw what a matrix's sums are multiplied by, such that a result has fewer than 30 bits."""
        rows, inputs = (config.vocabulary_size, config.width) if name == "head" else config.sizes(name)
        layers = () if name == "head" else (config.layers,)
        bits = (inputs * INT8_MAX * WIDE_MAX).bit_length()
        factor = 31 if self.extreme else int(self.generator.integers(8, 32))
        return {
            f"{name}_multiplier": self.between(0, (1 << factor) - 1, (*layers, rows)).astype(np.int32),
            f"{name}_shift": np.full(layers or 1, max(1, bits + factor - 29), dtype=np.int32),
            f"{name}_scale_shift": self.between(1, 1 if self.extreme else 50, layers or 1).astype(np.int32),
        }


def random_tokens(config: LlamaConfig, lanes: int, time: int, seed: int) -> NDArray[np.int32]:
    tokens = np.random.default_rng(seed).integers(0, config.vocabulary_size, (lanes, time)).astype(np.int32)
    tokens[:, 0] = config.start_token
    return tokens


def expected(model: LlamaParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    reference = IntegerLlama(model)
    return reference.predict(reference.start(len(tokens)), tokens, every(tokens))


def every(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 ``[lanes]``: the lane of each row of tokens where all lanes are fed."""
    return np.arange(len(tokens), dtype=np.int32)
