"""Checkpoints in folders of the Hugging Face library, which itself is not needed: config, safetensors, tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, ModelInvalid, ModelNotFound
from zipllm.foreign.checkpoint import (
    Checkpoint,
    FloatArray,
    check_epsilon,
    check_rows,
    check_tensors,
    make_config,
    tensor_shapes,
)
from zipllm.foreign.folder_files import (
    MAX_CONFIG_BYTES,
    MAX_TOKENIZER_FILE_BYTES,
    Weights,
    find_weights,
    read_object,
    read_text,
)
from zipllm.foreign.naming import licence_of, model_name, origin_of
from zipllm.foreign.rotary import Llama3Scaling, positive, rotary_frequencies
from zipllm.foreign.tokenizers import json_tokenizer
from zipllm.model.llama.config import LlamaConfig
from zipllm.model_file.summary import naming

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""Classes of the library by the types of model that are read."""

_NAMES = {"embedding": "model.embed_tokens.weight", "head": "lm_head.weight", "final_norm": "model.norm.weight"}
_BLOCK_NAMES = {
    "attention_norm": "input_layernorm.weight",
    "query": "self_attn.q_proj.weight",
    "key": "self_attn.k_proj.weight",
    "value": "self_attn.v_proj.weight",
    "output": "self_attn.o_proj.weight",
    "query_bias": "self_attn.q_proj.bias",
    "key_bias": "self_attn.k_proj.bias",
    "value_bias": "self_attn.v_proj.bias",
    "query_norm": "self_attn.q_norm.weight",
    "key_norm": "self_attn.k_norm.weight",
    "feedforward_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}
_INVERSE_FREQUENCIES = "rotary_emb.inv_freq"
"""A table that older files hold; it follows from the config."""
_MISTRAL_WINDOW = 4_096
"""Of a config that does not speak of it."""
_MOST_README_BYTES = 1 << 20


def read_folder(path: Path, *, window: int, kept: int, name: str | None = None) -> Checkpoint:
    """Read a folder: config and tokenizer now, tensors on demand.

    Where the config and the weights contradict each other about a tied output matrix, the weights are right: one that
    differs from the embedding is used whatever ``tie_word_embeddings`` says.

    Args:
        path: with ``config.json``, ``tokenizer.json`` and ``*.safetensors``.
        window: most tokens that a layer shall see.
        kept: first tokens that every token attends to.
        name: of the model, by default that of the folder.

    Raises:
        ModelNotFound: there is no such folder, or it lacks a file.
        ModelInvalid: something in it is damaged, hostile, or of a kind that is not read.
        FileError: it cannot be read.
    """
    if not path.is_dir():
        raise ModelNotFound(f"there is no folder {str(path)!r}")
    name = name or path.resolve().name
    with naming(path):
        return _checkpoint(path, name, window, kept)


def _checkpoint(path: Path, name: str, window: int, kept: int) -> Checkpoint:
    fields = _Fields(read_object(path / "config.json", MAX_CONFIG_BYTES))
    _check_features(fields)
    weights = find_weights(path)
    foreign = json_tokenizer(read_object(path / "tokenizer.json", MAX_TOKENIZER_FILE_BYTES))
    source = _Source(path, weights)
    embedding = (weights.shapes.get(_NAMES["embedding"]) or (0,))[0]
    check_rows(foreign.rows, embedding)
    config = _config(fields, source, len(foreign.tokenizer.vocabulary), window, kept)
    shapes = tensor_shapes(config, embedding)
    source.check(config, shapes)
    ids = (fields.values.get(f"{kind}_token_id") for kind in ("bos", "eos"))
    return Checkpoint(
        name=model_name(name.rpartition("/")[2], fields.values.get("_name_or_path")),
        origin=origin_of(name),
        licence=_licence(path),
        config=config,
        tokenizer=foreign.tokenizer,
        rows=foreign.rows,
        starts=foreign.starts(embedding, *ids),
        epsilon=check_epsilon(fields.values.get("rms_norm_eps", 1e-6)),
        frequencies=_frequencies(fields, config.head_size),
        shapes=shapes,
        read=source.read,
    )


@dataclass(frozen=True)
class _Fields:
    """The members of a config."""

    values: Mapping[str, Any]

    def count(self, name: str, default: int | None = None) -> int:
        """Return a positive integer; null is as good as none."""
        value = default if self.values.get(name) is None else self.values[name]
        if type(value) is not int or not 1 <= value < 1 << 31:
            raise ModelInvalid(f"config.json: {name} is not a positive integer: {str(value)[:40]}")
        return value


def _check_features(fields: _Fields) -> None:
    """Refuse networks that compute something else."""
    values = fields.values
    kind = values.get("model_type")
    if kind not in ARCHITECTURES:
        raise ModelInvalid(f"the type of model {str(kind)[:40]!r} is not read (known: {', '.join(ARCHITECTURES)})")
    architectures = values.get("architectures") or [ARCHITECTURES[kind]]
    if architectures != [ARCHITECTURES[kind]]:
        raise ModelInvalid(f"the architecture {str(architectures)[:80]} is not read (known: {ARCHITECTURES[kind]})")
    if values.get("hidden_act", "silu") not in ("silu", "swish"):
        raise ModelInvalid(f"the activation {str(values['hidden_act'])[:40]!r} is not read (known: silu)")
    if values.get("mlp_bias"):
        raise ModelInvalid("biases of feed-forward layers (mlp_bias) are not read")
    if values.get("quantization_config"):
        raise ModelInvalid("a quantized checkpoint is not read; take the original, or a GGUF file")


def _config(fields: _Fields, source: "_Source", vocabulary_size: int, window: int, kept: int) -> LlamaConfig:
    width, heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    sight = fields.count("max_position_embeddings", 2_048)
    return make_config(
        vocabulary_size=vocabulary_size,
        width=width,
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        key_heads=fields.count("num_key_value_heads", heads),
        head_size=fields.count("head_dim", max(1, width // heads)),
        feedforward=fields.count("intermediate_size"),
        window=min(window, sight, _sliding_window(fields, sight)),
        kept=kept,
        biases=source.has("0.query_bias"),
        head_norms=source.has("0.query_norm"),
        tied=source.is_tied(bool(fields.values.get("tie_word_embeddings", False))),
    )


def _sliding_window(fields: _Fields, otherwise: int) -> int:
    """Return the window that any layer slides; Qwen names one that it does not use."""
    if fields.values["model_type"] == "mistral":
        default = otherwise if "sliding_window" in fields.values else _MISTRAL_WINDOW
        return fields.count("sliding_window", default)
    return fields.count("sliding_window", otherwise) if fields.values.get("use_sliding_window") else otherwise


def _frequencies(fields: _Fields, head_size: int) -> Any:
    """Return rotary frequencies by the old names, ``rope_theta`` and ``rope_scaling``, or by ``rope_parameters``."""
    values = fields.values
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise ModelInvalid("config.json: rope scaling is not an object")
    partial = rope.get("partial_rotary_factor", values.get("partial_rotary_factor"))
    if partial not in (None, 1, 1.0):
        raise ModelInvalid("positions in a part of a head are not read")
    base = rope.get("rope_theta", values.get("rope_theta", 10_000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind in ("default", None):
        return rotary_frequencies(head_size, base)
    if kind == "linear":
        return rotary_frequencies(head_size, base, positive(rope.get("factor"), "rope scaling factor"))
    if kind != "llama3":
        raise ModelInvalid(f"rope scaling {str(kind)[:40]!r} is not read (known: default, linear, llama3)")
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    return rotary_frequencies(head_size, base, Llama3Scaling(*(positive(rope.get(name), name) for name in names)))


@dataclass(frozen=True)
class _Source:
    """Tensors of a folder by our names."""

    path: Path
    weights: Weights

    def has(self, name: str) -> bool:
        """Whether there is a tensor."""
        return _source_name(name) in self.weights.shapes

    def is_tied(self, declared: bool) -> bool:
        """Whether the output matrix is the embedding."""
        if not self.has("head"):
            return declared
        if not self.has("embedding"):
            return False
        return self.weights.same(_NAMES["head"], _NAMES["embedding"])

    def check(self, config: LlamaConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse tensors that are missing, misshapen or unknown."""
        if any(name.endswith("o_proj.bias") for name in self.weights.shapes):
            raise ModelInvalid("an attention with a bias behind it (attention_bias) is not read")
        ignored = [name for name in self.weights.shapes if name.endswith(_INVERSE_FREQUENCIES)]
        ignored += [_NAMES["head"]] if config.tied else []
        wanted = {name: (_source_name(name), shape) for name, shape in shapes.items()}
        check_tensors(wanted, self.weights.shapes, ignored)

    def read(self, name: str) -> FloatArray:
        """Return a tensor."""
        with naming(self.path):
            return self.weights.read(_source_name(name))


def _source_name(name: str) -> str:
    layer, dot, part = name.partition(".")
    return f"model.layers.{layer}.{_BLOCK_NAMES[part]}" if dot else _NAMES[name]


def _licence(path: Path) -> str:
    """Return the licence that the front matter of ``README.md`` names."""
    try:
        text = read_text(path / "README.md", _MOST_README_BYTES).decode("utf-8", "replace")
    except (ModelNotFound, ModelInvalid, FileError):
        return ""
    front = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    lines = (line.partition(":") for line in front.splitlines())
    return next((licence_of(value.strip(" '\"")) for key, _, value in lines if key == "license"), "")
