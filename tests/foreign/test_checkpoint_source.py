"""Paths and names lead to the right reader."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.foreign.tiny_checkpoints import save_folder, save_gguf
from zipllm.errors import ModelInvalid, ModelNotFound
from zipllm.foreign import source
from zipllm.foreign.source import read_checkpoint


def test_a_folder(tmp_path: Path) -> None:
    assert read_checkpoint(str(save_folder(tmp_path / "m")), window=32, kept=2).config.window == 32


def test_a_file_by_its_beginning(tmp_path: Path) -> None:
    path = save_gguf(tmp_path / "m.gguf").rename(tmp_path / "other")
    assert read_checkpoint(str(path), window=32, kept=2).name == "tiny-model-1"


def test_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_folder(tmp_path / "0123abcd")
    asked: list[str] = []

    def find(name: str) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(path=folder)

    monkeypatch.setattr(source, "find_folder", find)
    found = read_checkpoint("hub:Owner/Some-Model", window=32, kept=2)
    assert asked == ["hub:Owner/Some-Model"]
    assert (found.name, found.origin) == ("some-model", "Owner/Some-Model")
    assert read_checkpoint(f"hf:{folder}", window=32, kept=2).origin == "0123abcd"


def test_nothing_and_something_else(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some text", encoding="utf-8")
    with pytest.raises(ModelInvalid, match="neither"):
        read_checkpoint(str(tmp_path / "text"), window=32, kept=2)
    with pytest.raises(ModelNotFound):
        read_checkpoint(str(tmp_path / "none"), window=32, kept=2)
