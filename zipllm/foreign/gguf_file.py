"""Checkpoints in GGUF files, the form of llama.cpp.

zipllm parses the header itself; the ``gguf`` package only turns blocks of quantized numbers into floats.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zipllm.errors import ModelInvalid, import_extra
from zipllm.foreign.checkpoint import (
    Checkpoint,
    FloatArray,
    Shape,
    check_epsilon,
    check_rows,
    check_tensors,
    make_config,
    tensor_shapes,
)
from zipllm.foreign.gguf_header import TYPES, GgufHeader, GgufTensor, read_gguf_header
from zipllm.foreign.naming import licence_of, model_name, origin_of
from zipllm.foreign.rotary import positive, rotary_frequencies
from zipllm.foreign.tokenizers import gguf_tokenizer
from zipllm.model.llama.config import LlamaConfig
from zipllm.model_file.summary import naming, open_model_file

ARCHITECTURES = ("llama", "qwen2", "qwen3")
_INTERLEAVED = ("llama",)
"""Architectures whose files have the rows of a rotary pair side by side."""

_ROPE_FACTORS = "rope_freqs.weight"
_SLAB = 1 << 22
"""Elements turned into floats at a time."""

_NAMES = {"embedding": "token_embd.weight", "head": "output.weight", "final_norm": "output_norm.weight"}
_BLOCK_NAMES = {
    "attention_norm": "attn_norm.weight",
    "query": "attn_q.weight",
    "key": "attn_k.weight",
    "value": "attn_v.weight",
    "output": "attn_output.weight",
    "query_bias": "attn_q.bias",
    "key_bias": "attn_k.bias",
    "value_bias": "attn_v.bias",
    "query_norm": "attn_q_norm.weight",
    "key_norm": "attn_k_norm.weight",
    "feedforward_norm": "ffn_norm.weight",
    "gate": "ffn_gate.weight",
    "up": "ffn_up.weight",
    "down": "ffn_down.weight",
}


def read_gguf(path: Path, *, window: int, kept: int) -> Checkpoint:
    """Read a GGUF file: its header now, its tensors on demand.

    Args:
        path: a regular file.
        window: most tokens that a layer shall see.
        kept: first tokens that every token attends to.

    Raises:
        MissingPackage: the ``gguf`` package is not installed.
        ModelNotFound: there is no such file.
        ModelInvalid: it is damaged, hostile, or of a kind that is not read.
        FileError: it cannot be read.
    """
    import_extra("gguf", "a GGUF file needs the package gguf: pip install 'zipllm[llm]'")
    with open_model_file(path) as (stream, size), naming(path):
        header = read_gguf_header(stream, size)
        file = _File(path, header.tensors, _state(stream))
        return _checkpoint(file, _Fields(header), window, kept)


class _Fields:
    """Fields of a header, most of which begin with the name of the architecture."""

    def __init__(self, header: GgufHeader) -> None:
        self.all: Mapping[str, Any] = header.fields
        self.architecture = self.all.get("general.architecture")
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ModelInvalid(f"the architecture {str(self.architecture)[:40]!r} is not read (known: {known})")

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the architecture."""
        return self.all.get(f"{self.architecture}.{name}", default)

    def count(self, name: str, default: int | None = None) -> int:
        """Return a positive integer of the architecture."""
        value = self.get(name, default)
        if type(value) is not int or not 1 <= value < 1 << 31:
            raise ModelInvalid(f"field {self.architecture}.{name} is not a positive integer: {str(value)[:40]}")
        return value


def _checkpoint(file: "_File", fields: _Fields, window: int, kept: int) -> Checkpoint:
    _check_features(fields)
    embedding = file.shape(_NAMES["embedding"])[0]
    foreign = gguf_tokenizer(fields.all)
    check_rows(foreign.rows, embedding)
    config = _config(fields, file.tensors, len(foreign.tokenizer.vocabulary), window, kept)
    shapes = tensor_shapes(config, embedding)
    wanted = {name: (_source_name(name), shape) for name, shape in shapes.items()}
    check_tensors(wanted, {name: tensor.shape for name, tensor in file.tensors.items()}, [_ROPE_FACTORS])
    general = fields.all
    ids = (general.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "unknown"))
    names = (general.get(f"general.{name}") for name in ("name", "organization", "url", "source.url"))
    return Checkpoint(
        name=model_name(general.get("general.name"), file.path.stem),
        origin=origin_of(file.path.name, *names),
        licence=licence_of(general.get("general.license")),
        config=config,
        tokenizer=foreign.tokenizer,
        rows=foreign.rows,
        starts=foreign.starts(embedding, *ids),
        epsilon=check_epsilon(fields.get("attention.layer_norm_rms_epsilon")),
        frequencies=rotary_frequencies(
            config.head_size, fields.get("rope.freq_base", 10_000.0), _scaling(fields, file)
        ),
        shapes=shapes,
        read=_Tensors(file, config, fields.architecture in _INTERLEAVED).read,
    )


def _config(
    fields: _Fields, tensors: Mapping[str, GgufTensor], vocabulary_size: int, window: int, kept: int
) -> LlamaConfig:
    width, heads = fields.count("embedding_length"), fields.count("attention.head_count")
    size = fields.count("attention.key_length", max(1, width // heads))
    if fields.count("attention.value_length", size) != size or fields.count("rope.dimension_count", size) != size:
        raise ModelInvalid("its heads have values of another size, or positions in a part of them, which is not read")
    sight = fields.count("context_length")
    return make_config(
        vocabulary_size=vocabulary_size,
        width=width,
        layers=fields.count("block_count"),
        heads=heads,
        key_heads=fields.count("attention.head_count_kv", heads),
        head_size=size,
        feedforward=fields.count("feed_forward_length"),
        window=min(window, sight, fields.count("attention.sliding_window", sight)),
        kept=kept,
        biases=_source_name("0.query_bias") in tensors,
        head_norms=_source_name("0.query_norm") in tensors,
        tied=_NAMES["head"] not in tensors,
    )


def _check_features(fields: _Fields) -> None:
    """Refuse what would change the network without a change of its tensors' names."""
    if fields.get("expert_count"):
        raise ModelInvalid("a mixture of experts is not read")
    for name in ("attention.scale", "logit_scale", "residual_scale", "embedding_scale", "attn_logit_softcapping"):
        if fields.get(name):
            raise ModelInvalid(f"field {fields.architecture}.{name} is not read")
    if fields.get("attention.causal", True) is not True:
        raise ModelInvalid("a network that sees both sides is not read")


def _scaling(fields: _Fields, file: "_File") -> float | FloatArray | None:
    kind = fields.get("rope.scaling.type")
    if kind not in (None, "none", "linear"):
        raise ModelInvalid(f"rope scaling {str(kind)[:40]!r} is not read (known: none, linear)")
    linear = fields.get("rope.scaling.factor", fields.get("rope.scale_linear")) or 1.0
    factor = 1.0 if kind == "none" else positive(linear, "rope scaling factor")
    if _ROPE_FACTORS not in file.tensors:
        return None if factor == 1.0 else factor
    if math.prod(file.shape(_ROPE_FACTORS)) > 1 << 16:
        raise ModelInvalid(f"tensor {_ROPE_FACTORS} is too large")
    return file.read(_ROPE_FACTORS) * np.float32(factor)


def _source_name(name: str) -> str:
    layer, dot, part = name.partition(".")
    return f"blk.{layer}.{_BLOCK_NAMES[part]}" if dot else _NAMES[name]


@dataclass(frozen=True)
class _File:
    """A file whose tensors can be read.

    Attributes:
        path: the file.
        tensors: where they lie.
        state: of the file when its header was read.
    """

    path: Path
    tensors: Mapping[str, GgufTensor]
    state: tuple[int, ...]

    def shape(self, name: str) -> Shape:
        """Return the shape of a tensor that must exist."""
        if name not in self.tensors:
            raise ModelInvalid(f"it lacks the tensor {name}")
        return self.tensors[name].shape

    def read(self, name: str) -> FloatArray:
        """Return a tensor as floats."""
        with open_model_file(self.path) as (stream, _):
            if _state(stream) != self.state:
                raise ModelInvalid("it has changed since its header was read")
            return _floats(stream, self.tensors[name])


@dataclass(frozen=True)
class _Tensors:
    """Tensors of a file by our names."""

    file: _File
    config: LlamaConfig
    interleaved: bool

    def read(self, name: str) -> FloatArray:
        """Return a tensor, the rows of its rotary pairs half a head apart."""
        with naming(self.file.path):
            values = self.file.read(_source_name(name))
        part = name.partition(".")[2].removesuffix("_bias")
        if not self.interleaved or part not in ("query", "key"):
            return values
        heads = self.config.heads if part == "query" else self.config.key_heads
        return half_split(values, heads)


def half_split(values: FloatArray, heads: int) -> FloatArray:
    """Move rows from pairs side by side to pairs half a head apart.

    Args:
        values: ``[heads * head_size, ...]``.
        heads: their number.
    """
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def _floats(stream: BinaryIO, tensor: GgufTensor) -> FloatArray:
    """Read a tensor, some rows at a time, so that temporary arrays stay small."""
    gguf = import_extra("gguf", "a GGUF file needs the package gguf: pip install 'zipllm[llm]'")
    kind = gguf.GGMLQuantizationType(tensor.type)
    _, elements, size = TYPES[tensor.type]
    rows, width = math.prod(tensor.shape[:-1]), tensor.shape[-1]
    row_bytes = width // elements * size
    values = np.empty((rows, width), dtype=np.float32)
    step = max(1, _SLAB // width)
    stream.seek(tensor.begin)
    with np.errstate(all="ignore"):  # infinities and NaN are found afterwards
        for begin in range(0, rows, step):
            count = min(step, rows - begin)
            raw = stream.read(count * row_bytes)
            if len(raw) != count * row_bytes:
                raise ModelInvalid("it is cut short")
            blocks = np.frombuffer(raw, dtype=np.uint8).reshape(count, row_bytes)
            values[begin : begin + count] = gguf.dequantize(blocks, kind)
    return values.reshape(tensor.shape)


def _state(stream: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
