"""All that makes a model: data, shape, settings, and what its card will say. See `recipe_file` for the TOML form."""

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
    """All a run needs besides its folder and its device.

    Attributes:
        train: budgets, rates, seed.
        sources: training data.
        valid: validation data; empty: documents held back from ``sources``.
        preset: shape of the network.
        model: fields of its config that differ from the preset.
        vocabulary: size of the vocabulary; 256 for a byte model.
        tokenizer: model or file to take the tokenizer from; empty: learn one.
        start: model or run to go on from (``--from``); it brings its shape and its tokenizer. Empty: a new network.
        name: of the model, in its card.
        summary: one sentence for the card.
        licence: of the weights, for the card.
        limits: known limits, one sentence each, for the card.
        origin: the file or command the run can be repeated with, for the card.

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
        """The network to train, for a tokenizer of so many tokens. Raises ``ValueError`` for an impossible shape."""
        return preset(self.preset, vocabulary_size, **self.model)

    def card(self) -> Card:
        """What the card of the model will say of the recipe; measurements are put in after training."""
        sources = tuple(DataSource(source.name, source.licence) for source in self.sources)
        return Card(self.name, self.summary, self.licence, sources, recipe=self.origin, limits=self.limits)


def check_keys(content: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Refuse a key that is not known.

    Raises:
        UsageError: it names the nearest known one.
    """
    known = list(allowed)
    for key in content:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(key, known)}")
