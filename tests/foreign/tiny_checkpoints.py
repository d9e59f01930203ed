"""Tiny models with random weights, written as GGUF files and as folders; the same weights in both."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer

from tests.foreign.original_tokenizers import byte_level, gguf_fields
from zipllm.foreign.folder import ARCHITECTURES
from zipllm.foreign.folder import _source_name as folder_name
from zipllm.foreign.gguf_file import _source_name as gguf_name

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Tiny:
    """A model; see `zipllm.model.llama.config.LlamaConfig` for the sizes."""

    architecture: str = "llama"
    width: int = 32
    layers: int = 2
    heads: int = 4
    key_heads: int = 2
    head_size: int = 8
    feedforward: int = 64
    biases: bool = False
    head_norms: bool = False
    tied: bool = True
    tokenizer: Tokenizer = field(default_factory=byte_level)

    @property
    def rows(self) -> int:
        return int(self.tokenizer.get_vocab_size()) + 3  # as padding does

    def weights(self) -> dict[str, Array]:
        """Weights by our names, exact in 16 bits."""
        queries, keys = self.heads * self.head_size, self.key_heads * self.head_size
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.rows, self.width), "final_norm": (self.width,)}
        if not self.tied:
            shapes["head"] = (self.rows, self.width)
        for layer in range(self.layers):
            block: dict[str, tuple[int, ...]] = {
                "attention_norm": (self.width,),
                "feedforward_norm": (self.width,),
                "query": (queries, self.width),
                "key": (keys, self.width),
                "value": (keys, self.width),
                "output": (self.width, queries),
                "gate": (self.feedforward, self.width),
                "up": (self.feedforward, self.width),
                "down": (self.width, self.feedforward),
            }
            if self.biases:
                block |= {"query_bias": (queries,), "key_bias": (keys,), "value_bias": (keys,)}
            if self.head_norms:
                block |= {"query_norm": (self.head_size,), "key_norm": (self.head_size,)}
            shapes |= {f"{layer}.{name}": shape for name, shape in block.items()}
        generator = np.random.default_rng(5)
        return {name: _short(generator.normal(size=shape)) for name, shape in shapes.items()}


LLAMA = Tiny()
UNTIED = Tiny(tied=False)
BIASED = Tiny(biases=True)
QWEN2 = Tiny("qwen2", biases=True)
QWEN3 = Tiny("qwen3", head_norms=True, tied=False, head_size=16)


def save_folder(
    path: Path, model: Tiny = LLAMA, *, shards: int = 1, dtype: Any = None, index: bool = True, **config: Any
) -> Path:
    """Write a folder; members of the config may be added or, by ``...``, left out."""
    path.mkdir()
    weights = {folder_name(name): torch.from_numpy(values) for name, values in model.weights().items()}
    tensors = {name: values.to(dtype or torch.float32) for name, values in weights.items()}
    names = ["model.safetensors"] if shards == 1 else [f"model-{number}.safetensors" for number in range(shards)]
    placed = {name: names[number % shards] for number, name in enumerate(tensors)}
    for file in names:
        save_file({name: tensors[name] for name in tensors if placed[name] == file}, path / file)
    if shards > 1 and index:
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}), encoding="utf-8")
    values = _folder_config(model) | config
    shown = {name: value for name, value in values.items() if value is not ...}
    (path / "config.json").write_text(json.dumps(shown), encoding="utf-8")
    (path / "tokenizer.json").write_text(model.tokenizer.to_str(), encoding="utf-8")
    (path / "README.md").write_text("---\nlibrary_name: x\nlicense: apache-2.0\n---\nA model.\n", encoding="utf-8")
    return path


def save_gguf(path: Path, model: Tiny = LLAMA, *, kind: str = "F32", **fields: Any) -> Path:
    """Write a file with matrices of a type; fields may be added (``__`` for a dot) or, by ``...``, left out."""
    gguf: Any = pytest.importorskip("gguf", reason="needs gguf: pip install 'zipllm[llm]'")
    writer = gguf.GGUFWriter(str(path), model.architecture)
    named = {name.replace("__", "."): value for name, value in fields.items()}
    for name, value in (_gguf_fields(model) | named).items():
        if value is not ...:
            _add_field(writer, name, value)
    for name, values in model.weights().items():
        _add_tensor(gguf, writer, gguf_name(name), _interleaved(model, name, values), kind)
    if "rope_factors" in named:
        writer.add_tensor("rope_freqs.weight", np.array(named["rope_factors"], dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _folder_config(model: Tiny) -> dict[str, Any]:
    return {
        "architectures": [ARCHITECTURES.get(model.architecture, "Other")],
        "model_type": model.architecture,
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.key_heads,
        "head_dim": model.head_size,
        "intermediate_size": model.feedforward,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 20_000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": model.tied,
        "bos_token_id": 1,
        "eos_token_id": [2],
        "vocab_size": model.rows,
    }


def _gguf_fields(model: Tiny) -> dict[str, Any]:
    own = {
        "context_length": 512,
        "embedding_length": model.width,
        "block_count": model.layers,
        "feed_forward_length": model.feedforward,
        "attention.head_count": model.heads,
        "attention.head_count_kv": model.key_heads,
        "attention.key_length": model.head_size,
        "attention.value_length": model.head_size,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 20_000.0,
    }
    general = {"general.name": "Tiny Model 1", "general.organization": "Org", "general.license": "apache-2.0"}
    tokenizer = gguf_fields(model.tokenizer, "smollm")
    return general | {f"{model.architecture}.{name}": value for name, value in own.items()} | tokenizer


def _add_field(writer: Any, name: str, value: Any) -> None:
    if name == "rope_factors":
        return
    if isinstance(value, list):
        writer.add_array(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    else:
        writer.add_uint32(name, value)


def _add_tensor(gguf: Any, writer: Any, name: str, values: Array, kind: str) -> None:
    type_ = gguf.GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
    if kind in ("Q4_K", "Q5_K", "Q6_K") and values.ndim == 2:
        size = gguf.GGML_QUANT_SIZES[type_][1] * values.shape[1] // 256
        data = np.random.default_rng(len(name)).integers(0, 60, (values.shape[0], size), dtype=np.uint8)
    else:
        data = gguf.quantize(values, type_)
    writer.add_tensor(name, data, raw_dtype=type_)


def _interleaved(model: Tiny, name: str, values: Array) -> Array:
    """Rows as files of the architecture ``llama`` have them: the two of a rotary pair side by side."""
    part = name.partition(".")[2].removesuffix("_bias")
    if model.architecture != "llama" or part not in ("query", "key"):
        return values
    heads = model.heads if part == "query" else model.key_heads
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _short(values: NDArray[np.float64]) -> Array:
    """Round to 8 bits of mantissa, which every 16-bit type holds."""
    return torch.from_numpy(values).to(torch.bfloat16).float().numpy()
