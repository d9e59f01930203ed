"""Models of the store that a study compares: the shipped family beside imported open models."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zipllm.bench.contamination import contamination, learned_digests, learned_names
from zipllm.bench.inputs import FILES, BenchInput
from zipllm.engine.engine import Engine, LazyEngine, engine_from_model
from zipllm.experiments.ledger import Row
from zipllm.experiments.material import Text
from zipllm.experiments.scoring import context_words
from zipllm.machine import best_device
from zipllm.model.config import LLAMA
from zipllm.model_file.card import UNKNOWN_DATA
from zipllm.model_file.store import ModelStore, StoredModel


@dataclass(frozen=True)
class Contender:
    """A model that takes part.

    Attributes:
        stored: its file.
        store: where it is loaded from.
        guest: whether it is not one of the shipped family.
    """

    stored: StoredModel
    store: ModelStore
    guest: bool

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def digits(self) -> str:
        """Return the beginning of its id."""
        return self.stored.model_id.hex()[:8]

    @property
    def parameters(self) -> int:
        return sum(self.stored.summary.metadata.config.parameter_counts())

    def facts(self) -> Row:
        """Return what every row about the model says."""
        return {
            "model": self.name,
            "model_id": self.stored.model_id.hex(),
            "guest": self.guest,
            "parameters": self.parameters,
            "model_bytes": self.stored.summary.file_bytes,
            "context": context_words(self.stored.summary.metadata.config.window),
        }

    def knows(self, text: Text, *, newer: bool) -> bool:
        """Whether the model learned a text or nobody can tell; of a ``newer`` text the card has to name the data."""
        card, digest = self.stored.summary.metadata.card, hashlib.sha256(text.test).hexdigest()
        item = BenchInput(FILES, text.name, Path(), len(text.test), digest, digest)
        names = tuple(name for name in learned_names(card) if not (newer and name == UNKNOWN_DATA))
        return bool(contamination(item, learned_digests(card), names))

    def engine(self) -> LazyEngine:
        """Return the engine, which is loaded when it is first called, on the fastest device."""
        return LazyEngine(self._load)

    def _load(self) -> Engine:
        return engine_from_model(self.store.load(self.stored.path), best_device())


def contenders(shipped: Sequence[str], named: Sequence[str], store: ModelStore) -> list[Contender]:
    """Return the shipped models and the guests, each id once, by parameters.

    Args:
        shipped: names of the family.
        named: guests by name, id or path; without any, all models of the Llama family in the user's store.
        store: where to look.

    Raises:
        ModelNotFound: there is no such model.
        ModelInvalid: the header of a named file is damaged.
    """
    guests = [store.find(name) for name in named] or _imported(store)
    found: dict[bytes, Contender] = {}
    for stored, guest in [*((store.find(name), False) for name in shipped), *((each, True) for each in guests)]:
        found.setdefault(stored.model_id, Contender(stored, store, guest))
    return sorted(found.values(), key=lambda contender: contender.parameters)


def _imported(store: ModelStore) -> list[StoredModel]:
    """Return the open models of the user's store."""
    return [
        each for each in store.models() if each.origin == "user" and each.summary.metadata.config.architecture == LLAMA
    ]
