"""The integer form of a Transformer."""

from dataclasses import dataclass

from zipllm.model.parameters import IntegerArray, IntegerParameters
from zipllm.model.transformer.config import TransformerConfig


@dataclass(frozen=True, eq=False)
class TransformerParameters(IntegerParameters):
    """The tensors of ``TransformerConfig.specification``; run them only after `bounds.check_bounds`."""

    config: TransformerConfig

    @property
    def head(self) -> IntegerArray:
        """Output matrix int8 ``[vocabulary_size, width]``: rows of the embedding when tied."""
        return self.values["embedding"][: self.config.vocabulary_size] if self.config.tied else self.values["head"]
