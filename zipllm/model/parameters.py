"""What an integer Transformer consists of: named tensors, their types and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.model.config import ModelConfig

LINEAR_LAYERS = ("query", "key", "value", "output", "up", "down")
"""The matrices of a block; each is ``name``, ``name_multiplier`` and ``name_shift``, stacked over the layers."""
FREE_LENGTH = -1
"""Stands for the length of a table, which the model chooses."""

Specification = dict[str, tuple[torch.dtype, tuple[int, ...]]]


def specification(config: ModelConfig) -> Specification:
    """Return the type and shape of every tensor of a model of this shape, sorted by name."""
    vocabulary, layers, heads = config.vocabulary_size, config.layers, config.heads
    tensors: Specification = {
        "embedding": (torch.int8, (vocabulary + 1, config.width)),
        "embedding_multiplier": (torch.int32, (vocabulary + 1,)),
        "embedding_shift": (torch.int32, (1,)),
        "attention_norm": (torch.int64, (layers,)),
        "query_norm": (torch.int64, (layers, heads)),
        "key_norm": (torch.int64, (layers, heads)),
        "score_multiplier": (torch.int32, (layers, heads)),
        "score_shift": (torch.int32, (layers, heads)),
        "position_bias": (torch.int32, (layers, heads, config.window)),
        "attention_exponential": (torch.int32, (FREE_LENGTH,)),
        "mixing_scale": (torch.int64, (layers, heads)),
        "feedforward_norm": (torch.int64, (layers,)),
        "final_norm": (torch.int64, (1,)),
        "head_multiplier": (torch.int32, (vocabulary,)),
        "head_shift": (torch.int32, (1,)),
        "frequency_exponential": (torch.int32, (FREE_LENGTH,)),
    }
    if not config.tied:
        tensors["head"] = (torch.int8, (vocabulary, config.width))
    return dict(sorted((tensors | _linear_specification(config)).items()))


def _linear_specification(config: ModelConfig) -> Specification:
    """The matrices of the blocks: weights, a multiplier per row and a shift per layer."""
    layers, tensors = config.layers, Specification()
    for name in LINEAR_LAYERS:
        rows = config.feedforward if name == "up" else config.width
        inputs = config.feedforward if name == "down" else config.width
        tensors[name] = (torch.int8, (layers, rows, inputs))
        tensors[f"{name}_multiplier"] = (torch.int32, (layers, rows))
        tensors[f"{name}_shift"] = (torch.int32, (layers,))
    return tensors


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """An integer Transformer as it is stored: the shape and the tensors of `specification`.

    Build one with `from_tensors`; whatever comes from outside must also pass `bounds.check_bounds`
    before it is run.
    """

    config: ModelConfig
    values: Mapping[str, Tensor]

    @classmethod
    def from_tensors(cls, config: ModelConfig, tensors: Mapping[str, Tensor]) -> "IntegerModel":
        """Take exactly the tensors of the specification, on the CPU and contiguous.

        Raises:
            ModelInvalid: a tensor is missing, unknown, or of the wrong type or shape.
        """
        expected = specification(config)
        for name in sorted(expected.keys() ^ tensors.keys()):
            raise ModelInvalid(f"model tensor {name}: " + ("missing" if name in expected else "unknown"))
        for name, (dtype, shape) in expected.items():
            _check_form(name, tensors[name], dtype, shape)
        values = {name: tensors[name].detach().cpu().contiguous() for name in expected}
        return cls(config, MappingProxyType(values))

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by name, sorted."""
        return dict(self.values)

    def __getitem__(self, name: str) -> Tensor:
        return self.values[name]

    @property
    def head(self) -> Tensor:
        """Output matrix int8 ``[vocabulary_size, width]``: rows of the embedding when tied."""
        return self.values["embedding"][: self.config.vocabulary_size] if self.config.tied else self.values["head"]


def _check_form(name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if tensor.dtype != dtype:
        raise ModelInvalid(f"model tensor {name}: type {tensor.dtype}, expected {dtype}")
    fits = tensor.dim() == len(shape) and all(
        have == want or want == FREE_LENGTH for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        wanted = ["any" if size == FREE_LENGTH else size for size in shape]
        raise ModelInvalid(f"model tensor {name}: shape {list(tensor.shape)}, expected {wanted}")
