"""A recipe as a TOML file, read, changed key by key, and written again.

name = "small"                       # of the model, in its card
summary = "English, Chinese and code"
licence = "CC BY-SA 4.0"
vocabulary = 8192                    # 256 = bytes
preset = "small"

[model]                              # what differs from the preset: fields of the config
window = 384

[train]                              # fields of TrainConfig
minutes = 100

[[source]]                           # paths are relative to --data-dir
name = "enwik8"
paths = ["enwik8_train.txt"]
weight = 1.0
licence = "CC BY-SA 3.0"

[[valid]]
name = "enwik8"
paths = ["valid/enwik8.txt"]
"""

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from zipllm.errors import FileError, UsageError
from zipllm.temporary import replacing
from zipllm.train.config import TrainConfig
from zipllm.train.corpus import Source, place, source_path
from zipllm.train.recipe import SHAPE_KEYS, Recipe, check_keys

Content = dict[str, Any]
"""A recipe as TOML gives it."""

_TRAIN_KEYS = [field.name for field in dataclasses.fields(TrainConfig)]
_SOURCE_KEYS = [field.name for field in dataclasses.fields(Source)]
_TOP_KEYS = [field.name for field in dataclasses.fields(Recipe) if field.name not in ("sources", "valid")]
_TABLES = {"train": _TRAIN_KEYS, "model": list(SHAPE_KEYS)}


def read_content(path: Path) -> Content:
    """Read a recipe file. Raises ``FileError``; ``UsageError`` when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))  # names of files are bytes
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def change(content: Content, settings: Sequence[str]) -> None:
    """Put settings like ``train.matrix_lr=0.01`` or ``name=logs`` into a recipe, in place.

    Values are written as in TOML; a bare word is a text. Raises ``UsageError``.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write KEY=VALUE, for example train.batch=8")
        table, dot, name = key.strip().rpartition(".")
        if dot and table not in _TABLES:
            check_keys([table], _TABLES, f"--set {setting}")
        check_keys([name], _TABLES[table] if dot else _TOP_KEYS, f"--set {setting}")
        target = content.setdefault(table, {}) if dot else content
        if not isinstance(target, dict):
            raise UsageError(f"--set {setting}: {table} is not a table in this recipe")
        target[name] = _value(text.strip())


def build(content: Content, data_dir: Path, where: str) -> Recipe:
    """Check a recipe and make it.

    Paths of sources are relative to ``data_dir``; ``where`` is the file, or the command line, for messages.

    Raises:
        UsageError: a key is unknown, or a value is bad.
    """
    check_keys(content, [*_TOP_KEYS, "source", "valid"], where)
    rest = {key: value for key, value in content.items() if key not in ("train", "source", "valid")}
    try:
        train = _table(content, "train", where)
        check_keys(train, _TRAIN_KEYS, f"{where} [train]")
        rest["model"] = _table(content, "model", where)
        check_keys(rest["model"], SHAPE_KEYS, f"{where} [model]")
        sources = _sources(content, "source", data_dir, where)
        valid = _sources(content, "valid", data_dir, where)
        rest["limits"] = tuple(content.get("limits", ()))
        return Recipe(train=TrainConfig(**train), sources=sources, valid=valid, **rest)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error


def read_recipe(path: Path, data_dir: Path) -> Recipe:
    """Return the recipe in a file; errors as in `read_content` and `build`."""
    content = read_content(path)
    content.setdefault("origin", path.name)
    return build(content, data_dir, str(path))


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe such that reading it gives the same one in any working folder. Raises ``FileError``."""
    content: Content = {name: getattr(recipe, name) for name in _TOP_KEYS if name not in ("train", "model", "limits")}
    content |= {"limits": list(recipe.limits), "model": dict(recipe.model), "train": dataclasses.asdict(recipe.train)}
    content["source"] = [source_content(source) for source in recipe.sources]
    content["valid"] = [source_content(source) for source in recipe.valid]
    try:
        with replacing(path) as (sink, _):
            sink.write(tomli_w.dumps(content).encode(errors="surrogateescape"))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def _table(content: Content, name: str, where: str) -> Content:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where}: {name} must be a table, not {table!r}")
    return table


def _sources(content: Content, kind: str, data_dir: Path, where: str) -> tuple[Source, ...]:
    rows, sources = content.get(kind, []), []
    if not isinstance(rows, list):
        raise UsageError(f"{where}: write [[{kind}]] in double brackets")
    for row in rows:
        check_keys(row, _SOURCE_KEYS, f"{where} [[{kind}]]")
        if not isinstance(row.get("paths"), list) or not isinstance(row.get("name"), str):
            raise UsageError(f"{where} [[{kind}]]: name and a list of paths are needed")
        paths = tuple(source_path(path, data_dir) for path in row["paths"])
        sources.append(Source(**{**row, "paths": paths}))
    if len({source.name for source in sources}) != len(sources):
        raise UsageError(f"{where}: two of [[{kind}]] have the same name")
    return tuple(sources)


def source_content(source: Source) -> Content:
    """Return a source as a recipe file lists it, with paths that are valid in any working folder."""
    content = dataclasses.asdict(source)
    return {**content, "paths": [place(path) for path in source.paths]}
