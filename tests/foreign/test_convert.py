"""Open models become exact ones: floats as transformers computes them, integers near them, archives that come back."""

from pathlib import Path
from typing import Any

import pytest
import torch

import zipllm
from tests.foreign.tiny_checkpoints import LLAMA, QWEN2, QWEN3, UNTIED, save_folder
from zipllm.bench.contamination import contamination, learned_digests, learned_names
from zipllm.bench.inputs import BenchInput
from zipllm.engine.engine import kept
from zipllm.foreign.convert import convert, float_network
from zipllm.foreign.folder import read_folder
from zipllm.model_file.card import UNKNOWN_DATA
from zipllm.model_file.file import model_from_bytes, model_to_bytes, save_model

TEXT = b"The quick brown fox, \xff\x00 and a \xe4\xbd\xa0\xe5\xa5\xbd <|endoftext|> besides. " * 40
MODELS = {"llama": LLAMA, "untied": UNTIED, "qwen2": QWEN2, "qwen3": QWEN3}


@pytest.mark.parametrize("name", MODELS)
def test_the_float_form_is_that_of_transformers(name: str, tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    path = save_folder(tmp_path / "m", MODELS[name])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path, dtype="float32").eval()
    checkpoint = read_folder(path, window=64, kept=2)
    ours = float_network(checkpoint)
    tokens = torch.arange(40)[None] * 7 % len(checkpoint.rows)
    rows = torch.from_numpy(checkpoint.rows)
    with torch.no_grad():
        expected = theirs(rows[tokens]).logits[..., rows]
        assert torch.allclose(ours(tokens), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_an_exact_model_with_a_card(tmp_path: Path) -> None:
    done: list[float] = []
    converted = convert(read_folder(save_folder(tmp_path / "m"), window=64, kept=2), "mine", done.append)
    model = converted.model
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert model.card.name == "mine"
    assert [result.domain for result in model.card.results] == ["English", "Chinese", "code", "JSON", "log"]
    bits = sum(result.integer_bpb * result.bytes for result in model.card.results)
    assert bits == pytest.approx(converted.gap.integer_bits)
    assert model_to_bytes(model_from_bytes(model_to_bytes(model))) == model_to_bytes(model)
    save_model(model, tmp_path / "mine.safetensors")
    archive = zipllm.compress(TEXT, model=tmp_path / "mine.safetensors")
    assert zipllm.decompress(archive, model=tmp_path / "mine.safetensors") == TEXT


def test_both_networks_write_the_same_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = convert(read_folder(save_folder(tmp_path / "m", QWEN2), window=16, kept=2)).model
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    archives = set()
    for kernels in ("reference", "cpu"):
        monkeypatch.setenv("ZIPLLM_KERNELS", kernels)
        kept.clear()
        archives.add(zipllm.compress(TEXT, model=path, history=False))
    assert len(archives) == 1


def test_every_file_may_be_known_to_it(tmp_path: Path) -> None:
    card = convert(read_folder(save_folder(tmp_path / "m"), window=64, kept=0)).model.card
    assert [source.name for source in card.sources] == [UNKNOWN_DATA]
    data = tmp_path / "new.txt"
    data.write_bytes(b"written today")
    item = BenchInput.of_file("files", "new.txt", data)
    assert "unknown" in contamination(item, learned_digests(card), learned_names(card))
