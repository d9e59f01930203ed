"""The integer form of a network as a model file stores it: config and named tensors, as numpy's arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.config import FREE_LENGTH, NetworkConfig

if TYPE_CHECKING:
    from torch import Tensor

IntegerArray = NDArray[np.signedinteger[Any] | np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class IntegerParameters:
    """The config and the tensors of its specification, without torch, which takes a second to import.

    `from_arrays` and `from_tensors` check names, types and shapes; the architecture's ``parameters`` checks values too.
    """

    config: NetworkConfig
    values: Mapping[str, IntegerArray]

    @classmethod
    def from_arrays(cls, config: NetworkConfig, arrays: Mapping[str, IntegerArray]) -> Self:
        """Take exactly the tensors of the specification; what is not contiguous and writable is copied.

        Raises:
            ModelInvalid: a tensor is missing, unknown, or of the wrong type or shape.
        """
        expected = config.specification()
        for name in sorted(expected.keys() ^ arrays.keys()):
            raise ModelInvalid(f"model tensor {name}: " + ("missing" if name in expected else "unknown"))
        for name, (dtype, shape) in expected.items():
            if arrays[name].dtype != dtype:
                raise ModelInvalid(f"model tensor {name}: type {arrays[name].dtype}, expected {dtype}")
            if not fits(arrays[name].shape, shape):
                raise ModelInvalid(f"model tensor {name}: shape {list(arrays[name].shape)}, expected {shown(shape)}")
        values = {name: np.require(arrays[name], requirements=["C", "W"]) for name in expected}
        return cls(config, MappingProxyType(values))

    @classmethod
    def from_tensors(cls, config: NetworkConfig, tensors: Mapping[str, "Tensor"]) -> Self:
        """Take torch's tensors from any device, as `from_arrays`."""
        return cls.from_arrays(config, {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})

    def tensors(self) -> dict[str, "Tensor"]:
        """Return torch's tensors by name, sorted; they share this memory."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.values.items()}

    def __getitem__(self, name: str) -> IntegerArray:
        return self.values[name]


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the specified one, in which ``FREE_LENGTH`` allows any size."""
    return len(shape) == len(wanted) and all(
        have == want or want == FREE_LENGTH for have, want in zip(shape, wanted, strict=True)
    )


def shown(shape: tuple[int, ...]) -> list[int | str]:
    """Return a specified shape for messages."""
    return ["any" if size == FREE_LENGTH else size for size in shape]
