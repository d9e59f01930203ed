"""A recipe: the data, shape and settings of a model, and the texts of its card. See `recipe_file` for its TOML form."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from zipllm.errors import UsageError, suggestion
from zipllm.model.architecture import config_types, preset, preset_names
from zipllm.model.config import NetworkConfig
from zipllm.model_file.card import Card, DataSource
from zipllm.tokenizer.bpe import DEFAULT_VOCABULARY_SIZE
from zipllm.train.config import TrainConfig, check_types
from zipllm.train.corpus import Source

SHAPE_KEYS = tuple(
    dict.fromkeys(f.name for kind in config_types() for f in dataclasses.fields(kind) if f.name != "vocabulary_size")  # type: ignore[arg-type]
)


@dataclass(frozen=True)
class Recipe:
    """All a run needs but its folder and its device.

    Attributes:
        valid: validation data; empty: documents held back from ``sources``.
        preset: shape of the network.
        model: fields of its config that differ from the preset.
        vocabulary: its size; 256 for a byte model.
        tokenizer: model or file to take the tokenizer from; empty: learn one.
        start: model or run to fine-tune (``--from``), with its shape and tokenizer; empty: a new network.
        name: of the model, in its card, like ``summary``, ``licence`` and ``limits``.
        origin: the file or command that repeats the run, for the card.

    Raises:
        UsageError: the preset is unknown, or the card or shape would be refused later.
    """

    train: TrainConfig
    sources: tuple[Source, ...]
    valid: tuple[Source, ...] = ()
    preset: str = "tiny"
    model: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    vocabulary: int = DEFAULT_VOCABULARY_SIZE
    tokenizer: str = ""
    start: str = ""
    name: str = "model"
    summary: str = ""
    licence: str = ""
    limits: tuple[str, ...] = ()
    origin: str = ""

    def __post_init__(self) -> None:
        check_types(self)
        if self.preset not in preset_names():
            raise UsageError(f"unknown preset {self.preset!r}{suggestion(self.preset, preset_names())}")
        if self.start and self.model:
            raise UsageError("the model to go on from has a shape already: leave out the [model] settings")
        check_keys(self.model, SHAPE_KEYS, "[model]")
        try:
            self.shape(256)
            self.card()
        except ValueError as error:
            raise UsageError(str(error)) from error

    def shape(self, vocabulary_size: int) -> NetworkConfig:
        """The config of the network. Raises ``ValueError`` for an impossible shape."""
        return preset(self.preset, vocabulary_size, **self.model)

    def card(self) -> Card:
        """The model's card, without measurements."""
        sources = tuple(DataSource(source.name, source.licence) for source in self.sources)
        return Card(self.name, self.summary, self.licence, sources, recipe=self.origin, limits=self.limits)


def check_keys(content: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Refuse an unknown key with a ``UsageError`` that names the nearest known one."""
    known = list(allowed)
    for key in content:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(key, known)}")
