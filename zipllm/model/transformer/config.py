"""The shape of a Transformer: one frozen dataclass shared by its float and integer forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from zipllm.model.config import FREE_LENGTH, TRANSFORMER, NetworkConfig, Specification

Position = Literal["relative", "alibi", "rotary", "sinusoidal"]

POSITIONS: tuple[str, ...] = get_args(Position)
EXPORTABLE_POSITIONS: tuple[str, ...] = ("relative", "alibi")
"""Positions with an integer form; the others are for experiments on the float model."""

MAX_VOCABULARY = 65_536
MAX_WINDOW = 65_536
MAX_INPUTS = 65_536
"""Width and feed-forward size of the integer form: ``65,536 * 127**2`` is below ``2**31``."""
MAX_HEAD_SIZE = 1_024
"""``1,024 * 127**2`` is below ``2**24``: a product of query and key is exact in float32 too."""
MAX_LAYERS = 1_024

LINEAR_LAYERS = ("query", "key", "value", "output", "up", "down")
"""The matrices of a block; each is ``name``, ``name_multiplier`` and ``name_shift``, stacked over the layers."""

PRESETS: dict[str, dict[str, Any]] = {
    "nano": {"width": 96, "layers": 3, "heads": 3, "feedforward": 384, "window": 128},
    "tiny": {"width": 160, "layers": 4, "heads": 4, "feedforward": 640, "window": 192},
    "small": {"width": 256, "layers": 6, "heads": 4, "feedforward": 1024, "window": 256},
    "base": {"width": 384, "layers": 8, "heads": 6, "feedforward": 1536, "window": 384},
}
"""Parameters inside the blocks: nano 0.3 M, tiny 1.2 M, small 4.7 M (the shipped default), base 14 M.

With 8192 tokens the embeddings add 1.6, 2.6, 4.2 and 6.3 M; a model file has about one byte per parameter.
"""


@dataclass(frozen=True)
class TransformerConfig(NetworkConfig):
    """Hyperparameters of a Transformer; see also `NetworkConfig`. Raises ``ValueError`` that names the field.

    Attributes:
        width: size of the residual stream.
        layers: number of blocks (attention, then feed-forward).
        heads: attention heads; ``width`` is a multiple of it.
        feedforward: hidden size of the feed-forward layer.
        window: every token attends to itself and the ``window - 1`` tokens before it.
        position: how attention knows distance; ``relative`` is a learned bias per head and distance.
    """

    architecture: ClassVar[str] = TRANSFORMER
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    vocabulary_size: int
    width: int = 256
    layers: int = 6
    heads: int = 4
    feedforward: int = 1024
    window: int = 256
    position: Position = "relative"
    tied: bool = False

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "width", "layers", "heads", "feedforward", "window"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if self.vocabulary_size > MAX_VOCABULARY:
            raise ValueError(f"vocabulary_size must be at most {MAX_VOCABULARY}, not {self.vocabulary_size}")
        if self.window > MAX_WINDOW:
            raise ValueError(f"window must be at most {MAX_WINDOW}, not {self.window}")
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.position not in POSITIONS:
            raise ValueError(f"position must be one of {', '.join(POSITIONS)}, not {self.position!r}")
        if self.position in ("rotary", "sinusoidal") and self.head_size % 2:
            raise ValueError(f"position={self.position} needs an even head size, not {self.head_size}")
        if not isinstance(self.tied, bool):
            raise ValueError(f"tied must be true or false, not {self.tied!r}")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def shape(self) -> str:
        return f"{self.layers} layers, width {self.width}, {self.heads} heads, feed-forward {self.feedforward}"

    @property
    def context(self) -> str:
        return f"{self.window} tokens in every layer, {self.position} positions"

    @property
    def sight(self) -> str:
        return f"in every layer a token sees itself and the {self.window - 1} before it"

    @property
    def state_bytes(self) -> int:
        """Keys and values of the window in all layers, int8."""
        return 2 * self.layers * self.window * self.width

    def parameter_counts(self) -> tuple[int, int]:
        body = self.layers * (4 * self.width**2 + 2 * self.width * self.feedforward + self.heads)
        if self.position == "relative":
            body += self.layers * self.heads * self.window
        embedding = (self.vocabulary_size + 1) * self.width
        if not self.tied:
            embedding += self.vocabulary_size * self.width
        return body, embedding

    def specification(self) -> Specification:
        vocabulary, layers, heads = self.vocabulary_size, self.layers, self.heads
        tensors: Specification = {
            "embedding": ("int8", (vocabulary + 1, self.width)),
            "embedding_multiplier": ("int32", (vocabulary + 1,)),
            "embedding_shift": ("int32", (1,)),
            "attention_norm": ("int64", (layers,)),
            "query_norm": ("int64", (layers, heads)),
            "key_norm": ("int64", (layers, heads)),
            "score_multiplier": ("int32", (layers, heads)),
            "score_shift": ("int32", (layers, heads)),
            "position_bias": ("int32", (layers, heads, self.window)),
            "attention_exponential": ("int32", (FREE_LENGTH,)),
            "mixing_scale": ("int64", (layers, heads)),
            "feedforward_norm": ("int64", (layers,)),
            "final_norm": ("int64", (1,)),
            "head_multiplier": ("int32", (vocabulary,)),
            "head_shift": ("int32", (1,)),
            "frequency_exponential": ("int32", (FREE_LENGTH,)),
        }
        if not self.tied:
            tensors["head"] = ("int8", (vocabulary, self.width))
        for name in LINEAR_LAYERS:
            rows = self.feedforward if name == "up" else self.width
            inputs = self.feedforward if name == "down" else self.width
            tensors[name] = ("int8", (layers, rows, inputs))
            tensors[f"{name}_multiplier"] = ("int32", (layers, rows))
            tensors[f"{name}_shift"] = ("int32", (layers,))
        return dict(sorted(tensors.items()))

    def check_exportable(self) -> None:
        if self.position not in EXPORTABLE_POSITIONS:
            raise ValueError(f"position {self.position!r} has no integer form")
        for name, most in (("layers", MAX_LAYERS), ("width", MAX_INPUTS), ("feedforward", MAX_INPUTS)):
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, not {getattr(self, name)}")
        if self.head_size > MAX_HEAD_SIZE:
            raise ValueError(f"heads must be at most {MAX_HEAD_SIZE} wide, not {self.head_size}")
