"""From the float model of a run to a model file: quantize, measure both forms, write the card."""

import platform
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from zipllm.data.windows import WindowSampler
from zipllm.model.architecture import architecture_of
from zipllm.model.float_network import FloatNetwork
from zipllm.model.gap import Gap, measure_gap
from zipllm.model_file.card import Card, DomainResult
from zipllm.model_file.file import Model, build_model, save_model
from zipllm.model_file.provenance import with_digests
from zipllm.train.checkpoint import TrainState
from zipllm.train.corpus import Corpus
from zipllm.train.recipe import Recipe
from zipllm.train.validation import spaced_windows

CALIBRATION_WINDOWS = 64
MEASURED_WINDOWS = 24
"""Validation windows per source on which the float and the integer form are compared."""


@dataclass(frozen=True)
class Exported:
    """The model written, and the cost of the validation windows in both forms; None without such data."""

    model: Model
    gap: Gap | None


def export_model(model: FloatNetwork, corpus: Corpus, recipe: Recipe, state: TrainState, path: Path) -> Exported:
    """Quantize ``model`` on its own training data, measure it on the validation data, and write ``path``.

    Both forms are measured on the device that the model is on; the integer form computes the same on each.

    Raises:
        ModelInvalid: the weights have no integer form (not finite, or too large).
        FileError: the file cannot be written.
    """
    model = model.eval()
    device = model.embedding.weight.device
    model.set_rounding(False)
    sampler = WindowSampler(corpus.train, recipe.train.sequence, recipe.train.seed + 1)
    calibration = torch.from_numpy(sampler.batch(CALIBRATION_WINDOWS))
    architecture = architecture_of(model.config)
    integer = architecture.quantize(model, calibration)
    exact = architecture.reference(integer, device)
    results, total = [], Gap(0.0, 0.0)
    lengths = np.array([len(token) for token in corpus.tokenizer.vocabulary])
    for source in corpus.valid:
        if len(source.tokens) < recipe.train.sequence:
            continue
        windows = torch.from_numpy(spaced_windows(source, recipe.train.sequence, MEASURED_WINDOWS))
        gap = measure_gap(model, exact, windows)
        size = int(lengths[windows.numpy()].sum())
        results.append(DomainResult(source.name, size, gap.float_bits / size, gap.integer_bits / size))
        total = Gap(total.float_bits + gap.float_bits, total.integer_bits + gap.integer_bits)
    built = build_model(model.config, corpus.tokenizer, integer, _card(recipe, corpus, state, results))
    save_model(built, path)
    return Exported(built, total if total.float_bits else None)


def _card(recipe: Recipe, corpus: Corpus, state: TrainState, results: list[DomainResult]) -> Card:
    lengths = np.array([len(token) for token in corpus.tokenizer.vocabulary])
    sizes = {source.name: int(lengths[source.tokens].sum()) for source in corpus.train}
    card = recipe.card()
    done = replace(
        card,
        sources=tuple(replace(source, bytes=sizes.get(source.name, 0)) for source in card.sources),
        steps=state.step,
        tokens=state.tokens,
        seconds=round(state.seconds, 1),
        machine=_machine(state),
        results=tuple(results),
    )
    return with_digests(done, corpus.digests)


def _machine(state: TrainState) -> str:
    where = f"{torch.get_num_threads()} CPU threads ({platform.machine()})"
    if torch.cuda.is_available():
        where = f"{torch.cuda.get_device_name()}, {where}"
    speed = f", {state.bytes / state.seconds / 1000:,.1f} KB of data a second" if state.seconds and state.bytes else ""
    return f"{where}, torch {torch.__version__}{speed}"
