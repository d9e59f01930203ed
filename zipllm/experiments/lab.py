"""What a study works with: text, trained models, scores and its ledger; all of it seeded and kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.data.local import Places
from zipllm.engine.engine import engine_from_model
from zipllm.experiments.ledger import Ledger, Row, Ts, measurements
from zipllm.experiments.material import Text, main_text
from zipllm.experiments.scoring import context_words, payload
from zipllm.experiments.training import Plan, Trained, train
from zipllm.model_file.file import model_to_bytes
from zipllm.train.start import Start

Notice = Callable[[str], None]
"""Gets one line about what begins or what is left out."""


@dataclass
class Lab:
    """The place where a study runs.

    Attributes:
        ledger: where its rows go.
        models: folder of trained models, which studies share.
        places: data folders.
        seed: of every random choice.
        tell: reports progress.
        expected: seconds of the whole study on two idle cores.
        named: models that the user names, for a study that compares models of the store.
        total: number of its rows; ``run`` of a study sets it as soon as it knows.
        left_out: what could not be measured here, in words.
    """

    ledger: Ledger
    models: Path
    places: Places
    seed: int
    tell: Notice
    expected: float = 0.0
    named: tuple[str, ...] = ()
    total: int = 0
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kept = self._done

    @property
    def _done(self) -> int:
        return len(measurements(self.ledger.rows))

    def notice(self, text: str) -> None:
        """Report what begins, with the number of the row and the time that is left, as far as this sitting tells."""
        place, done = "", self._done
        if done < self.total:
            rows, fresh = self.total - done, done - self._kept
            left = self.ledger.spent[0] / fresh * rows if fresh else self.expected * rows / self.total
            place = f"{done + 1} of {self.total}, about {duration(left)} left: "
        self.tell(place + text)

    def measure(self, key: str, make: Callable[[*Ts], Row], *args: *Ts, **about: Any) -> Row:
        """Return the row of this key, from ``make(*args)`` and ``about`` or from the run that is being resumed."""
        return self.ledger.measure(key, make, *args, seed=self.seed, **about)

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
        return score(self.train(plan, text, start), text)

    def leave_out(self, what: str) -> None:
        """Report that something cannot be measured here; the page repeats it."""
        self.tell(what)
        self.left_out.append(what)


def duration(seconds: float) -> str:
    """Format a time: ``40 s``, ``12 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
