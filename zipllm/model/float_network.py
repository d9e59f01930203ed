"""The float form of a network, as training uses it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zipllm.model.config import NetworkConfig
from zipllm.model.rounding import Matrix, round_rows


class FloatNetwork(nn.Module, ABC):
    """Predicts the next token: an embedding, blocks, a norm and an output matrix.

    ``forward`` maps token ids ``[batch, time]`` to natural-log logits ``[batch, time, vocabulary_size]``;
    the first id of a stream is ``config.start_token``. A subclass sets the attributes.

    Attributes:
        embedding: a row for every token id and the start token.
        blocks: the layers; Muon trains the matrices in them.
        head: output matrix; None when tied.
        final_clip: float32 ``[1]``, where the output matrix's input is clipped; 0 = not yet known.
        rounding: whether values are rounded as in the integer form.
    """

    config: NetworkConfig
    embedding: nn.Embedding
    blocks: nn.ModuleList
    head: nn.Linear | None
    final_clip: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("final_clip", torch.zeros(1))
        self.rounding = False

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.linear(self.hidden(tokens), self.output_weight())

    @abstractmethod
    def hidden(self, tokens: Tensor, biases: Sequence[Tensor] | None = None) -> Tensor:
        """Return the activations ``[batch, time, width]`` that the output matrix reads, for ids ``[batch, time]``.

        A compiled caller passes the result of ``biases(time)``, or it would compute every bias for every score.
        """

    def biases(self, time: int) -> list[Tensor]:
        """Return the values that depend on the length of the sequence alone."""
        return []

    def output_weight(self) -> Tensor:
        """Output matrix ``[vocabulary_size, width]``; a slice of the embedding when tied."""
        weight = self.embedding.weight[: self.config.vocabulary_size] if self.head is None else self.head.weight
        return round_rows(weight) if self.rounding else weight

    def set_rounding(self, on: bool) -> None:
        """Switch int8 rounding on or off; on needs the clipping points."""
        self.rounding = on
        for module in self.modules():
            if isinstance(module, Matrix):
                module.rounding = on
