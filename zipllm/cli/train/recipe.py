"""From the options of ``zipllm train`` to a recipe: the file, then ``--set``, then the other options."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.cli.train.flags import TrainOptions
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.train.recipe import Recipe


def recipe_of(options: TrainOptions, resumed: Path | None) -> "Recipe":
    """Return the recipe: from the file, the ``resumed`` run's folder, or DATA; --set and other options change it."""
    from zipllm.train.recipe_file import build, change, read_content
    from zipllm.train.run import CONFIG

    data = options.data or []
    if options.config is not None and data:
        raise UsageError("a recipe names its own data; give either --config or DATA")
    source = options.config or (resumed / CONFIG if resumed and (resumed / CONFIG).exists() else None)
    content: dict[str, Any] = read_content(source) if source else {}
    where = str(source or "the command line")
    if source is None and not data:
        raise UsageError("no training data: name files or folders, or a recipe with --config")
    if source is None:
        content["source"] = _rows(data, "data", absolute=False)
    elif data and content.get("source") != _rows(data, "data", absolute=True):
        raise UsageError(f"{resumed} was begun with other data; --run names another folder")
    if options.valid:
        content["valid"] = _rows(options.valid, "valid", absolute=source is not None)
    change(content, options.settings or [])
    content |= options.top_settings
    train = content.setdefault("train", {})
    if isinstance(train, dict):
        train |= options.train_settings
        if not any(train.get(budget) for budget in ("minutes", "steps", "tokens")):
            train["minutes"] = 10.0
    content.setdefault("name", _model_name(options.out))
    content.setdefault("origin", origin(options))
    return build(content, (options.data_dir or source.parent) if source else Path(), where)


def _rows(arguments: list[str], name: str, *, absolute: bool) -> list[dict[str, Any]]:
    """Return the sources that arguments name, as a recipe lists them, with absolute paths or as the user wrote them."""
    from zipllm.train.corpus import data_sources
    from zipllm.train.recipe_file import source_content

    sources = data_sources(arguments, name)
    if absolute:
        return [source_content(source) for source in sources]
    return [{**source_content(source), "paths": [str(path) for path in source.paths]} for source in sources]


def origin(options: TrainOptions) -> str:
    """Return the command that makes the model again, without the folders of files."""
    values = options.top_settings | options.train_settings
    values |= {key: Path(str(values[key])).name for key in ("start", "tokenizer") if key in values}
    words = [f"--{key} {value}" for key, value in values.items()]
    words += [f"--set {setting}" for setting in options.settings or []]
    data = f"--config {options.config.name}" if options.config else "DATA"
    return " ".join([f"zipllm train {data}", *words]).replace("--start", "--from")


def run_name(options: TrainOptions) -> str:
    """Return the default name of the run's folder: that of the model file, else of the recipe."""
    if options.out:
        return options.out.name.removesuffix(".safetensors")
    return options.config.stem if options.config else "model"


def _model_name(out: Path | None) -> str:
    """Return a valid model name, made from that of its file."""
    stem = out.name.removesuffix(".safetensors").lower() if out else "model"
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("._-")[:64] or "model"
