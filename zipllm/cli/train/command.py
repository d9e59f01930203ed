"""``zipllm train``: from files to a model file that codes them well."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zipllm.cli.messages import say
from zipllm.cli.reports import scratch_folder
from zipllm.cli.train.flags import TrainOptions
from zipllm.cli.train.recipe import recipe_of, run_name
from zipllm.cli.train.stopping import Stopping
from zipllm.cli.train.view import TrainView
from zipllm.cli.voice import Voice
from zipllm.errors import UsageError, VerificationFailed
from zipllm.machine import threads as usable_threads

if TYPE_CHECKING:
    from zipllm.train.recipe import Recipe
    from zipllm.train.run import Outcome, Setup


def train(options: TrainOptions) -> int:
    """Train a Transformer on DATA and write it as a model file.

    A run ends when its budget is used: 10 minutes unless --minutes, --steps or --tokens says otherwise (reading the
    data and exporting come on top). Ctrl-C saves a checkpoint; --resume goes on from it. Settings are taken from the
    recipe, then from --set, then from the other options. Several GPUs or machines: torchrun -m zipllm train ...

    $ zipllm train logs/ -o logs.safetensors --preset tiny --minutes 10
    $ zipllm train more/ -o tuned.safetensors --from logs.safetensors
    """
    from zipllm.train.run import Setup

    folder = options.run or Path("runs") / run_name(options)
    recipe = recipe_of(options, folder if options.resume else None)
    limits = options.unpacking
    if options.max_input is not None:
        limits = replace(limits, size=options.max_input)
    device = _device(options.device, options.threads)
    setup = Setup(folder, options.out, device, options.resume, options.tensorboard, options.places, limits)
    return _rehearse(recipe, setup) if options.dry_run else _train(recipe, setup, options.voice)


def _device(device: str, threads: int) -> str:
    """Set the number of threads and return the device's name for torch. Raises ``UsageError`` without CUDA."""
    import torch

    torch.set_num_threads(threads or usable_threads())
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device here")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _train(recipe: "Recipe", setup: "Setup", voice: Voice) -> int:
    from zipllm.train.run import run

    title = f"zipllm train: {recipe.name}, {recipe.start or recipe.preset}, {setup.folder}"
    leads = os.environ.get("RANK", "0") == "0"
    with TrainView(title, voice.level if leads else -1) as view:
        stopping = Stopping(setup.folder, view.stop, speaks=leads)
        view.stage = stopping.stage
        with stopping.watching():
            outcome = run(recipe, setup, view, lambda: bool(stopping.number))
    if stopping.number and outcome.path is None:
        stopping.say_what_is_saved()
        return 128 + stopping.number
    if outcome.path is not None:
        voice.tell(_summary(outcome))
    return 0


def _summary(outcome: "Outcome") -> str:
    assert outcome.path is not None
    assert outcome.exported is not None
    body, embedding = outcome.exported.model.config.parameter_counts()
    gap = outcome.exported.gap
    cost = "not measured (no validation data)" if gap is None else f"{gap.percent:+.2f} % bits"
    size = outcome.path.stat().st_size
    return f"{outcome.path}: {size:,} bytes, {body + embedding:,} parameters, cost of the integer form {cost}"


def _rehearse(recipe: "Recipe", setup: "Setup") -> int:
    """Try everything once; the model after two steps must code and decode a kilobyte."""
    import zipllm
    from zipllm.train.rehearsal import rehearse

    with scratch_folder("zipllm-") as scratch:
        found = rehearse(recipe, setup, scratch)
        sample = bytes(range(256)) * 4
        model = zipllm.load_model(found.path)
        if zipllm.decompress(zipllm.compress(sample, model=model), model=model) != sample:
            raise VerificationFailed("a kilobyte coded with the model of two steps did not come back")
        size = found.path.stat().st_size
    body, embedding = found.parameters
    say(f"dry run of {recipe.name}: data, two steps, checkpoint, export and a round trip work")
    say(f"  {body:,} parameters in the layers, {embedding:,} in the embeddings; model file about {size:,} bytes")
    say(
        f"  {found.step_seconds:.2f} s a step without torch.compile: the budget takes about "
        f"{found.expected_seconds / 60:,.0f} minutes and {found.expected_tokens / 1e6:,.1f} M tokens"
    )
    return 0
