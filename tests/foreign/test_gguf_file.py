"""GGUF files: the weights of the same model's folder, in every type; and what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.foreign.original_tokenizers import gguf_fields
from tests.foreign.tiny_checkpoints import BIASED, LLAMA, QWEN2, QWEN3, UNTIED, Tiny, save_folder, save_gguf
from tests.huggingface.learned_tokenizers import byte_fallback
from zipllm.errors import FileError, ModelInvalid, ModelNotFound
from zipllm.foreign.checkpoint import Checkpoint
from zipllm.foreign.folder import read_folder
from zipllm.foreign.gguf_file import read_gguf
from zipllm.tokenizer import PiecesTokenizer

MODELS = {"llama": LLAMA, "untied": UNTIED, "biased": BIASED, "qwen2": QWEN2, "qwen3": QWEN3}


def read(path: Path, window: int = 64) -> Checkpoint:
    return read_gguf(path, window=window, kept=2)


@pytest.mark.parametrize("name", MODELS)
def test_a_file_and_a_folder_give_the_same(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    of_file = read(save_gguf(tmp_path / "m.gguf", model))
    of_folder = read_folder(save_folder(tmp_path / "m", model), window=64, kept=2)
    assert of_file.config == of_folder.config
    assert (of_file.config.biases, of_file.config.head_norms, of_file.config.tied) == (
        model.biases,
        model.head_norms,
        model.tied,
    )
    assert of_file.shapes == of_folder.shapes
    for tensor, values in model.weights().items():
        assert np.array_equal(of_file.tensor(tensor), values), tensor
        assert np.array_equal(of_folder.tensor(tensor), values), tensor
    assert of_file.rows.tolist() == of_folder.rows.tolist()
    assert of_file.starts == of_folder.starts == (1, 2, 0)
    assert np.array_equal(of_file.frequencies, of_folder.frequencies)
    assert of_file.epsilon == pytest.approx(of_folder.epsilon)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_16_bit_types_are_exact(kind: str, tmp_path: Path) -> None:
    found = read(save_gguf(tmp_path / "m.gguf", kind=kind))
    for name, values in LLAMA.weights().items():
        assert np.array_equal(found.tensor(name), values)


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"])
def test_quantized_types_are_near(kind: str, tmp_path: Path) -> None:
    found = read(save_gguf(tmp_path / "m.gguf", kind=kind))
    for name, values in LLAMA.weights().items():
        error = np.abs(found.tensor(name) - values).mean()
        assert error < (0.01 if kind == "Q8_0" else 0.2)


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K"])
def test_types_of_large_blocks_are_read(kind: str, tmp_path: Path) -> None:
    gguf: Any = pytest.importorskip("gguf", reason="needs gguf: pip install 'zipllm[llm]'")
    model = Tiny(width=256, head_size=64, feedforward=256)
    found = read(save_gguf(tmp_path / "m.gguf", model, kind=kind))
    assert {name: found.tensor(name).shape for name in found.shapes} == found.shapes
    stored = next(
        tensor for tensor in gguf.GGUFReader(tmp_path / "m.gguf").tensors if tensor.name == "output_norm.weight"
    )
    assert np.array_equal(found.tensor("final_norm"), stored.data)


def test_metadata_make_name_origin_and_licence(tmp_path: Path) -> None:
    found = read(save_gguf(tmp_path / "m.gguf", general__url="https://example.org/\x1b[31mx"))
    assert found.name == "tiny-model-1"
    assert found.origin == "m.gguf; Tiny Model 1; Org; https://example.org/ [31mx"
    assert found.licence == "Apache-2.0"
    bare = read(
        save_gguf(tmp_path / "_Ünnamed.gguf", general__name=..., general__organization=..., general__license="x")
    )
    assert (bare.name, bare.origin, bare.licence) == ("nnamed", "_Ünnamed.gguf", "")


def test_the_window_is_the_smallest(tmp_path: Path) -> None:
    path = save_gguf(tmp_path / "m.gguf", llama__attention__sliding_window=48)
    assert [read(path, window).config.window for window in (16, 64, 1024)] == [16, 48, 48]
    path = save_gguf(tmp_path / "n.gguf")
    assert [read(path, window).config.window for window in (16, 1024)] == [16, 512]


def test_rotary_scalings(tmp_path: Path) -> None:
    plain = read(save_gguf(tmp_path / "m.gguf")).frequencies
    assert plain == pytest.approx(20_000.0 ** (-np.arange(4) / 4))
    linear: dict[str, Any] = {"llama__rope__scaling__type": "linear", "llama__rope__scaling__factor": 4.0}
    assert read(save_gguf(tmp_path / "l.gguf", **linear)).frequencies == pytest.approx(plain / 4)
    factors = read(save_gguf(tmp_path / "f.gguf", rope_factors=[1.0, 1.0, 2.0, 8.0])).frequencies
    assert factors == pytest.approx(plain / [1, 1, 2, 8])


def test_pieces_with_scores(tmp_path: Path) -> None:
    model = Tiny(tokenizer=byte_fallback())
    fields = {name.replace(".", "__"): value for name, value in gguf_fields(model.tokenizer, "").items()}
    found = read(save_gguf(tmp_path / "m.gguf", model, **fields))
    assert isinstance(found.tokenizer, PiecesTokenizer)
    assert found.starts == (1, 2, 0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"llama__expert_count": 8}, "mixture of experts"),
        ({"llama__rope__scaling__type": "yarn"}, "'yarn'"),
        ({"llama__rope__scaling__factor": -1.0}, "factor"),
        ({"llama__attention__scale": 0.5}, "attention.scale"),
        ({"llama__rope__dimension_count": 4}, "part of them"),
        ({"llama__attention__value_length": 4}, "another size"),
        ({"llama__block_count": ...}, "block_count"),
        ({"llama__block_count": 0}, "block_count"),
        ({"llama__block_count": 3}, r"lacks the tensor blk\.2"),
        ({"llama__block_count": 1}, "does not"),
        ({"llama__block_count": 1 << 30}, "layers must be at most"),
        ({"llama__attention__head_count": [4, 4]}, "head_count"),
        ({"llama__attention__head_count_kv": 3}, "multiple of key_heads"),
        ({"llama__embedding_length": 64}, "shape"),
        ({"llama__attention__layer_norm_rms_epsilon": float("nan")}, "epsilon"),
        ({"llama__rope__freq_base": 0.0}, "rotary base"),
        ({"rope_factors": [1.0, 1.0, 0.0, 1.0]}, "factors"),
        ({"rope_factors": [1.0, 1.0]}, "factors"),
        ({"general__architecture": "gemma"}, "'gemma'"),
    ],
)
def test_other_networks_are_refused_by_name(fields: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=reason) as caught:
        read(save_gguf(tmp_path / "m.gguf", **fields))
    assert len(str(caught.value).splitlines()) == 1


def test_types_that_are_not_read_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="TQ2_0"):
        read(save_gguf(tmp_path / "m.gguf", Tiny(width=256, head_size=64, feedforward=256), kind="TQ2_0"))


def test_a_small_embedding_is_refused(tmp_path: Path) -> None:
    class Cut(Tiny):
        rows = 40

    with pytest.raises(ModelInvalid, match="embedding has 40 rows"):
        read(save_gguf(tmp_path / "m.gguf", Cut()))


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    path = save_gguf(tmp_path / "m.gguf")
    found = read(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ModelInvalid, match="changed"):
        found.tensor("final_norm")


def test_a_tensor_of_nan_is_refused(tmp_path: Path) -> None:
    path = save_gguf(tmp_path / "m.gguf")
    found = read(path)
    begin = found.read.__self__.file.tensors["output_norm.weight"].begin  # type: ignore[attr-defined]
    data = bytearray(path.read_bytes())
    data[begin : begin + 4] = np.float32("nan").tobytes()
    path.write_bytes(data)
    with pytest.raises(ModelInvalid, match="final_norm has numbers that are not finite"):
        read(path).tensor("final_norm")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="needs gguf: pip install 'zipllm[llm]'")
    os.mkfifo(tmp_path / "pipe")
    for name, error in (("pipe", ModelInvalid), ("none", ModelNotFound), (".", ModelInvalid)):
        with pytest.raises((error, FileError)):
            read(tmp_path / name)
