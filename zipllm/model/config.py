"""The config of a network of any architecture."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal

TRANSFORMER = "transformer"
"""The architecture of a config that names none."""
LLAMA = "llama"
"""Networks imported from open checkpoints."""
MOST_REWOUND = 64
"""Tokens that every network can take back after a call."""

FREE_LENGTH = -1
"""Stands for the length of a table, which the model chooses."""

Specification = dict[str, tuple[Literal["int8", "int32", "int64"], tuple[int, ...]]]
"""Element type and shape of every integer tensor, by name."""


class NetworkConfig(ABC):
    """Hyperparameters of a network; each architecture has a frozen dataclass of them. Needs neither torch nor numpy.

    Attributes:
        architecture: name in the registry of `zipllm.model.architecture`.
        presets: fields of named shapes for ``zipllm train --preset``, without ``vocabulary_size``.
        vocabulary_size: number of token ids that can be predicted; the start token is an input only.
        window: number of tokens that a layer sees; None: all before it.
        tied: whether the output matrix is the input embedding.
    """

    architecture: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    vocabulary_size: int
    window: int | None
    tied: bool

    @property
    def start_token(self) -> int:
        """Input id at the beginning of a stream; never predicted."""
        return self.vocabulary_size

    @property
    @abstractmethod
    def shape(self) -> str:
        """Sizes in words, for a model's card."""

    @property
    @abstractmethod
    def context(self) -> str:
        """What a layer sees and how it knows distance, in words, for a model's card."""

    @property
    @abstractmethod
    def sight(self) -> str:
        """What a token sees, in words, for the facts of a measurement."""

    @property
    @abstractmethod
    def state_bytes(self) -> int:
        """Memory that the state of one lane takes in the reference network."""

    @abstractmethod
    def parameter_counts(self) -> tuple[int, int]:
        """Return ``(body, embedding)``: weights in the blocks, and in the input and output embeddings."""

    @abstractmethod
    def specification(self) -> Specification:
        """Return the type and shape of every tensor of the integer form, sorted by name."""

    @abstractmethod
    def check_exportable(self) -> None:
        """Refuse a shape without a proved integer form. Raises ``ValueError``."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; `zipllm.model.architecture.config_from_dict` restores it. The Transformer has no name."""
        name = {} if self.architecture == TRANSFORMER else {"architecture": self.architecture}
        return name | asdict(self)  # type: ignore[call-overload,no-any-return]
