"""Small Llamas: random ones of every option, and ones made of numbers at their limits."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zipllm.model.llama.bounds import ENTRY, SCORE_MULTIPLIERS, check_bounds, dot_shift
from zipllm.model.llama.config import LINEAR_LAYERS, LlamaConfig
from zipllm.model.llama.float_form import Llama
from zipllm.model.llama.parameters import (
    GAIN_SHIFT,
    PHASE_BITS,
    RESULT_MAX,
    ROTARY_SHIFT,
    SIGMOID_SHIFT,
    LlamaParameters,
)
from zipllm.model.llama.quantize import quantize
from zipllm.model.ranges import WIDE_MAX
from zipllm.model.transformer.scales import exponential_table

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "nothing kept": {"kept": 0},
    "biases": {"biases": True},
    "head norms": {"head_norms": True},
    "untied": {"tied": False, "biases": True, "head_norms": True},
    "no groups": {"key_heads": 6},
    "one head": {"heads": 1, "key_heads": 1, "head_size": 14},
    "odd widths": {"width": 37, "feedforward": 51, "vocabulary_size": 257, "window": 5, "head_size": 6},
}


def llama_config(**changes: Any) -> LlamaConfig:
    fields: dict[str, Any] = {
        "vocabulary_size": 300, "width": 40, "layers": 2, "heads": 6, "key_heads": 2, "head_size": 10,
        "feedforward": 72, "window": 12, "kept": 3,
    }  # fmt: skip
    return LlamaConfig(**(fields | changes))


def random_llama(seed: int = 0, **changes: Any) -> Llama:
    torch.manual_seed(seed)
    network = Llama(llama_config(**changes))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.copy_(1 + 0.3 * torch.randn_like(parameter))
        network.embedding.weight.mul_(0.2)
    return network.eval()


def random_tokens(sequences: int, time: int, seed: int = 0, vocabulary: int = 257) -> torch.Tensor:
    return torch.randint(vocabulary, (sequences, time), generator=torch.Generator().manual_seed(seed))


def exported_llama(seed: int = 0, **changes: Any) -> LlamaParameters:
    return quantize(random_llama(seed, **changes), random_tokens(8, 40, seed))


def extreme_arrays(config: LlamaConfig, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Arrays at the edge of what `check_bounds` accepts."""
    random = np.random.default_rng(seed)
    arrays: dict[str, NDArray[Any]] = {}
    for name, (dtype, shape) in config.specification().items():
        sizes = tuple(256 if size < 0 else size for size in shape)
        if dtype == "int8":
            arrays[name] = (127 * random.choice([-1, 1], sizes)).astype(np.int8)
            arrays[name][..., : sizes[-2] // 2, :] = 127  # rows all alike have the largest sums
        elif name.endswith("_gain"):
            arrays[name] = ((1 << GAIN_SHIFT) * random.choice([-1, 1], sizes)).astype(dtype)
        elif name.endswith("_bias"):
            arrays[name] = (RESULT_MAX * random.choice([-1, 1], sizes)).astype(dtype)
        elif name.endswith("_norm"):
            arrays[name] = np.full(sizes, (1 << 62) - 1, dtype)
        else:
            arrays[name] = np.zeros(sizes, dtype)
    _fill_scales(config, arrays, random)
    return arrays


def _fill_scales(config: LlamaConfig, arrays: dict[str, NDArray[Any]], random: np.random.Generator) -> None:
    arrays["levels"][:] = arrays["final_levels"][:] = WIDE_MAX
    for name in (*LINEAR_LAYERS, "head", "embedding"):
        inputs = config.sizes(name)[1] if name in ENTRY else config.width
        product = 127 if name == "embedding" else inputs * 127 * WIDE_MAX
        shift = 16  # and the largest multiplier for which product * multiplier >> shift stays below 2**30
        arrays[f"{name}_multiplier"][:] = min((1 << 31) - 1, ((1 << (30 + shift)) - 1 - (1 << (shift - 1))) // product)
        arrays[f"{name}_shift"][:] = shift
        if name != "embedding":
            arrays[f"{name}_scale_shift"][:] = random.integers(1, 40)
    arrays["epsilon"][:] = 1 << 51
    arrays["rotary_step"][:] = random.integers(0, 1 << PHASE_BITS, arrays["rotary_step"].shape)
    arrays["cosine"] = ((1 << ROTARY_SHIFT) * random.choice([-1, 1], 64)).astype(np.int32)
    arrays["dot_shift"][:] = dot_shift(config.head_size)
    arrays["score_shift"][:] = 4
    arrays["score_multiplier"][:] = SCORE_MULTIPLIERS[1]
    arrays["sigmoid"] = np.full(33, 1 << SIGMOID_SHIFT, np.int32)
    arrays["sigmoid_multiplier"][:] = (1 << 31) - 1
    arrays["attention_exponential"] = exponential_table(
        min(16_383, ((1 << 31) - 1) // (127 * (config.window + config.kept)))
    ).numpy()
    arrays["frequency_exponential"] = exponential_table(1 << 24).numpy()


def extreme_llama(seed: int = 0, **changes: Any) -> LlamaParameters:
    model = LlamaParameters.from_arrays(llama_config(**changes), extreme_arrays(llama_config(**changes), seed))
    check_bounds(model)
    return model
