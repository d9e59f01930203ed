"""What ``zipllm train`` was told, as a recipe: the file, then ``--set``, then the other options."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.train.recipe import Recipe


@dataclass(frozen=True)
class Given:
    """What the command line says about the recipe; None is "not said"."""

    config: Path | None
    data_dir: Path | None
    data: list[str]
    valid: list[str]
    top: dict[str, Any]
    train: dict[str, Any]
    settings: list[str]


def recipe_of(given: Given, out: Path | None, resumed: Path | None) -> "Recipe":
    """The recipe file, that of the run to be resumed, or one made from DATA, with the options put over it."""
    from zipllm.train.recipe_file import build, change, read_content
    from zipllm.train.run import CONFIG

    if given.config is not None and given.data:
        raise UsageError("a recipe names its own data; give either --config or DATA")
    source = given.config or (resumed / CONFIG if resumed and (resumed / CONFIG).exists() else None)
    content: dict[str, Any] = read_content(source) if source else {}
    where = str(source or "the command line")
    if source is None and not given.data:
        raise UsageError("no training data: name files or folders, or a recipe with --config")
    if given.data and source is None:
        content["source"] = _rows(given.data, "data", absolute=False)
    elif given.data and content.get("source") != _rows(given.data, "data", absolute=True):
        raise UsageError(f"{resumed} was begun with other data; --run names another folder")
    if given.valid:
        content["valid"] = _rows(given.valid, "valid", absolute=source is not None)
    change(content, given.settings)
    content |= {key: value for key, value in given.top.items() if value is not None}
    train = content.setdefault("train", {})
    if isinstance(train, dict):
        train |= {key: value for key, value in given.train.items() if value is not None}
        if not any(train.get(budget) for budget in ("minutes", "steps", "tokens")):
            train["minutes"] = 10.0
    content.setdefault("name", _model_name(out))
    content.setdefault("origin", _origin(given))
    return build(content, (given.data_dir or source.parent) if source else Path(), where)


def _rows(arguments: list[str], name: str, *, absolute: bool) -> list[dict[str, Any]]:
    """The sources that arguments stand for, as a recipe lists them; as the user wrote them, or for any folder."""
    from zipllm.train.corpus import data_sources
    from zipllm.train.recipe_file import source_content

    sources = data_sources(arguments, name)
    if absolute:
        return [source_content(source) for source in sources]
    return [{**source_content(source), "paths": [str(path) for path in source.paths]} for source in sources]


def _origin(given: Given) -> str:
    """The command that makes the model again, without the places of files."""
    given_values = {key: value for key, value in (given.top | given.train).items() if value is not None}
    files = {key: Path(str(given_values[key])).name for key in ("start", "tokenizer") if key in given_values}
    words = [f"--{key} {value}" for key, value in (given_values | files).items()]
    words += [f"--set {setting}" for setting in given.settings]
    data = f"--config {given.config.name}" if given.config else "DATA"
    return " ".join([f"zipllm train {data}", *words]).replace("--start", "--from")


def run_name(given: Given, out: Path | None) -> str:
    """Name of the run's folder when none is given: that of the model file, else of the recipe."""
    return out.name.removesuffix(".safetensors") if out else given.config.stem if given.config else "model"


def _model_name(out: Path | None) -> str:
    """A name a model may have, from that of its file."""
    stem = out.name.removesuffix(".safetensors").lower() if out else "model"
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("._-")[:64] or "model"
