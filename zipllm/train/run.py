"""A whole run: data, training, export. Everything it makes lies in one folder.

runs/NAME/
    .zipllm-run          held by the process that works here
    config.toml          the resolved recipe: `zipllm train --config runs/NAME/config.toml` is the same run again
    tokenizer.json       the vocabulary
    tokens/              the data as token ids
    metrics.jsonl        one report a line
    step-NNNNNN/         the newest two checkpoints, and the one with the lowest validation cost
    model.safetensors    the exported model
    card.md              its card
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from zipllm.data.local import Places
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits
from zipllm.errors import FileError
from zipllm.model.config import NetworkConfig
from zipllm.model_file.card import render_card
from zipllm.model_file.file import save_model
from zipllm.temporary import private_as, replacing
from zipllm.tokenizer import Tokenizer
from zipllm.train.checkpoint import TrainState, checkpoint, load_model
from zipllm.train.compiler import decide_compiler
from zipllm.train.corpus import Corpus, DataOptions, open_corpus, origins, prepare_corpus
from zipllm.train.distributed import Group, joined
from zipllm.train.enough import advice, noting_slow_steps
from zipllm.train.export import Exported, export_model
from zipllm.train.recipe import Recipe
from zipllm.train.recipe_file import write_recipe
from zipllm.train.run_folder import check_folder, held
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

    def stage(self, name: str, save: Callable[[], None] | None, /) -> None:
        """Take the stage: ``prepare``, ``train`` or ``export``; ``save`` saves the state from another thread."""


@dataclass(frozen=True)
class Setup:
    """Where and how a recipe is run.

    Attributes:
        folder: of the run.
        out: a second place for the model; None: only the folder.
        device: ``cpu`` or ``cuda``.
        resume: go on from the newest checkpoint in the folder.
        tensorboard: write event files as well.
        places: see `DataOptions`, as for ``limits``.
    """

    folder: Path
    out: Path | None = None
    device: str = "cpu"
    resume: bool = False
    tensorboard: bool = False
    places: Places | None = None
    limits: UnpackLimits = UNPACK_LIMITS


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
    if recipe.train.deterministic:
        torch.use_deterministic_algorithms(True)
    with joined(setup.device) as group, contextlib.ExitStack() as stack:
        if group.leads:
            stack.enter_context(private_as(_origins(recipe, setup.folder, resume=setup.resume)))
            stack.enter_context(held(setup.folder))
            _check_setup(setup)
        return _run(recipe, setup, group, listener, should_stop)


def _run(recipe: Recipe, setup: Setup, group: Group, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Do what `run` does in a group; nothing that belongs to the group outlives the call."""
    start = load_start(recipe.start) if recipe.start else None
    trainer, corpus = prepare(recipe, setup, group, start, listener.note)
    if group.leads:
        write_recipe(recipe, setup.folder / CONFIG)
        advised = advice(recipe.train, trainer.model.config, corpus.train, corpus.tokenizer)
        for note in (*corpus.notes, *advised):
            listener.note(note)
    listener.stage("train", trainer.save if group.size == 1 else None)
    if not trainer.is_finished():
        decide_compiler(trainer, listener.note)
    log = RunLog(setup.folder, trainer.state.step, tensorboard=setup.tensorboard) if group.leads else None

    def report(summary: Report) -> None:
        if log:
            log.write(summary)
            listener.report(summary)

    state = trainer.train(report, noting_slow_steps(should_stop, recipe.train.minutes, listener.note))
    if log:
        log.close()
    if not trainer.is_finished() or not group.leads:
        return Outcome(state)
    listener.stage("export", None)
    if start:
        recipe = dataclasses.replace(recipe, origin=f"{recipe.origin}; fine-tuned from {start.name}")
    return export(trainer, corpus, recipe, setup, listener)


def prepare(
    recipe: Recipe, setup: Setup, group: Group, start: Start | None, note: Callable[[str], None]
) -> tuple[Trainer, Corpus]:
    """Tokenize the data, in the leading process first, and make the trainer; errors as in `run`."""
    if group.leads:
        tokenizer = start.tokenizer if start else load_tokenizer(recipe.tokenizer) if recipe.tokenizer else None
        options = DataOptions(recipe.vocabulary, tokenizer, recipe.train.sequence, setup.places, setup.limits)
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
        prepared=corpus.prepared,
        note=note,
    )
    return trainer, corpus


def export(trainer: Trainer, corpus: Corpus, recipe: Recipe, setup: Setup, listener: Listener) -> Outcome:
    """Quantize the best weights of a finished run and write the model and its card."""
    model, state = trainer.model, trainer.state
    if state.best_step is not None and state.worse:
        model, state = load_model(checkpoint(setup.folder, state.best_step))
        listener.note(f"the weights of step {state.step:,} were the best on the validation data; they are exported")
    elif recipe.train.shard:
        model, state = load_model(checkpoint(setup.folder, state.step))  # this process alone has only a part
    path = setup.folder / MODEL
    exported = export_model(model, corpus, recipe, state, path)
    card = render_card(exported.model.card, model.config, exported.model.model_id, path.stat().st_size)
    try:
        _write_text(setup.folder / CARD, card)
        if setup.out is not None:
            save_model(exported.model, setup.out)
            _write_text(setup.out.with_suffix(".md"), card)
    except OSError as error:
        raise FileError(f"cannot write the model: {error.strerror or error}; it is in {path}") from error
    return Outcome(trainer.state, setup.out or path, exported)


def _origins(recipe: Recipe, folder: Path, *, resume: bool) -> list[Path | int]:
    """Return what the files of a run derive from, so that they stay as private."""
    prepared = folder / "data.json"
    data = [prepared] if resume and prepared.exists() else origins([*recipe.sources, *recipe.valid])
    return [*data, *(Path(name) for name in (recipe.start, recipe.tokenizer) if name)]


def _check_setup(setup: Setup) -> None:
    """Refuse what cannot work before any data is read."""
    check_folder(setup.folder, resume=setup.resume)
    if setup.out is not None:
        card = setup.out.with_suffix(".md")
        if not os.access(setup.out.parent, os.W_OK) or not setup.out.parent.is_dir():
            raise FileError(f"{setup.out}: {setup.out.parent} is not a folder to write to")
        if card.exists() and not setup.out.exists():
            raise FileError(f"{card} would become the model's card; move it, or choose another name with -o")
    if setup.tensorboard:
        board_writer()  # missing: said before the data is read


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as (sink, _):
        sink.write(text.encode())


def _shape(recipe: Recipe, start: Start | None, tokenizer: Tokenizer) -> NetworkConfig:
    return start.model.config if start else recipe.shape(len(tokenizer.vocabulary))
