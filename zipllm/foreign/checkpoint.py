"""What zipllm reads of an open model of the Llama family, whatever file or folder holds it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.llama.config import BIASED, LINEAR_LAYERS, LlamaConfig
from zipllm.tokenizer import Tokenizer

Shape = tuple[int, ...]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Checkpoint:
    """An open model: all but its weights in memory.

    Attributes:
        name: valid as the name of a model file.
        origin: where it comes from, in words.
        licence: SPDX identifier, empty if not known.
        config: shape of the network over the tokens of ``tokenizer``.
        tokenizer: lossless for every byte string.
        rows: int64 ``[V]``, the checkpoint's row of each token of ``tokenizer.vocabulary``.
        starts: rows that may stand at the beginning of a text, likeliest first, distinct.
        epsilon: of RMS norms.
        frequencies: float64 ``[head_size / 2]``, radians per token of each rotary pair, scaling applied.
        shapes: shape of every tensor, by name.
        read: reads one tensor of that shape, in float32.
    """

    name: str
    origin: str
    licence: str
    config: LlamaConfig
    tokenizer: Tokenizer
    rows: NDArray[np.int64]
    starts: tuple[int, ...]
    epsilon: float
    frequencies: NDArray[np.float64]
    shapes: Mapping[str, Shape] = field(repr=False)
    read: Callable[[str], FloatArray] = field(repr=False)

    def tensor(self, name: str) -> FloatArray:
        """Read one tensor; nothing keeps it.

        Rows of queries and keys are in half-split rotary order: pairs are ``i`` and ``i + head_size / 2``.

        Args:
            name: ``embedding``, ``head`` (if not tied), ``final_norm``, or of layer n: ``n.attention_norm``,
                ``n.feedforward_norm``, ``n.query`` and the other matrices, ``n.query_bias``, ``n.query_norm``.

        Raises:
            KeyError: there is no tensor of this name.
            ModelInvalid: it has another shape, or numbers that are not finite.
            FileError: it cannot be read.
        """
        shape = self.shapes[name]
        values = self.read(name)
        if values.shape != shape:
            raise ModelInvalid(f"tensor {name} has the shape {list(values.shape)}, not {list(shape)}")
        if not np.isfinite(values).all():
            raise ModelInvalid(f"tensor {name} has numbers that are not finite")
        return values


def tensor_shapes(config: LlamaConfig, rows: int) -> dict[str, Shape]:
    """Return the shape of every tensor, ``rows`` being those of the checkpoint's embedding."""
    width = config.width
    shapes: dict[str, Shape] = {"embedding": (rows, width), "final_norm": (width,)}
    if not config.tied:
        shapes["head"] = (rows, width)
    for layer in range(config.layers):
        block: dict[str, Shape] = {"attention_norm": (width,), "feedforward_norm": (width,)}
        block |= {name: config.sizes(name) for name in LINEAR_LAYERS}
        if config.biases:
            block |= {f"{name}_bias": config.sizes(name)[:1] for name in BIASED}
        if config.head_norms:
            block |= {"query_norm": (config.head_size,), "key_norm": (config.head_size,)}
        shapes |= {f"{layer}.{name}": shape for name, shape in block.items()}
    return shapes


def make_config(**fields: Any) -> LlamaConfig:
    """Return a config that an integer model can have. Raises ``ModelInvalid`` that names the field."""
    try:
        config = LlamaConfig(**fields)
        config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(str(error)) from error
    return config


def check_tensors(wanted: Mapping[str, tuple[str, Shape]], found: Mapping[str, Shape], ignored: Iterable[str]) -> None:
    """Compare a source's tensors with those of its config, before any is read.

    Args:
        wanted: the source's name and the shape of each tensor, by our name.
        found: shape of each tensor of the source, by its name.
        ignored: names of the source that need not be read.

    Raises:
        ModelInvalid: one is missing, has another shape, or belongs to another architecture.
    """
    for name, shape in wanted.values():
        if name not in found:
            raise ModelInvalid(f"it lacks the tensor {name}")
        if found[name] != shape:
            raise ModelInvalid(f"tensor {name} has the shape {list(found[name])}, not {list(shape)}")
    extra = sorted(found.keys() - {name for name, _ in wanted.values()} - set(ignored))
    if extra:
        raise ModelInvalid(f"it has a tensor that this kind of network does not: {extra[0][:80]!r}")


def check_rows(rows: NDArray[np.int64], embedding: int) -> None:
    """Refuse tokens past the end of the embedding. Raises ``ModelInvalid``."""
    if not embedding:
        raise ModelInvalid("it lacks an embedding")
    if rows.max() >= embedding:
        raise ModelInvalid(f"its tokenizer has a token {rows.max()}, but its embedding has {embedding} rows")


def check_epsilon(value: object) -> float:
    """Return the number that a norm adds to a mean square. Raises ``ModelInvalid``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ModelInvalid(f"the epsilon of its norms is not a number from 0 to 1: {str(value)[:40]}")
    return float(value)
