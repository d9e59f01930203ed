"""The Transformer as the registry of architectures knows it; torch and numpy are imported by those who need them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zipllm.model.transformer.config import TransformerConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from zipllm.model.parameters import IntegerArray
    from zipllm.model.transformer.float_form import Transformer
    from zipllm.model.transformer.integer import IntegerTransformer
    from zipllm.model.transformer.parameters import TransformerParameters


class TransformerArchitecture:
    """See `zipllm.model.architecture.Architecture`."""

    config = TransformerConfig
    kernels: Mapping[str, str] = {"cpu": "zipllm.kernels.cpu", "gpu": "zipllm.kernels.gpu"}

    @staticmethod
    def parameters(config: TransformerConfig, arrays: Mapping[str, "IntegerArray"]) -> "TransformerParameters":
        from zipllm.model.transformer.bounds import check_bounds
        from zipllm.model.transformer.parameters import TransformerParameters

        parameters = TransformerParameters.from_arrays(config, arrays)
        check_bounds(parameters)
        return parameters

    @staticmethod
    def reference(parameters: "TransformerParameters", device: "torch.device | str" = "cpu") -> "IntegerTransformer":
        from zipllm.model.transformer.integer import IntegerTransformer

        return IntegerTransformer(parameters, device)

    @staticmethod
    def float_form(config: TransformerConfig) -> "Transformer":
        from zipllm.model.transformer.float_form import Transformer

        return Transformer(config)

    @staticmethod
    def start_rounding(network: "Transformer", tokens: "Tensor") -> None:
        from zipllm.model.transformer.calibrate import start_rounding

        start_rounding(network, tokens)

    @staticmethod
    def quantize(
        network: "Transformer", calibration_tokens: "Tensor", *, weight_bits: int = 8
    ) -> "TransformerParameters":
        from zipllm.model.transformer.quantize import quantize

        return quantize(network, calibration_tokens, weight_bits=weight_bits)

    @staticmethod
    def restore(parameters: "TransformerParameters") -> "Transformer":
        from zipllm.model.transformer.restore import restore

        return restore(parameters)
