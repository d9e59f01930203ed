"""The recipe of the shipped models: it reads, and every preset keeps to its size."""

from pathlib import Path

import pytest

from zipllm.model.architecture import preset, preset_names
from zipllm.train.recipe_file import read_recipe

RECIPE = Path(__file__).parents[2] / "benchmarks/recipes/family.toml"


@pytest.mark.skipif(not RECIPE.exists(), reason="benchmarks are not installed")
def test_the_recipe_reads_and_never_trains_on_a_benchmark() -> None:
    recipe = read_recipe(RECIPE, Path("data"))
    assert recipe.preset == "small"
    assert {source.name for source in recipe.valid} >= {"English", "Chinese", "code", "structured"}
    assert all("train" in path.parts and path.parts[0] == "data" for source in recipe.sources for path in source.paths)
    assert all(source.licence for source in recipe.sources)
    trained, held = ({path for s in kind for path in s.paths} for kind in (recipe.sources, recipe.valid))
    assert not trained & held


@pytest.mark.parametrize(
    ("name", "body", "total"), [("nano", 0.3, 2.0), ("tiny", 1.2, 3.9), ("small", 4.7, 9.0), ("base", 14.2, 20.5)]
)
def test_parameters_in_millions(name: str, body: float, total: float) -> None:
    counts = preset(name, 8192).parameter_counts()
    assert counts[0] / 1e6 == pytest.approx(body, abs=0.06)
    assert sum(counts) / 1e6 == pytest.approx(total, abs=0.1)


def test_presets_grow() -> None:
    sizes = [sum(preset(name, 8192).parameter_counts()) for name in preset_names()]
    assert sizes == sorted(sizes)
