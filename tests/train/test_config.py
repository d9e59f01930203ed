"""Settings and recipes: what is refused, and how the learning rate runs."""

from pathlib import Path
from typing import Any

import pytest

from zipllm.errors import FileError, UsageError
from zipllm.train.config import TrainConfig
from zipllm.train.recipe_file import read_recipe

RECIPE = """
name = "toy"
preset = "nano"
[train]
steps = 5
[[source]]
name = "text"
paths = ["a.txt"]
"""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", 0),
        ("batch", -1),
        ("matrix_lr", 0.0),
        ("clip", 0.0),
        ("seed", -1),
        ("weight_decay", -0.1),
        ("minutes", -1.0),
        ("save_every", -1.0),
    ],
)
def test_values_out_of_range_name_the_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        TrainConfig(**{"steps": 1, field: value})


def test_a_budget_is_needed() -> None:
    with pytest.raises(ValueError, match="budget"):
        TrainConfig()


def test_fractions_are_fractions() -> None:
    with pytest.raises(ValueError, match="cooldown is a fraction"):
        TrainConfig(steps=1, cooldown=1.5)


def test_rate_is_a_trapezoid_that_ends_at_zero() -> None:
    config = TrainConfig(steps=100, warmup=0.1, cooldown=0.5)
    rates = [config.rate(progress) for progress in (0.0, 0.05, 0.1, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.5, 0.0])


def test_the_nearer_budget_counts() -> None:
    config = TrainConfig(steps=100, minutes=1.0)
    assert config.progress(50, 0, 6.0) == 0.5
    assert config.progress(10, 0, 30.0) == 0.5
    assert config.progress(500, 0, 0.0) == 1.0


def test_recipe_paths_are_relative_to_the_data_folder(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path, Path("/data"))
    assert recipe.sources[0].paths == (Path("/data/a.txt"),)
    assert (recipe.preset, recipe.train.steps) == ("nano", 5)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("steps", "stepz", "unknown key 'stepz'; did you mean 'steps'"),
        ("preset", "prezet", "did you mean 'preset'"),
        ("nano", "nanno", "did you mean 'nano'"),
        ("paths =", "path =", "did you mean 'paths'"),
        ("steps = 5", "steps = -5", "budget is needed"),
        ("steps = 5", 'steps = "five"', "recipe.toml"),
        ("[train]", "[train", "not valid TOML"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(UsageError, match=reason):
        read_recipe(path, tmp_path)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE + RECIPE[RECIPE.index("[[source]]") :])
    with pytest.raises(UsageError, match="same name"):
        read_recipe(path, tmp_path)


def test_missing_recipe_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        read_recipe(tmp_path / "none.toml", tmp_path)
