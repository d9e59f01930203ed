"""A training run as a TOML file: data, shape, settings and what goes into the card.

name = "small"                       # of the model, in its card
summary = "English, Chinese and code"
licence = "CC BY-SA 4.0"
vocabulary = 8192                    # 256 = bytes
preset = "small"

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

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, UsageError
from zipllm.model.card import Card, DataSource
from zipllm.model.presets import PRESETS
from zipllm.tokenizer.bpe import DEFAULT_VOCABULARY_SIZE
from zipllm.train.config import TrainConfig
from zipllm.train.corpus import Source


@dataclass(frozen=True)
class Recipe:
    """All a run needs besides its folder and its device.

    Attributes:
        train: budgets, rates, seed.
        sources: training data.
        valid: validation data; empty: documents held back from ``sources``.
        preset: shape of the network.
        vocabulary: size of the vocabulary; 256 for a byte model.
        name: of the model, in its card.
        summary: one sentence for the card.
        licence: of the weights, for the card.
        limits: known limits, one sentence each, for the card.
        origin: the file or command the run can be repeated with, for the card.

    Raises:
        UsageError: the preset is unknown, or the card would be refused when the model is done.
    """

    train: TrainConfig
    sources: tuple[Source, ...]
    valid: tuple[Source, ...] = ()
    preset: str = "tiny"
    vocabulary: int = DEFAULT_VOCABULARY_SIZE
    name: str = "model"
    summary: str = ""
    licence: str = ""
    limits: tuple[str, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UsageError(f"unknown preset {self.preset!r}{_nearest(self.preset, PRESETS)}")
        try:
            self.card()
        except ValueError as error:
            raise UsageError(str(error)) from error

    def card(self) -> Card:
        """What the card of the model will say of the recipe; measurements are put in after training."""
        sources = tuple(DataSource(source.name, source.licence) for source in self.sources)
        return Card(self.name, self.summary, self.licence, sources, recipe=self.origin, limits=self.limits)


def read_recipe(path: Path, data_dir: Path) -> Recipe:
    """Read a recipe file.

    Args:
        path: TOML file.
        data_dir: what the paths of sources are relative to.

    Raises:
        FileError: the file cannot be read.
        UsageError: it is not TOML, has an unknown key (the nearest known one is named), or a bad value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    allowed = [field.name for field in fields(Recipe) if field.name not in ("sources", "origin")]
    _check_keys(content, [*allowed, "source"], str(path))
    try:
        train = _section(TrainConfig, content.pop("train", {}), f"{path} [train]")
        sources = _sources(content.pop("source", []), data_dir, f"{path} [[source]]")
        valid = _sources(content.pop("valid", []), data_dir, f"{path} [[valid]]")
        content["limits"] = tuple(content.get("limits", ()))
        return Recipe(train=train, sources=sources, valid=valid, origin=path.name, **content)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def _sources(rows: list[dict[str, Any]], data_dir: Path, where: str) -> tuple[Source, ...]:
    sources = []
    for row in rows:
        _check_keys(row, [field.name for field in fields(Source)], where)
        paths = tuple(data_dir / path for path in row["paths"])
        sources.append(Source(**{**row, "paths": paths}))
    if len({source.name for source in sources}) != len(sources):
        raise UsageError(f"{where}: two sources have the same name")
    return tuple(sources)


def _section(kind: type[TrainConfig], content: dict[str, Any], where: str) -> TrainConfig:
    _check_keys(content, [field.name for field in fields(kind)], where)
    return kind(**content)


def _check_keys(content: dict[str, Any], allowed: list[str], where: str) -> None:
    for key in content:
        if key not in allowed:
            raise UsageError(f"{where}: unknown key {key!r}{_nearest(key, allowed)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (known: {', '.join(names)})"
