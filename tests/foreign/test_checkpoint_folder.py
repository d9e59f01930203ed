"""Folders of the Hugging Face library, read without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.foreign.tiny_checkpoints import LLAMA, QWEN2, QWEN3, UNTIED, Tiny, save_folder
from zipllm.errors import ModelError, ModelInvalid, ModelNotFound
from zipllm.foreign.checkpoint import Checkpoint
from zipllm.foreign.folder import read_folder

SAVED = "model.safetensors"


def read(path: Path, window: int = 64) -> Checkpoint:
    return read_folder(path, window=window, kept=2)


def change(folder: Path, **tensors: Any) -> None:
    """Replace or, by None, remove tensors; ``__`` stands for a dot."""
    held = load_file(folder / SAVED)
    for name, values in tensors.items():
        held.pop(name.replace("__", "."), None)
        if values is not None:
            held[name.replace("__", ".")] = values
    save_file(held, folder / SAVED)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_types(dtype: Any, tmp_path: Path) -> None:
    found = read(save_folder(tmp_path / "My Model", dtype=dtype))
    for name, values in LLAMA.weights().items():
        tensor = found.tensor(name)
        assert tensor.dtype == np.float32
        assert np.array_equal(tensor, values)
    assert (found.name, found.origin, found.licence) == ("my-model", "My Model", "Apache-2.0")
    assert (found.starts, found.epsilon) == ((1, 2, 0), 1e-5)


@pytest.mark.parametrize("index", [True, False])
def test_shards(index: bool, tmp_path: Path) -> None:
    found = read(save_folder(tmp_path / "m", QWEN3, shards=3, index=index))
    assert all(np.array_equal(found.tensor(name), values) for name, values in QWEN3.weights().items())


def test_the_window_is_the_smallest(tmp_path: Path) -> None:
    mistral = Tiny("mistral")
    qwen = save_folder(tmp_path / "q", QWEN2, sliding_window=48, use_sliding_window=False)
    assert read(qwen, 1024).config.window == 512
    assert read(save_folder(tmp_path / "m", mistral, sliding_window=48), 1024).config.window == 48
    assert read(save_folder(tmp_path / "n", mistral, sliding_window=None), 1024).config.window == 512
    far = save_folder(tmp_path / "f", mistral, max_position_embeddings=32_768)
    assert read(far, 30_000).config.window == 4_096


def test_rotary_spellings_old_and_new(tmp_path: Path) -> None:
    plain = 20_000.0 ** (-np.arange(4) / 4)
    new: dict[str, Any] = {"rope_theta": ..., "rope_parameters": {"rope_theta": 20_000.0, "rope_type": "default"}}
    assert read(save_folder(tmp_path / "a", **new)).frequencies == pytest.approx(plain)
    assert read(save_folder(tmp_path / "b", rope_theta=...)).frequencies == pytest.approx(1e4 ** (-np.arange(4) / 4))
    linear: dict[str, Any] = {"rope_scaling": {"type": "linear", "factor": 2.0}}
    assert read(save_folder(tmp_path / "c", **linear)).frequencies == pytest.approx(plain / 2)


def test_llama3_scaling_is_that_of_transformers(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="needs transformers: pip install 'zipllm[hf]'")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    model = Tiny(head_size=64)
    found = read(save_folder(tmp_path / "m", model, rope_theta=..., rope_parameters=scaling))
    config = transformers.LlamaConfig(head_dim=64, hidden_size=32, num_attention_heads=4, rope_parameters=scaling)
    wanted, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    assert found.frequencies == pytest.approx(wanted.numpy(), rel=1e-6)


def test_weights_say_whether_the_output_is_tied(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m", UNTIED, tie_word_embeddings=True)
    assert not read(folder).config.tied
    assert np.array_equal(read(folder).tensor("head"), UNTIED.weights()["head"])
    change(folder, lm_head__weight=torch.from_numpy(UNTIED.weights()["embedding"].copy()))
    assert read(folder).config.tied
    assert "head" not in read(folder).shapes
    change(folder, lm_head__weight=None)
    assert read(folder).config.tied


def test_old_tables_of_frequencies_are_ignored(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    change(folder, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))
    assert read(folder).config.layers == 2


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "other type": ({"model_type": "gpt2"}, "'gpt2'"),
    "other class": ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
    "activation": ({"hidden_act": "gelu"}, "'gelu'"),
    "bias of layers": ({"mlp_bias": True}, "mlp_bias"),
    "quantized": ({"quantization_config": {"bits": 4}}, "quantized"),
    "scaling": ({"rope_scaling": {"rope_type": "yarn", "factor": 2}}, "'yarn'"),
    "scaling without numbers": ({"rope_scaling": {"rope_type": "llama3"}}, "factor"),
    "scaling upside down": (
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 2,
                "low_freq_factor": 4,
                "high_freq_factor": 1,
                "original_max_position_embeddings": 64,
            }
        },
        "high_freq_factor",
    ),
    "scaling no object": ({"rope_scaling": [1]}, "not an object"),
    "part of a head": ({"partial_rotary_factor": 0.5}, "part of a head"),
    "no width": ({"hidden_size": ...}, "hidden_size"),
    "width of text": ({"hidden_size": "64"}, "hidden_size"),
    "other width": ({"hidden_size": 64}, "shape"),
    "more layers": ({"num_hidden_layers": 3}, r"lacks the tensor model\.layers\.2"),
    "fewer layers": ({"num_hidden_layers": 1}, "does not"),
    "endless layers": ({"num_hidden_layers": 1 << 30}, "layers must be at most"),
    "heads": ({"num_key_value_heads": 3}, "multiple of key_heads"),
    "epsilon": ({"rms_norm_eps": -1}, "epsilon"),
    "base": ({"rope_theta": "x"}, "rotary base"),
    "untied without output": ({"tie_word_embeddings": False}, "lm_head"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_other_networks_are_refused_by_name(case: str, tmp_path: Path) -> None:
    changes, reason = CONFIGS[case]
    with pytest.raises(ModelInvalid, match=reason) as caught:
        read(save_folder(tmp_path / "m", **changes))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"model__norm__weight": None}, "lacks the tensor model.norm.weight"),
        ({"model__norm__weight": torch.zeros(31)}, "shape"),
        ({"model__norm__weight": torch.zeros(32, dtype=torch.int8)}, "I8"),
        ({"model__embed_tokens__weight": None}, "lacks an embedding"),
        ({"model__embed_tokens__weight": torch.zeros(())}, "lacks an embedding"),
        ({"model__embed_tokens__weight": torch.zeros(40, 32)}, "embedding has 40 rows"),
        ({"model__layers__0__self_attn__o_proj__bias": torch.zeros(32)}, "attention_bias"),
        ({"model__layers__0__self_attn__q_proj__bias": torch.zeros(32)}, "k_proj.bias"),
        ({"model__layers__1__mlp__experts": torch.zeros(4)}, "experts"),
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, Any], reason: str, tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    change(folder, **tensors)
    with pytest.raises(ModelInvalid, match=reason):
        read(folder)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    change(folder, model__norm__weight=torch.full((32,), torch.inf))
    with pytest.raises(ModelInvalid, match="final_norm has numbers that are not finite"):
        read(folder).tensor("final_norm")


def test_hostile_files(tmp_path: Path) -> None:
    for number, (name, content, reason) in enumerate(
        [
            ("config.json", b"[" * 100_000, "not JSON"),
            ("config.json", b"[]", "object"),
            ("config.json", b" " * (2 << 20), "more than"),
            ("tokenizer.json", b"{", "not JSON"),
            ("tokenizer.json", b'{"model": 7}', "tokenizer.json"),
            (SAVED, b"junk", "damaged"),
            (SAVED, b"\xff" * 8 + b"{}", "damaged"),
            ("model.safetensors.index.json", b'{"weight_map": {"a": "../x.safetensors"}}', "in its folder"),
            ("model.safetensors.index.json", b'{"weight_map": {"a": "pytorch_model.bin"}}', "in its folder"),
            ("model.safetensors.index.json", b'{"weight_map": {"a": "none.safetensors"}}', "lacks the file"),
            ("model.safetensors.index.json", b'{"weight_map": [1]}', "weight_map"),
        ]
    ):
        folder = save_folder(tmp_path / str(number))
        (folder / name).write_bytes(content)
        with pytest.raises(ModelInvalid, match=reason):
            read(folder)


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    (folder / SAVED).rename(folder / "a.safetensors")
    (folder / "b.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    with pytest.raises(ModelInvalid, match=r"in a\.safetensors and in b\.safetensors"):
        read(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", SAVED])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(ModelError, match="safetensors" if name == SAVED else name):
        read(folder)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no folder"):
        read(tmp_path / "none")


def test_a_folder_without_a_page_has_no_licence(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "m")
    (folder / "README.md").unlink()
    assert read(folder).licence == ""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "llama"
