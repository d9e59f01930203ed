"""A whole run: data, training, export. Everything it makes lies in one folder.

runs/NAME/
    config.toml          the resolved recipe: `zipllm train --config runs/NAME/config.toml` is the same run again
    tokenizer.json       the vocabulary
    tokens/              the data as token ids
    metrics.jsonl        one report a line
    step-NNNNNN/         the newest two checkpoints, for --resume
    best/                the weights with the lowest validation cost
    model.safetensors    the exported model
    card.md              its card
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from zipllm.data.local import Places
from zipllm.data.unpack import UNPACKED_LIMIT
from zipllm.errors import FileError, UsageError
from zipllm.model.config import NetworkConfig
from zipllm.model_file.card import render_card
from zipllm.model_file.file import save_model
from zipllm.tokenizer import Tokenizer
from zipllm.train.checkpoint import BEST, TrainState, checkpoints, load_model
from zipllm.train.compiler import decide_compiler, expected_seconds
from zipllm.train.corpus import Corpus, DataOptions, open_corpus, prepare_corpus
from zipllm.train.distributed import Group, joined
from zipllm.train.export import Exported, export_model
from zipllm.train.recipe import Recipe
from zipllm.train.recipe_file import write_recipe
from zipllm.train.runlog import Report, RunLog, board_writer
from zipllm.train.start import Start, load_start
from zipllm.train.trainer import Trainer
from zipllm.train.vocabulary import load_tokenizer

CONFIG, MODEL, CARD = "config.toml", "model.safetensors", "card.md"


class Listener(Protocol):
    """Hears from the leading process."""

    def note(self, text: str) -> None:
        """Take one line about a decision."""

    def report(self, report: Report) -> None:
        """Take the numbers of the last steps."""


@dataclass(frozen=True)
class Setup:
    """Where and how a recipe is run.

    Attributes:
        folder: of the run.
        out: a second place for the model; None: only the folder.
        device: ``cpu`` or ``cuda``.
        resume: go on from the newest checkpoint in the folder.
        tensorboard: write event files as well.
        places: see `DataOptions`, as for ``limit``.
    """

    folder: Path
    out: Path | None = None
    device: str = "cpu"
    resume: bool = False
    tensorboard: bool = False
    places: Places | None = None
    limit: int = UNPACKED_LIMIT


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: counters at the end.
        path: the model file; None after a stop, and in a process that does not lead.
        exported: the model; None as for ``path``.
    """

    state: TrainState
    path: Path | None = None
    exported: Exported | None = None


def run(recipe: Recipe, setup: Setup, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Train a model and export it; under ``torchrun``, with the other processes.

    ``should_stop`` is asked between steps; a stopped run is saved and can be resumed.

    Raises:
        UsageError: the recipe cannot work: no data, a loss that is not finite, too little memory.
        FileError: data cannot be read, or results cannot be written.
        ModelError: the model to start from is missing or not usable.
    """
    _check_setup(setup)
    if recipe.train.deterministic:
        torch.use_deterministic_algorithms(True)
    with joined(setup.device) as group:
        return _run(recipe, setup, group, listener, should_stop)


def _run(recipe: Recipe, setup: Setup, group: Group, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Do what `run` does in a group; nothing that belongs to the group outlives the call."""
    start = load_start(recipe.start) if recipe.start else None
    trainer, corpus = prepare(recipe, setup, group, start)
    if group.leads:
        write_recipe(recipe, setup.folder / CONFIG)
        for note in corpus.notes:
            listener.note(note)
    decide_compiler(trainer, listener.note)
    log = RunLog(setup.folder, tensorboard=setup.tensorboard and group.leads)

    def report(summary: Report) -> None:
        if group.leads:
            log.write(summary)
            listener.report(summary)

    state = trainer.train(report, should_stop)
    log.close()
    if not trainer.is_finished() or not group.leads:
        return Outcome(state)
    if start:
        recipe = dataclasses.replace(recipe, origin=f"{recipe.origin}; fine-tuned from {start.name}")
    return export(trainer, corpus, recipe, setup, listener)


def prepare(recipe: Recipe, setup: Setup, group: Group, start: Start | None) -> tuple[Trainer, Corpus]:
    """Tokenize the data, in the leading process first, and make the trainer; errors as in `run`."""
    if group.leads:
        tokenizer = start.tokenizer if start else load_tokenizer(recipe.tokenizer) if recipe.tokenizer else None
        options = DataOptions(recipe.vocabulary, tokenizer, recipe.train.sequence, setup.places, setup.limit)
        prepare_corpus(setup.folder, recipe.sources, recipe.valid, options, resume=setup.resume)
    group.wait()
    corpus = open_corpus(setup.folder)
    lengths = np.array([len(token) for token in corpus.tokenizer.vocabulary])
    trainer = Trainer(
        setup.folder,
        _shape(recipe, start, corpus.tokenizer),
        recipe.train,
        corpus.train,
        corpus.valid,
        lengths,
        group=group,
        start=start.model if start else None,
        resume=setup.resume,
    )
    return trainer, corpus


def export(trainer: Trainer, corpus: Corpus, recipe: Recipe, setup: Setup, listener: Listener) -> Outcome:
    """Quantize the best weights of a finished run and write the model and its card."""
    model, state = trainer.model, trainer.state
    best = setup.folder / BEST
    if best.is_dir() and trainer.state.worse:
        model, state = load_model(best)
        listener.note(f"the weights of step {state.step:,} were the best on the validation data; they are exported")
    elif recipe.train.shard:
        model, state = load_model(checkpoints(setup.folder)[-1])  # this process alone has only a part
    path = setup.folder / MODEL
    exported = export_model(model, corpus, recipe, state, path)
    card = render_card(exported.model.card, model.config, exported.model.model_id, path.stat().st_size)
    try:
        (setup.folder / CARD).write_text(card, encoding="utf-8")
        if setup.out is not None:
            setup.out.parent.mkdir(parents=True, exist_ok=True)
            save_model(exported.model, setup.out)
            setup.out.with_suffix(".md").write_text(card, encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot write the model: {error.strerror or error}; it is in {path}") from error
    return Outcome(trainer.state, setup.out or path, exported)


def _check_setup(setup: Setup) -> None:
    """Refuse what cannot work before any data is read."""
    if setup.resume and not checkpoints(setup.folder):
        raise UsageError(f"{setup.folder} has no checkpoint to resume; leave out --resume to begin")
    if checkpoints(setup.folder) and not setup.resume:
        raise UsageError(f"{setup.folder} holds an earlier run; --resume goes on, --run names another folder")
    if setup.tensorboard:
        board_writer()  # missing: said before the data is read


def _shape(recipe: Recipe, start: Start | None, tokenizer: Tokenizer) -> NetworkConfig:
    return start.model.config if start else recipe.shape(len(tokenizer.vocabulary))


@dataclass(frozen=True)
class Rehearsal:
    """A model file of two steps, their mean time, what the recipe's budget takes, and parameters as in a config."""

    path: Path
    step_seconds: float
    expected_seconds: float
    expected_tokens: int
    parameters: tuple[int, int]


def rehearse(recipe: Recipe, setup: Setup, scratch: Path) -> Rehearsal:
    """Prepare the data, take two steps, save, load, and export, all in an empty folder; errors as in `run`."""
    two = dataclasses.replace(recipe.train, steps=2, minutes=0.0, tokens=0, compile="off", rounding=0.5, patience=0)
    with joined(setup.device) as group:
        start = load_start(recipe.start) if recipe.start else None
        setup = dataclasses.replace(setup, folder=scratch, resume=False)
        first, corpus = prepare(dataclasses.replace(recipe, train=two), setup, group, start)
        first.train(lambda _summary: None)
        model, state = load_model(checkpoints(scratch)[-1])
        exported = export_model(model, corpus, recipe, state, scratch / MODEL)
        step_seconds = state.seconds / state.step
        planned = dataclasses.replace(first.state, step=0, tokens=0, seconds=0.0)
        first.config, first.state = recipe.train, planned
        seconds = expected_seconds(first, step_seconds)
    tokens = int(seconds / step_seconds * recipe.train.batch * recipe.train.sequence)
    return Rehearsal(scratch / MODEL, step_seconds, seconds, tokens, exported.model.config.parameter_counts())
