"""``zipllm train``: from files to a model file that codes them well."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zipllm.cli import options
from zipllm.cli.messages import say
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError

if TYPE_CHECKING:
    from zipllm.train.recipe import Recipe
    from zipllm.train.trainer import Report

_DATA = "Data and model"
_BUDGET = "Budget"

Data = Annotated[
    list[Path] | None,
    typer.Argument(metavar="DATA...", help="Files and folders; .gz .xz .bz2 .zst are opened.", show_default=False),
]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="MODEL", help="Model file to write.", rich_help_panel=_DATA)]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="TOML", help="A recipe: data, shape and settings.", rich_help_panel=_DATA),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="ZIPLLM_DATA_DIR",
        metavar="DIR",
        help="What the paths in a recipe are relative to; by default the recipe's folder.",
        rich_help_panel=_DATA,
    ),
]
Valid = Annotated[
    list[Path] | None,
    typer.Option("--valid", metavar="PATH", help="Validation data; else 1 document in 50.", rich_help_panel=_DATA),
]
Preset = Annotated[
    str | None, typer.Option("--preset", help="Shape: nano, tiny, small or base.", rich_help_panel=_DATA)
]
Vocabulary = Annotated[
    int | None, typer.Option("--vocabulary", metavar="N", help="Tokens; 256 is bytes.", rich_help_panel=_DATA)
]
Run = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="Folder of the run; default runs/NAME.", rich_help_panel=_DATA),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint of the run.", rich_help_panel=_BUDGET)
]
Minutes = Annotated[float | None, typer.Option("--minutes", min=0, help="Wall-clock budget.", rich_help_panel=_BUDGET)]
Steps = Annotated[
    int | None, typer.Option("--steps", min=0, help="Budget in optimiser steps.", rich_help_panel=_BUDGET)
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of weights and data order.", rich_help_panel=_BUDGET)]
Compile = Annotated[
    Literal["auto", "on", "off"] | None,
    typer.Option("--compile", help="torch.compile; auto falls back to eager.", rich_help_panel=_BUDGET),
]


def train(
    out: Out,
    data: Data = None,
    config: Config = None,
    data_dir: DataDir = None,
    valid: Valid = None,
    preset: Preset = None,
    vocabulary: Vocabulary = None,
    run: Run = None,
    resume: Resume = False,
    minutes: Minutes = None,
    steps: Steps = None,
    seed: Seed = None,
    compile: Compile = None,
    device: options.DeviceName = "auto",
    threads: options.Threads = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Train a Transformer on DATA and write it as a model file.

    A run ends when its budget is used: 10 minutes unless --minutes or --steps says otherwise. Ctrl-C
    saves a checkpoint; --resume goes on from it.
    """
    voice = Voice("train", 1 - quiet)

    def work() -> int:
        settings: dict[str, Any] = {"minutes": minutes, "steps": steps, "seed": seed, "compile": compile}
        recipe = _recipe(config, data_dir, data or [], valid or [], settings)
        changes = {"preset": preset, "vocabulary": vocabulary}
        recipe = _replace(recipe, {key: value for key, value in changes.items() if value is not None})
        folder = run or Path("runs") / out.name.removesuffix(".safetensors")
        return _train(recipe, folder, out, _Machine(device, threads), resume=resume, voice=voice)

    finish(voice, work)


class _Machine:
    """Where to train: ``device`` auto, cpu or cuda; ``threads`` 0 means one per core."""

    def __init__(self, device: str, threads: int) -> None:
        self.device, self.threads = device, threads

    def prepare(self) -> str:
        """Set the number of threads and return the device's name for torch. Raises ``UsageError`` without CUDA."""
        import torch

        torch.set_num_threads(self.threads or os.cpu_count() or 1)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: torch sees no CUDA device here")
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device


def _train(recipe: "Recipe", folder: Path, out: Path, machine: _Machine, *, resume: bool, voice: Voice) -> int:
    import numpy as np

    from zipllm.model.card_markdown import render_card
    from zipllm.model.presets import preset
    from zipllm.train.checkpoint import checkpoints
    from zipllm.train.corpus import DataOptions, prepare_corpus
    from zipllm.train.export import export_model
    from zipllm.train.trainer import Trainer

    device = machine.prepare()
    if checkpoints(folder) and not resume:
        raise UsageError(f"{folder} holds checkpoints of an earlier run; --resume goes on, --run names another folder")
    options = DataOptions(recipe.vocabulary, sequence=recipe.train.sequence)
    corpus = prepare_corpus(folder, recipe.sources, recipe.valid, options, resume=resume)
    for note in corpus.notes:
        say(f"zipllm: {note}")
    lengths = np.array([len(token) for token in corpus.tokenizer.vocabulary])
    shape = preset(recipe.preset, len(lengths))
    trainer = Trainer(folder, shape, recipe.train, corpus.train, corpus.valid, lengths, device=device, resume=resume)

    def tell(report: "Report") -> None:
        if voice.level >= 1:
            for line in _lines(report):
                say(line)

    with _interruptible() as interrupt:
        state = trainer.train(tell, interrupt.seen)
    if interrupt.seen():
        say(f"zipllm: interrupted; saved in {folder}, go on with the same command and --resume")
        return 128 + interrupt.number
    exported = export_model(trainer.model, corpus, recipe, state, out)
    card = render_card(exported.model.card, shape, exported.model.model_id, out.stat().st_size)
    out.with_suffix(".md").write_text(card, encoding="utf-8")
    if voice.level >= 1:
        body, embedding = shape.parameter_counts()
        size = f"{out.stat().st_size:,} bytes, {body + embedding:,} parameters"
        cost = "not measured (no validation data)" if exported.gap is None else f"{exported.gap.percent:+.2f} % bits"
        say(f"{out}: {size}, cost of the integer form {cost}")
    return 0


class _Interrupt:
    """Remembers the first signal, so that a run can stop between two steps."""

    def __init__(self) -> None:
        self.number = 0

    def note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)  # the same signal twice ends at once

    def seen(self) -> bool:
        return self.number != 0


@contextlib.contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Note SIGINT and SIGTERM instead of ending the process, inside the ``with`` block."""
    interrupt = _Interrupt()
    before = {number: signal.signal(number, interrupt.note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _recipe(
    config: Path | None, data_dir: Path | None, data: list[Path], valid: list[Path], settings: dict[str, Any]
) -> "Recipe":
    """The recipe file, or one made from the arguments, with the settings given on the command line put over it."""
    from dataclasses import replace

    from zipllm.train.config import TrainConfig
    from zipllm.train.corpus import data_sources
    from zipllm.train.recipe import Recipe, read_recipe

    given = {key: value for key, value in settings.items() if value is not None}
    try:
        if config is not None:
            if data or valid:
                raise UsageError("a recipe names its own data; give either --config or DATA")
            recipe = read_recipe(config, data_dir or config.parent)
            return replace(recipe, train=replace(recipe.train, **given))
        if not data:
            raise UsageError("no training data: name files or folders, or a recipe with --config")
        if "minutes" not in given and "steps" not in given:
            given["minutes"] = 10.0
        return Recipe(TrainConfig(**given), data_sources(data), data_sources(valid, "valid"))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _replace(recipe: "Recipe", changes: dict[str, Any]) -> "Recipe":
    from dataclasses import replace

    return replace(recipe, **changes)


def _lines(report: "Report") -> list[str]:
    """Step, share of the budget, bits per byte, speed, time left; then the validation data, if it was looked at."""
    left = report.seconds * (1 - report.progress) / report.progress if report.progress else 0.0
    numbers = (
        f"step {report.step}  {100 * report.progress:5.1f} %  {report.tokens / 1e6:.2f} M tokens  "
        f"train {report.train_bpb:.3f} bpb  {report.tokens_per_second:,.0f} tokens/s  {left / 60:.0f} min left"
    )
    valid = "  valid " + "  ".join(f"{name} {bpb:.3f}" for name, bpb in report.valid_bpb.items())
    return [numbers, valid] if report.valid_bpb else [numbers]
