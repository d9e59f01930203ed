"""Recipes as TOML: settings put over them, and the resolved form that repeats a run."""

from pathlib import Path
from typing import Any

import pytest

from zipllm.errors import UsageError
from zipllm.model.transformer.config import TransformerConfig
from zipllm.train.recipe_file import build, change, read_content, read_recipe, write_recipe


def content() -> dict[str, Any]:
    return {
        "name": "toy",
        "preset": "nano",
        "train": {"steps": 5},
        "model": {"window": 64},
        "source": [{"name": "text", "paths": ["a.txt", "b"], "weight": 2.0, "licence": "CC0-1.0"}],
        "valid": [{"name": "held", "paths": ["c.txt"]}],
        "limits": ["knows nothing"],
    }


def test_settings_of_tables_and_of_the_recipe() -> None:
    changed = content()
    change(
        changed, ["train.matrix_lr=3e-4", "model.layers = 2", "name=logs", "train.precision=float32", "vocabulary=512"]
    )
    recipe = build(changed, Path(), "test")
    assert recipe.train.matrix_lr == 3e-4
    assert recipe.train.precision == "float32"
    assert (recipe.name, recipe.vocabulary) == ("logs", 512)
    shape = recipe.shape(512)
    assert isinstance(shape, TransformerConfig)
    assert (shape.layers, shape.window, shape.width) == (2, 64, 96)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.matrix_lrr=1", "unknown key 'matrix_lrr'; did you mean 'matrix_lr'"),
        ("train.lr=3e-4", "unknown key 'lr' .known: minutes, "),
        ("modle.width=3", "unknown key 'modle'; did you mean 'model'"),
        ("vocab=3", "did you mean 'vocabulary'"),
        ("model.vocabulary_size=3", "unknown key 'vocabulary_size'"),
        ("train.batch", "write KEY=VALUE"),
        ("=3", "unknown key ''"),
        ("a.b.c=3", "unknown key 'a.b'"),
    ],
)
def test_wrong_settings_name_the_nearest_key(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        change(content(), [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.batch=many", "batch must be a whole number, not 'many'"),
        ("train.batch=2.5", "batch must be a whole number"),
        ("train.batch=true", "batch must be a whole number"),
        ("train.clip=nan", "clip must be a finite number"),
        ("train.deterministic=1", "deterministic must be true or false"),
        ("train.precision=fp8", "precision must be one of auto, bf16, float32"),
        ("train.accumulate=3", "multiple of accumulate"),
        ("train.rounding=1.5", "rounding is a fraction"),
        ("model.heads=5", "multiple of heads"),
        ("model.width=wide", "width must be a positive integer"),
        ("vocabulary=[1]", "vocabulary must be a whole number"),
        ("start=small", "leave out the .model. settings"),
        ("train=3", "train must be a table"),
    ],
)
def test_wrong_values_are_refused(setting: str, message: str) -> None:
    changed = content()
    change(changed, [setting])
    with pytest.raises(UsageError, match=message):
        build(changed, Path(), "test")


@pytest.mark.parametrize(
    "source", [[{"name": "a"}], [{"name": "a", "paths": "a.txt"}], [{"paths": ["a"]}], {"name": "a", "paths": ["a"]}]
)
def test_sources_need_a_name_and_a_list_of_paths(source: object) -> None:
    with pytest.raises(UsageError, match="source"):
        build({**content(), "source": source}, Path(), "test")


def test_what_is_written_is_the_same_recipe_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = build(content(), tmp_path / "data", "test")
    write_recipe(recipe, tmp_path / "config.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    monkeypatch.chdir("/")
    assert read_recipe(tmp_path / "config.toml", Path("elsewhere")) == recipe
    assert read_content(tmp_path / "config.toml")["train"]["matrix_lr"] == recipe.train.matrix_lr
