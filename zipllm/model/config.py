"""The shape of a Transformer: one frozen dataclass shared by its float and integer forms."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Position = Literal["relative", "alibi", "rotary", "sinusoidal"]

POSITIONS: tuple[str, ...] = get_args(Position)
EXPORTABLE_POSITIONS: tuple[str, ...] = ("relative", "alibi")
"""Positions with an integer form. The others exist for experiments on the float model only."""

MAX_VOCABULARY = 65_536
MAX_WINDOW = 65_536


@dataclass(frozen=True)
class ModelConfig:
    """Hyperparameters of a Transformer.

    Attributes:
        vocabulary_size: number of token ids that can be predicted. The input alphabet has one more,
            the start token, whose id is ``vocabulary_size``.
        width: size of the residual stream.
        layers: number of blocks (attention, then feed-forward).
        heads: attention heads; ``width`` is a multiple of it.
        feedforward: hidden size of the feed-forward layer.
        window: every token attends to itself and the ``window - 1`` tokens before it.
        position: how attention knows distance. ``relative`` (learned bias per head and distance) and
            ``alibi`` can be exported to integers; ``rotary`` and ``sinusoidal`` cannot.
        tied: whether the output matrix is the input embedding.

    Raises:
        ValueError: a field is out of range; the message names the field and the fix.
    """

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
    def start_token(self) -> int:
        """Input id that stands for 'nothing before'; never predicted."""
        return self.vocabulary_size

    def parameter_counts(self) -> tuple[int, int]:
        """Return ``(body, embedding)``: weights in the blocks, and in the input and output embeddings."""
        body = self.layers * (4 * self.width**2 + 2 * self.width * self.feedforward + self.heads)
        if self.position == "relative":
            body += self.layers * self.heads * self.window
        embedding = (self.vocabulary_size + 1) * self.width
        if not self.tied:
            embedding += self.vocabulary_size * self.width
        return body, embedding

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form; ``ModelConfig(**d)`` restores it."""
        return asdict(self)
