"""Llama as the registry of architectures knows it; torch and numpy are imported by those who need them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zipllm.model.llama.config import LlamaConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from zipllm.model.llama.float_form import Llama
    from zipllm.model.llama.integer import IntegerLlama
    from zipllm.model.llama.parameters import LlamaParameters
    from zipllm.model.parameters import IntegerArray


class LlamaArchitecture:
    """See `zipllm.model.architecture.Architecture`."""

    config = LlamaConfig
    kernels: Mapping[str, str] = {"cpu": "zipllm.kernels.llama"}

    @staticmethod
    def parameters(config: LlamaConfig, arrays: Mapping[str, "IntegerArray"]) -> "LlamaParameters":
        from zipllm.model.llama.bounds import check_bounds
        from zipllm.model.llama.parameters import LlamaParameters

        parameters = LlamaParameters.from_arrays(config, arrays)
        check_bounds(parameters)
        return parameters

    @staticmethod
    def reference(parameters: "LlamaParameters", device: "torch.device | str" = "cpu") -> "IntegerLlama":
        from zipllm.model.llama.integer import IntegerLlama

        return IntegerLlama(parameters, device)

    @staticmethod
    def float_form(config: LlamaConfig) -> "Llama":
        from zipllm.model.llama.float_form import Llama

        return Llama(config)

    @staticmethod
    def start_rounding(network: "Llama", tokens: "Tensor") -> None:
        """Round weights from now on; activations keep 15 bits, which costs nothing that training could mend."""
        network.set_rounding(True)

    @staticmethod
    def quantize(network: "Llama", calibration_tokens: "Tensor", *, weight_bits: int = 8) -> "LlamaParameters":
        from zipllm.model.llama.quantize import quantize

        return quantize(network, calibration_tokens, weight_bits=weight_bits)

    @staticmethod
    def restore(parameters: "LlamaParameters") -> "Llama":
        from zipllm.model.llama.restore import restore

        return restore(parameters)
