"""A dry run: everything once, in a scratch folder."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zipllm.train.checkpoint import checkpoints, load_model
from zipllm.train.compiler import decide_compiler, expected_seconds
from zipllm.train.distributed import joined
from zipllm.train.export import export_model
from zipllm.train.recipe import Recipe
from zipllm.train.run import MODEL, Setup, prepare
from zipllm.train.start import load_start


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
    compiled: Literal["on", "off"] = "on" if recipe.train.compile == "on" else "off"
    two = dataclasses.replace(recipe.train, steps=2, minutes=0.0, tokens=0, compile=compiled, rounding=0.5, patience=0)
    with joined(setup.device) as group:
        start = load_start(recipe.start) if recipe.start else None
        setup = dataclasses.replace(setup, folder=scratch, resume=False)
        first, corpus = prepare(dataclasses.replace(recipe, train=two), setup, group, start, lambda text: None)
        decide_compiler(first, lambda text: None)
        first.train(lambda _summary: None)
        model, state = load_model(checkpoints(scratch)[-1])
        exported = export_model(model, corpus, recipe, state, scratch / MODEL)
        step_seconds = state.seconds / state.step
        planned = dataclasses.replace(first.state, step=0, tokens=0, seconds=0.0)
        first.config, first.state = recipe.train, planned
        seconds = expected_seconds(first, step_seconds)
    tokens = int(seconds / step_seconds * recipe.train.batch * recipe.train.sequence)
    return Rehearsal(scratch / MODEL, step_seconds, seconds, tokens, exported.model.config.parameter_counts())
