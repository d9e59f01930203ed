"""A Transformer fine-tuned on the texts of one class, by ``zipllm.train``."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from zipllm.engine.engine import Engine, engine_from_model
from zipllm.train.config import TrainConfig
from zipllm.train.corpus import Source
from zipllm.train.recipe import Recipe
from zipllm.train.run import Setup, run
from zipllm.train.runlog import Report

_BATCH, _SEQUENCE = 8, 256


class _Silent:
    """Drops the reports of a training run of seconds."""

    def note(self, text: str) -> None:
        """Drop a note."""

    def report(self, report: Report) -> None:
        """Drop a report."""

    def stage(self, name: str, save: Callable[[], None] | None) -> None:
        """Drop a stage."""


def tuned_engine(model: str, texts: Sequence[bytes], steps: int) -> Engine:
    """Return a model after more training on texts, one in fifty of which is held back.

    Args:
        model: name, path or id.
        texts: texts of the class.
        steps: optimizer steps.

    Raises:
        UsageError: the texts are too few to train on.
        ModelError: training cannot start from this model.
    """
    with tempfile.TemporaryDirectory(prefix="zipllm-classify-") as name:
        folder = Path(name)
        (folder / "texts").write_bytes(b"\n".join(texts) + b"\n")
        config = TrainConfig(steps=steps, batch=_BATCH, sequence=_SEQUENCE, compile="off")
        recipe = Recipe(config, (Source("texts", (folder / "texts",)),), start=model)
        outcome = run(recipe, Setup(folder / "run"), _Silent(), lambda: False)
        assert outcome.exported is not None, "a run that is not stopped ends with an export"
        return engine_from_model(outcome.exported.model)
