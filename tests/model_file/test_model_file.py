"""Saving, loading, and what the id covers."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from tests.model_file.conftest import CARD, CONFIG, join, random_integer_model, split
from zipllm.errors import FileError
from zipllm.model.parameters import IntegerParameters
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.model.transformer.quantize import quantize
from zipllm.model_file.canonical_json import dump_json
from zipllm.model_file.file import (
    TOKENIZER_TENSOR,
    Model,
    build_model,
    check_reference,
    load_model_file,
    model_from_bytes,
    model_to_bytes,
    save_model,
)
from zipllm.model_file.identity import compute_model_id
from zipllm.tokenizer import ByteTokenizer, train_bpe


def changed(integer: IntegerParameters, name: str, index: tuple[int, ...], bit: int) -> IntegerParameters:
    """The same model with one bit of one tensor turned over."""
    tensors = {key: tensor.clone() for key, tensor in integer.tensors().items()}
    tensors[name][index] ^= bit
    return type(integer).from_tensors(integer.config, tensors)


def test_what_is_loaded_is_what_was_saved(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model_file(tmp_path / "m.safetensors")
    assert (loaded.config, loaded.card, loaded.self_test) == (model.config, model.card, model.self_test)
    assert loaded.model_id == model.model_id
    assert loaded.tokenizer.to_dict() == model.tokenizer.to_dict()
    assert loaded.integer.values.keys() == model.integer.values.keys()
    assert all(np.array_equal(loaded.integer[name], array) for name, array in model.integer.values.items())


def test_saving_again_gives_the_same_bytes(model: Model, good: bytes, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a")
    save_model(load_model_file(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == good == model_to_bytes(model)


def test_another_process_with_another_hash_seed_writes_the_same_bytes(good: bytes) -> None:
    code = (
        "import sys; from tests.model_file.conftest import *;"
        "sys.stdout.buffer.write(model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)))"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, cwd=root)
    assert run.stdout == good


def test_bytes_and_file_are_the_same_form(model: Model, good: bytes) -> None:
    assert model_from_bytes(good).model_id == model.model_id


def test_loaded_model_computes_what_it_must(good: bytes) -> None:
    check_reference(model_from_bytes(good))


@pytest.mark.parametrize("tied", [False, True])
def test_bpe_tokenizer_and_tied_embedding_survive(tied: bool) -> None:
    tokenizer = train_bpe([b"the cat and the hat and the bat " * 20], 270)
    config = replace(CONFIG, vocabulary_size=len(tokenizer.vocabulary), tied=tied)
    model = build_model(config, tokenizer, random_integer_model(config), CARD)
    loaded = model_from_bytes(model_to_bytes(model))
    assert loaded.tokenizer.vocabulary == tokenizer.vocabulary
    assert loaded.tokenizer.encode(b"the bat").tolist() == tokenizer.encode(b"the bat").tolist()
    assert loaded.config.tied is tied


def test_exported_float_model_goes_all_the_way() -> None:
    torch.manual_seed(0)
    transformer = Transformer(CONFIG)
    tokens = torch.randint(0, 256, (4, 32))
    model = build_model(CONFIG, ByteTokenizer(), quantize(transformer, tokens), CARD)
    loaded = model_from_bytes(model_to_bytes(model))
    assert loaded.model_id == model.model_id
    check_reference(loaded)


def test_the_library_reads_the_file(model: Model, good: bytes) -> None:
    arrays = safetensors.numpy.load(good)
    assert arrays.pop(TOKENIZER_TENSOR).tobytes() == dump_json(model.tokenizer.to_dict())
    assert {name: array.tolist() for name, array in arrays.items()} == {
        name: tensor.tolist() for name, tensor in model.integer.tensors().items()
    }


def test_a_file_rewritten_by_the_library_is_the_same_model(model: Model, good: bytes) -> None:
    assert safetensors.numpy.save(safetensors.numpy.load(good), split(good)[0]["__metadata__"]) == good


def test_id_does_not_depend_on_the_order_of_the_header(model: Model, forge: Callable[..., bytes]) -> None:
    def reverse(header: dict[str, Any], metadata: dict[str, Any]) -> None:
        items = list(reversed(header.items()))
        header.clear()
        header.update(items)

    assert model_from_bytes(forge(reverse)).model_id == model.model_id


def test_id_does_not_depend_on_the_order_of_the_data(model: Model, good: bytes) -> None:
    header, data = split(good)
    moved, position = b"", 0
    for name in sorted(set(header) - {"__metadata__"}):
        begin, end = header[name]["data_offsets"]
        header[name]["data_offsets"] = [position, position + end - begin]
        position += end - begin
        moved += data[begin:end]
    assert moved != data
    assert model_from_bytes(join(header, moved)).model_id == model.model_id


def test_id_is_the_documented_hash(model: Model) -> None:
    parts = [b"zipllm-model-0", dump_json(model.config.to_dict()), dump_json(model.tokenizer.to_dict())]
    names = {torch.int8: b"I8", torch.int32: b"I32", torch.int64: b"I64"}
    for name, tensor in sorted(model.integer.tensors().items()):
        shape = "[" + ",".join(map(str, tensor.shape)) + "]"
        parts += [name.encode(), names[tensor.dtype], shape.encode(), tensor.numpy().tobytes()]
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    assert model.model_id == hashlib.sha256(framed).digest()


def test_id_is_known() -> None:
    """Any change of this value makes every archive written before unreadable."""
    model = build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)
    assert model.model_id.hex() == "535813a9301c6932eb4bc0b925ebb390b9f5abc67ab4c7b08f0b49a059290043"


def test_id_does_not_depend_on_memory_layout_or_byte_order(model: Model) -> None:
    arrays = dict(model.integer.values)
    strange = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in reversed(arrays.items())}
    strange["query"] = strange["query"].transpose(2, 0, 1).copy().transpose(1, 2, 0)
    text = dump_json(model.tokenizer.to_dict())
    assert compute_model_id(model.config, text, strange) == model.model_id


@pytest.mark.parametrize(
    ("name", "index", "bit"),
    [("embedding", (0, 0), 1), ("head", (255, 15), 64), ("query_multiplier", (1, 3), 1), ("final_norm", (0,), 1 << 40)],
)
def test_one_bit_of_a_weight_changes_the_id(model: Model, name: str, index: tuple[int, ...], bit: int) -> None:
    other = build_model(CONFIG, ByteTokenizer(), changed(model.integer, name, index, bit), CARD)
    assert other.model_id != model.model_id


def test_config_and_tokenizer_change_the_id(model: Model) -> None:
    arrays = dict(model.integer.values)
    text = dump_json(model.tokenizer.to_dict())
    ids = {
        compute_model_id(model.config, text, arrays),
        compute_model_id(replace(CONFIG, heads=4), text, arrays),
        compute_model_id(replace(CONFIG, position="alibi"), text, arrays),
        compute_model_id(model.config, text + b" ", arrays),
        compute_model_id(model.config, text, dict(list(arrays.items())[1:])),
    }
    assert len(ids) == 5


def test_card_may_be_corrected_without_changing_the_id(model: Model, good: bytes) -> None:
    corrected = replace(model, card=replace(model.card, summary="Something else.", steps=5))
    data = model_to_bytes(corrected)
    assert data != good
    loaded = model_from_bytes(data)
    assert loaded.model_id == model.model_id
    assert loaded.card.summary == "Something else."


def test_build_refuses_a_tokenizer_of_another_size() -> None:
    config = TransformerConfig(vocabulary_size=300, width=16, layers=1, heads=2, feedforward=32, window=8)
    with pytest.raises(ValueError, match="256 tokens, the config a vocabulary of 300"):
        build_model(config, ByteTokenizer(), random_integer_model(config), CARD)


def test_saving_replaces_and_leaves_no_temporary_file(model: Model, good: bytes, tmp_path: Path) -> None:
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"old")
    save_model(model, target)
    assert target.read_bytes() == good
    assert os.listdir(tmp_path) == ["m.safetensors"]
    assert target.stat().st_mode & 0o111 == 0


def test_failed_saving_keeps_the_old_file(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left"):
        save_model(model, target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_saving_into_a_missing_folder_is_a_file_error(model: Model, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot write model file"):
        save_model(model, tmp_path / "absent" / "m.safetensors")


def test_loaded_tensors_do_not_follow_later_changes_of_the_file(model: Model, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(good)
    loaded = load_model_file(path)
    path.write_bytes(bytes(len(good)))
    assert np.array_equal(loaded.integer["embedding"], model.integer["embedding"])
