"""The architectures that a network can have, by the name in its config.

A new one is a folder beside `zipllm.model.transformer` and a line in `ARCHITECTURES`.
"""

from collections.abc import Mapping
from dataclasses import fields
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from zipllm.errors import ModelInvalid
from zipllm.model.config import LLAMA, TRANSFORMER, NetworkConfig

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from zipllm.model.float_network import FloatNetwork
    from zipllm.model.parameters import IntegerArray, IntegerParameters

ARCHITECTURES = {
    TRANSFORMER: "zipllm.model.transformer.architecture:TransformerArchitecture",
    LLAMA: "zipllm.model.llama.architecture:LlamaArchitecture",
}
"""Where the `Architecture` of each name is defined; it is imported when a model of that name is met."""

Config = TypeVar("Config", bound=NetworkConfig)
Parameters = TypeVar("Parameters", bound="IntegerParameters")
Network = TypeVar("Network", bound="FloatNetwork")


class IntegerNetwork(Protocol):
    """Turns token ids into frequencies by integer arithmetic alone; every faster form must equal it bit for bit."""

    @property
    def config(self) -> NetworkConfig:
        """Shape of the network."""

    def start(self, lanes: int) -> Any:
        """Return the state of ``lanes`` streams that have been fed nothing."""

    def predict(self, state: Any, tokens: "NDArray[np.int32]", lanes: "NDArray[np.int32]") -> "NDArray[np.int32]":
        """Feed int32 ``[n, time]`` to lanes int32 ``[n]``, distinct and ascending.

        Returns:
            Cumulative frequencies int32 ``[n, time, vocabulary_size + 1]``.
        """

    def copy(self, state: Any, lanes: int) -> Any:
        """Return the state of ``lanes`` streams that have each been fed what stream 0 of ``state`` was."""

    def rewind(self, state: Any, lanes: "NDArray[np.int32]", tokens: int) -> None:
        """Take back the last ``tokens`` tokens of the last call, at most `MOST_REWOUND`."""


class Architecture(Protocol[Config, Parameters, Network]):
    """All that zipllm needs to know of one architecture. The methods import torch and numpy, the class does not.

    Attributes:
        config: class of the config.
        kernels: packages with faster forms of the reference, ``cpu`` and ``gpu``; where one is missing, it computes.
    """

    config: type[Config]
    kernels: Mapping[str, str]

    @staticmethod
    def parameters(config: Config, arrays: Mapping[str, "IntegerArray"]) -> Parameters:
        """Take the tensors of ``config.specification()`` and prove that no computation on them can overflow.

        Raises:
            ModelInvalid: names the tensor or the field, and the reason.
        """

    @staticmethod
    def reference(parameters: Parameters, device: "torch.device | str" = "cpu") -> IntegerNetwork:
        """Return the exact network on a torch device."""

    @staticmethod
    def float_form(config: Config) -> Network:
        """Return a new network for training."""

    @staticmethod
    def start_rounding(network: Network, tokens: "Tensor") -> None:
        """Clip activations as export does for training ids ``[sequences, time]``, and round them from now on."""

    @staticmethod
    def quantize(network: Network, calibration_tokens: "Tensor", *, weight_bits: int = 8) -> Parameters:
        """Export a trained network with an exportable config to integers.

        Args:
            network: the trained network.
            calibration_tokens: ids ``[sequences, time]`` of data like that to compress; ten thousand suffice.
            weight_bits: 2 to 8; fewer than 8 leave small int8 values that a file can pack.

        Raises:
            ModelInvalid: the weights are not finite, or too large for the integer form.
        """

    @staticmethod
    def restore(parameters: Parameters) -> Network:
        """Return a float network that predicts nearly what the integers predict: the start of fine-tuning."""


def find_architecture(name: str) -> Architecture[Any, Any, Any]:
    """Return the architecture of this name. Raises ``ModelInvalid`` that lists the known ones."""
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelInvalid(f"unknown network architecture {name!r:.80} (known: {known})")
    found: Architecture[Any, Any, Any] = resolve_name(ARCHITECTURES[name])
    return found


def architecture_of(config: NetworkConfig) -> Architecture[Any, Any, Any]:
    """Return the architecture of a config."""
    return find_architecture(config.architecture)


def config_from_dict(value: object) -> NetworkConfig:
    """Restore the config of any architecture from its JSON-able form. Raises ``ModelInvalid``."""
    members = dict(value) if isinstance(value, dict) else {}
    name = members.pop("architecture", TRANSFORMER)
    kind = find_architecture(name if isinstance(name, str) else repr(name)).config
    names = {field.name for field in fields(kind)}
    if set(members) != names:
        raise ModelInvalid(f"config does not have exactly the fields {', '.join(sorted(names))}")
    try:
        config: NetworkConfig = kind(**members)
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    return config


def config_types() -> list[type[NetworkConfig]]:
    """Return the class of configs of every architecture."""
    return [find_architecture(name).config for name in ARCHITECTURES]


def preset_names() -> list[str]:
    """Return the names that `preset` knows."""
    return [name for kind in config_types() for name in kind.presets]


def preset(name: str, vocabulary_size: int, **changes: Any) -> NetworkConfig:
    """Return the shape called ``name``, with some fields changed. Raises ``ValueError``."""
    for kind in config_types():
        if name in kind.presets:
            known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
            if unknown := changes.keys() - set(known):
                raise ValueError(f"preset {name} has no {min(unknown)} (known: {', '.join(known)})")
            return kind(vocabulary_size=vocabulary_size, **{**kind.presets[name], **changes})  # type: ignore[call-arg]
    raise ValueError(f"unknown preset {name!r} (known: {', '.join(preset_names())})")
