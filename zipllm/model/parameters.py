"""What an integer Transformer consists of: named tensors, their types and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

IntegerArray = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]

LINEAR_LAYERS = ("query", "key", "value", "output", "up", "down")
"""The matrices of a block; each is ``name``, ``name_multiplier`` and ``name_shift``, stacked over the layers."""
FREE_LENGTH = -1
"""Stands for the length of a table, which the model chooses."""

Specification = dict[str, tuple[type[np.signedinteger[Any]], tuple[int, ...]]]


def specification(config: ModelConfig) -> Specification:
    """Return the type and shape of every tensor of a model of this shape, sorted by name."""
    vocabulary, layers, heads = config.vocabulary_size, config.layers, config.heads
    tensors: Specification = {
        "embedding": (np.int8, (vocabulary + 1, config.width)),
        "embedding_multiplier": (np.int32, (vocabulary + 1,)),
        "embedding_shift": (np.int32, (1,)),
        "attention_norm": (np.int64, (layers,)),
        "query_norm": (np.int64, (layers, heads)),
        "key_norm": (np.int64, (layers, heads)),
        "score_multiplier": (np.int32, (layers, heads)),
        "score_shift": (np.int32, (layers, heads)),
        "position_bias": (np.int32, (layers, heads, config.window)),
        "attention_exponential": (np.int32, (FREE_LENGTH,)),
        "mixing_scale": (np.int64, (layers, heads)),
        "feedforward_norm": (np.int64, (layers,)),
        "final_norm": (np.int64, (1,)),
        "head_multiplier": (np.int32, (vocabulary,)),
        "head_shift": (np.int32, (1,)),
        "frequency_exponential": (np.int32, (FREE_LENGTH,)),
    }
    if not config.tied:
        tensors["head"] = (np.int8, (vocabulary, config.width))
    return dict(sorted((tensors | _linear_specification(config)).items()))


def _linear_specification(config: ModelConfig) -> Specification:
    """The matrices of the blocks: weights, a multiplier per row and a shift per layer."""
    layers, tensors = config.layers, Specification()
    for name in LINEAR_LAYERS:
        rows = config.feedforward if name == "up" else config.width
        inputs = config.feedforward if name == "down" else config.width
        tensors[name] = (np.int8, (layers, rows, inputs))
        tensors[f"{name}_multiplier"] = (np.int32, (layers, rows))
        tensors[f"{name}_shift"] = (np.int32, (layers,))
    return tensors


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """An integer Transformer as it is stored: the shape and the tensors of `specification`, as numpy's arrays.

    Torch, which takes a second to import, is needed only by those who ask for `tensors`.
    Build one with `from_arrays` or `from_tensors`; whatever comes from outside must also pass `bounds.check_bounds`
    before it is run.
    """

    config: ModelConfig
    values: Mapping[str, IntegerArray]

    @classmethod
    def from_arrays(cls, config: ModelConfig, arrays: Mapping[str, IntegerArray]) -> "IntegerModel":
        """Take exactly the tensors of the specification; what is not contiguous and writable is copied.

        Raises:
            ModelInvalid: a tensor is missing, unknown, or of the wrong type or shape.
        """
        expected = specification(config)
        for name in sorted(expected.keys() ^ arrays.keys()):
            raise ModelInvalid(f"model tensor {name}: " + ("missing" if name in expected else "unknown"))
        for name, (dtype, shape) in expected.items():
            _check_form(name, arrays[name], np.dtype(dtype), shape)
        values = {name: np.require(arrays[name], requirements=["C", "W"]) for name in expected}
        return cls(config, MappingProxyType(values))

    @classmethod
    def from_tensors(cls, config: ModelConfig, tensors: Mapping[str, "Tensor"]) -> "IntegerModel":
        """Take torch's tensors, from any device; as `from_arrays`."""
        return cls.from_arrays(config, {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})

    def tensors(self) -> dict[str, "Tensor"]:
        """Return every tensor by name, sorted, as torch's; they share the model's memory."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.values.items()}

    def __getitem__(self, name: str) -> IntegerArray:
        return self.values[name]

    @property
    def head(self) -> IntegerArray:
        """Output matrix int8 ``[vocabulary_size, width]``: rows of the embedding when tied."""
        return self.values["embedding"][: self.config.vocabulary_size] if self.config.tied else self.values["head"]


def _check_form(name: str, array: IntegerArray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype:
        raise ModelInvalid(f"model tensor {name}: type {array.dtype}, expected {dtype}")
    fits = array.ndim == len(shape) and all(
        have == want or want == FREE_LENGTH for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ["any" if size == FREE_LENGTH else size for size in shape]
        raise ModelInvalid(f"model tensor {name}: shape {list(array.shape)}, expected {wanted}")
