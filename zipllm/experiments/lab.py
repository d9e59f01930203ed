"""What a study works with: text, trained models, and the ledger of its rows; all of it seeded and kept on disk."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from zipllm.data.local import Places
from zipllm.experiments.ledger import Ledger
from zipllm.experiments.material import Text, find_text, need_text
from zipllm.experiments.study import Row
from zipllm.experiments.training import Plan, Trained, train
from zipllm.train.start import Start

Notice = Callable[[str], None]
"""Told in one line what begins or what is left out."""


@dataclass(frozen=True)
class Lab:
    """The place where a study runs.

    Attributes:
        ledger: where its rows go.
        models: folder of trained models, which studies share.
        places: data folders.
        seed: of everything that is drawn.
        notice: told what goes on.
        left_out: what could not be measured here, in words; studies add to it.
    """

    ledger: Ledger
    models: Path
    places: Places
    seed: int = 0
    notice: Notice = lambda text: None
    left_out: list[str] = field(default_factory=list)

    def measure(self, key: str, make: Callable[[], Mapping[str, Any]]) -> Row:
        """Return the row of this key, measured now or in the run that is gone on with."""
        return self.ledger.measure(key, make)

    def text(self, name: str, train_bytes: int, test_bytes: int) -> Text:
        """Return text of a domain; errors as ``material.need_text``."""
        return need_text(name, self.places, train_bytes, test_bytes)

    def text_if_any(self, name: str, train_bytes: int, test_bytes: int) -> Text | None:
        """Return text of a domain, or None; errors as ``material.find_text``."""
        return find_text(name, self.places, train_bytes, test_bytes)

    def main_text(self, train_bytes: int, test_bytes: int) -> Text:
        """Return the text that most studies use: enwik8 where it is, else English of this machine."""
        self.notice("reading text")
        return main_text(self.places, train_bytes, test_bytes)

    def train(self, plan: Plan, text: Text, start: Start | None = None) -> Trained:
        """Train on the first part of a text, or take the model that an earlier study has trained so."""
        self.notice(f"training on {text.name}: {describe(plan, start)}")
        return train(plan, text.name, text.train, self.models, seed=self.seed, start=start)

    def leave_out(self, what: str) -> None:
        """Say that something cannot be measured here; it goes onto the page, too."""
        self.notice(what)
        self.left_out.append(what)


@cache
def main_text(places: Places, train_bytes: int, test_bytes: int) -> Text:
    """As ``Lab.main_text``; read once in a process."""
    wiki = find_text("wiki", places, train_bytes, test_bytes)
    return wiki or need_text("english", places, train_bytes, test_bytes)


def describe(plan: Plan, start: Start | None = None) -> str:
    """Say in words what is trained."""
    shape = f"{plan.shape.layers} layers of {plan.shape.width}" if start is None else f"from {start.name}"
    return f"{shape}, {plan.tokens:,} tokens"


def facts(trained: Trained) -> dict[str, Any]:
    """What goes into every row about a model: its size, what it was trained on, how long that took."""
    return {
        "parameters": trained.parameters,
        "window": trained.model.config.window,
        "trained_tokens": trained.tokens,
        "trained_s": round(trained.seconds, 1),
    }


def sizes_to_json(sizes: Any) -> Any:
    """The sizes of a study as plain JSON."""
    return asdict(sizes)
