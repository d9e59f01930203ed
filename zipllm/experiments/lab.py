"""What a study works with: text, trained models, scores and its ledger; all of it seeded and kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.data.local import Places
from zipllm.engine.engine import engine_from_model
from zipllm.experiments.ledger import Ledger, Row, Ts
from zipllm.experiments.material import Text, find_text, main_text
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.training import Plan, Trained, train
from zipllm.model_file.file import model_to_bytes
from zipllm.train.start import Start

Notice = Callable[[str], None]
"""Gets one line about what begins or what is left out."""


@dataclass(frozen=True)
class Lab:
    """The place where a study runs.

    Attributes:
        ledger: where its rows go.
        models: folder of trained models, which studies share.
        places: data folders.
        seed: of every random choice.
        notice: reports progress.
        left_out: what could not be measured here, in words; studies add to it.
    """

    ledger: Ledger
    models: Path
    places: Places
    seed: int
    notice: Notice
    left_out: list[str] = field(default_factory=list)

    def measure(self, key: str, make: Callable[[*Ts], Row], *args: *Ts, **about: Any) -> Row:
        """Return the row of this key, from ``make(*args)`` and ``about`` or from the run that is being resumed."""
        return self.ledger.measure(key, make, *args, seed=self.seed, **about)

    def text(self, name: str, train_bytes: int, test_bytes: int) -> Text | None:
        """Return text of a domain, or None; errors as ``material.find_text``."""
        return find_text(name, self.places, train_bytes, test_bytes)

    def main_text(self, train_bytes: int, test_bytes: int) -> Text:
        """Return the text that most studies use; errors as ``material.main_text``."""
        self.notice("reading text")
        return main_text(self.places, train_bytes, test_bytes)

    def train(self, plan: Plan, text: Text, start: Start | None = None) -> Trained:
        """Train on the first part of a text, or take the model if an earlier study has trained it."""
        what = f"{plan.layers} layers of {plan.width}" if start is None else f"from {start.name}"
        self.notice(f"training on {text.name}: {what}, {plan.tokens:,} tokens")
        return train(plan, text.name, text.train, self.models, seed=self.seed, start=start)

    def train_and_score(self, plan: Plan, text: Text, start: Start | None) -> Row:
        """Return the row of the model that ``train`` gives."""
        return score(self.train(plan, text, start), text)

    def leave_out(self, what: str) -> None:
        """Report that something cannot be measured here; the page repeats it."""
        self.notice(what)
        self.left_out.append(what)


def score(trained: Trained, text: Text) -> Row:
    """Return the row of a model: its bits per byte on held-out text, and facts about both."""
    model = trained.export()
    found = payload(engine_from_model(model), text.test)
    return {
        "bpb": found.bits_per_byte,
        "bytes": found.raw_bytes,
        "bytes_per_token": found.raw_bytes / found.tokens,
        "model_bytes": len(model_to_bytes(model)),
        "text": text.origin,
        "context": context_words(trained.model.config.window),
        **facts(trained),
    }


def facts(trained: Trained) -> Row:
    """Return what every row about a model says: its size, what it was trained on, how long that took."""
    return {
        "parameters": trained.parameters,
        "window": trained.model.config.window,
        "trained_tokens": trained.tokens,
        "trained_s": round(trained.seconds, 1),
    }
