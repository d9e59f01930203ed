"""The shape of a network of the Llama family: one frozen dataclass shared by its float and integer forms."""

from dataclasses import dataclass
from typing import ClassVar

from zipllm.model.config import FREE_LENGTH, LLAMA, NetworkConfig, Specification

MAX_VOCABULARY = 262_144
MAX_WINDOW = 65_536
MAX_KEPT = 64
MAX_INPUTS = 65_536
"""Width and feed-forward size, so that ``65,536 * 127 * 127`` is below ``2**31``."""
MAX_HEAD_SIZE = 512
MAX_LAYERS = 1_024

LINEAR_LAYERS = ("query", "key", "value", "output", "gate", "up", "down")
"""The matrices of a block; stacked over the layers; see `parameters.LlamaParameters`."""
BIASED = ("query", "key", "value")
"""Matrices that have a bias where ``biases`` is true."""


@dataclass(frozen=True)
class LlamaConfig(NetworkConfig):
    """Hyperparameters of a Llama; see also `NetworkConfig`. Raises ``ValueError`` that names the field.

    Attributes:
        width: size of the residual stream.
        layers: number of blocks (attention, then feed-forward).
        heads: attention heads of queries.
        key_heads: heads of keys and values; ``heads`` is a multiple of it (Ainslie et al. 2023, arXiv:2305.13245).
        head_size: width of a head, even.
        feedforward: hidden size of the feed-forward layer.
        window: every token attends to itself and the ``window - 1`` tokens before it.
        kept: the first tokens of a stream, which every token attends to (Xiao et al. 2023, arXiv:2309.17453).
        biases: whether queries, keys and values have one (Qwen2).
        head_norms: whether queries and keys are normalized head by head (Qwen3).
        tied: whether the output matrix is the input embedding.
    """

    architecture: ClassVar[str] = LLAMA

    vocabulary_size: int
    width: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    feedforward: int
    window: int = 1024
    kept: int = 4
    biases: bool = False
    head_norms: bool = False
    tied: bool = True

    def __post_init__(self) -> None:
        sizes = ("vocabulary_size", "width", "layers", "heads", "key_heads", "head_size", "feedforward", "window")
        for name in sizes:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if type(self.kept) is not int or not 0 <= self.kept <= MAX_KEPT:
            raise ValueError(f"kept must be an integer from 0 to {MAX_KEPT}, not {self.kept!r}")
        for name in ("biases", "head_norms", "tied"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.vocabulary_size > MAX_VOCABULARY:
            raise ValueError(f"vocabulary_size must be at most {MAX_VOCABULARY}, not {self.vocabulary_size}")
        if self.window > MAX_WINDOW:
            raise ValueError(f"window must be at most {MAX_WINDOW}, not {self.window}")
        if self.heads % self.key_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of key_heads ({self.key_heads})")
        if self.head_size % 2:
            raise ValueError(f"head_size must be even, not {self.head_size}")

    @property
    def query_width(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_size

    @property
    def key_width(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.key_heads * self.head_size

    @property
    def shape(self) -> str:
        return (
            f"{self.layers} layers, width {self.width}, {self.heads} heads on {self.key_heads} of keys, "
            f"feed-forward {self.feedforward}"
        )

    @property
    def context(self) -> str:
        first = f" and the first {self.kept} of the stream" if self.kept else ""
        return f"{self.window} tokens in every layer{first}, rotary positions"

    @property
    def sight(self) -> str:
        first = f" and the first {self.kept} of its stream" if self.kept else ""
        return f"in every layer a token sees itself, the {self.window - 1} before it{first}"

    @property
    def state_bytes(self) -> int:
        """Keys and values of the window and the kept tokens in all layers, int8 with an int16 scale each."""
        return 2 * self.layers * (self.window + self.kept) * (self.key_width + 2 * self.key_heads)

    def parameter_counts(self) -> tuple[int, int]:
        matrices = 2 * self.query_width + 2 * self.key_width + 3 * self.feedforward
        vectors = 2 * self.width
        if self.biases:
            vectors += self.query_width + 2 * self.key_width
        if self.head_norms:
            vectors += 2 * self.head_size
        embedding = (self.vocabulary_size + 1) * self.width
        if not self.tied:
            embedding += self.vocabulary_size * self.width
        return self.layers * (matrices * self.width + vectors) + self.width, embedding

    def sizes(self, name: str) -> tuple[int, int]:
        """Return ``(rows, inputs)`` of a matrix of `LINEAR_LAYERS`."""
        rows = {"query": self.query_width, "key": self.key_width, "value": self.key_width}
        inputs = {"output": self.query_width, "down": self.feedforward}
        rows |= {"gate": self.feedforward, "up": self.feedforward}
        return rows.get(name, self.width), inputs.get(name, self.width)

    def specification(self) -> Specification:
        vocabulary, layers = self.vocabulary_size, self.layers
        tensors: Specification = {
            "embedding": ("int8", (vocabulary + 1, self.width)),
            "embedding_multiplier": ("int32", (vocabulary + 1,)),
            "embedding_shift": ("int32", (1,)),
            "attention_gain": ("int32", (layers, self.width)),
            "feedforward_gain": ("int32", (layers, self.width)),
            "final_gain": ("int32", (self.width,)),
            "epsilon": ("int64", (1,)),
            "levels": ("int32", (layers, 4)),
            "final_levels": ("int32", (1,)),
            "rotary_step": ("int64", (self.head_size // 2,)),
            "cosine": ("int32", (FREE_LENGTH,)),
            "dot_shift": ("int32", (1,)),
            "score_multiplier": ("int32", (layers, self.heads)),
            "score_shift": ("int32", (layers, self.heads)),
            "attention_exponential": ("int32", (FREE_LENGTH,)),
            "mixed_gain": ("int32", (layers, self.query_width)),
            "sigmoid": ("int32", (FREE_LENGTH,)),
            "sigmoid_multiplier": ("int32", (layers,)),
            "head_multiplier": ("int32", (vocabulary,)),
            "head_shift": ("int32", (1,)),
            "head_scale_shift": ("int32", (1,)),
            "frequency_exponential": ("int32", (FREE_LENGTH,)),
        }
        if not self.tied:
            tensors["head"] = ("int8", (vocabulary, self.width))
        for name in LINEAR_LAYERS:
            rows, inputs = self.sizes(name)
            tensors[name] = ("int8", (layers, rows, inputs))
            tensors[f"{name}_multiplier"] = ("int32", (layers, rows))
            tensors[f"{name}_shift"] = ("int32", (layers,))
            tensors[f"{name}_scale_shift"] = ("int32", (layers,))
            if self.biases and name in BIASED:
                tensors[f"{name}_bias"] = ("int32", (layers, rows))
        if self.head_norms:
            for name in ("query", "key"):
                tensors[f"{name}_norm"] = ("int64", (layers,))
                tensors[f"{name}_gain"] = ("int32", (layers, self.head_size))
        return dict(sorted(tensors.items()))

    def check_exportable(self) -> None:
        for name, most in (
            ("layers", MAX_LAYERS),
            ("width", MAX_INPUTS),
            ("feedforward", MAX_INPUTS),
            ("query_width", MAX_INPUTS),
            ("head_size", MAX_HEAD_SIZE),
        ):
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, not {getattr(self, name)}")
