"""``zipllm train``: from files to a model file that codes them well."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zipllm.cli import options
from zipllm.cli.messages import say
from zipllm.cli.train.recipe import Given, recipe_of, run_name
from zipllm.cli.train.view import TrainView
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError, VerificationFailed
from zipllm.files.signals import before_signal_exit

if TYPE_CHECKING:
    from zipllm.train.recipe import Recipe
    from zipllm.train.run import Outcome, Setup

_DATA = "Data and model"
_BUDGET = "Budget"
_SETTINGS = "Settings"

Data = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA...",
        help="Files, folders, 'patterns', -, enwik8[0:90M]; .gz .xz .bz2 .zst are opened.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="MODEL", help="Model file; else in the run's folder.", rich_help_panel=_DATA),
]
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
    list[str] | None,
    typer.Option("--valid", metavar="PATH", help="Validation data; else 1 document in 50.", rich_help_panel=_DATA),
]
Preset = Annotated[
    str | None, typer.Option("--preset", help="Shape: nano, tiny, small or base.", rich_help_panel=_DATA)
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="MODEL|RUN", help="Fine-tune this model or run.", rich_help_panel=_DATA),
]
Vocabulary = Annotated[
    int | None, typer.Option("--vocabulary", metavar="N", help="Tokens; 256 is bytes.", rich_help_panel=_DATA)
]
TokenizerOf = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="MODEL|JSON", help="Take its tokenizer, learn none.", rich_help_panel=_DATA),
]
Run = Annotated[
    Path | None,
    typer.Option("--run", "--run-dir", metavar="DIR", help="Folder; default runs/NAME.", rich_help_panel=_DATA),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint of the run.", rich_help_panel=_BUDGET)
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0, help="Training time; 10 by default.", rich_help_panel=_BUDGET)
]
Steps = Annotated[
    int | None, typer.Option("--steps", min=0, help="Budget in optimizer steps.", rich_help_panel=_BUDGET)
]
Tokens = Annotated[int | None, typer.Option("--tokens", min=0, help="Budget in tokens.", rich_help_panel=_BUDGET)]
Patience = Annotated[
    int | None,
    typer.Option("--patience", metavar="N", min=0, help="End after N evaluations no better.", rich_help_panel=_BUDGET),
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Of weights and data order.", rich_help_panel=_SETTINGS)
]
Precision = Annotated[
    Literal["auto", "bf16", "float32"] | None,
    typer.Option("--precision", help="Of the products in training.", rich_help_panel=_SETTINGS),
]
Compile = Annotated[
    Literal["auto", "on", "off"] | None,
    typer.Option("--compile", help="torch.compile; auto measures both.", rich_help_panel=_SETTINGS),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="As train.batch=8, model.window=64.", rich_help_panel=_SETTINGS),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write event files into the run as well.", rich_help_panel=_SETTINGS)
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Prepare the data, try everything once, estimate.", rich_help_panel=_SETTINGS),
]


def train(
    out: Out = None,
    data: Data = None,
    config: Config = None,
    data_dir: DataDir = None,
    valid: Valid = None,
    preset: Preset = None,
    start: From = None,
    vocabulary: Vocabulary = None,
    tokenizer: TokenizerOf = None,
    run: Run = None,
    resume: Resume = False,
    minutes: Minutes = None,
    steps: Steps = None,
    tokens: Tokens = None,
    patience: Patience = None,
    seed: Seed = None,
    precision: Precision = None,
    compile: Compile = None,
    settings: Set = None,
    tensorboard: TensorBoard = False,
    dry_run: DryRun = False,
    device: options.DeviceName = "auto",
    threads: options.Threads = 0,
    max_input: options.MaxInput = None,
    quiet: options.Quiet = 0,
) -> None:
    """Train a Transformer on DATA and write it as a model file.

    A run ends when its budget is used: 10 minutes unless --minutes, --steps or --tokens says otherwise (reading the
    data and exporting come on top). Ctrl-C saves a checkpoint; --resume goes on from it. Settings are taken from the
    recipe, then from --set, then from the other options. Several GPUs or machines: torchrun -m zipllm train ...
    """
    voice = Voice("train", 1 - quiet)
    given = Given(
        config,
        data_dir,
        data or [],
        valid or [],
        top={
            "preset": preset,
            "start": start,
            "vocabulary": vocabulary,
            "tokenizer": tokenizer,
        },
        train={
            "minutes": minutes,
            "steps": steps,
            "tokens": tokens,
            "patience": patience,
            "seed": seed,
            "precision": precision,
            "compile": compile,
        },
        settings=settings or [],
    )

    def work() -> int:
        from zipllm.data.local import Places
        from zipllm.data.unpack import UNPACKED_LIMIT
        from zipllm.train.run import Setup

        folder = run or Path("runs") / run_name(given, out)
        recipe = recipe_of(given, out, folder if resume else None)
        places = Places.default(data_dir)
        limit = UNPACKED_LIMIT if max_input is None else max_input
        setup = Setup(folder, out, _device(device, threads), resume, tensorboard, places, limit)
        return _rehearse(recipe, setup) if dry_run else _train(recipe, setup, voice)

    finish(voice, work)


def _device(device: str, threads: int) -> str:
    """Set the number of threads and return the device's name for torch. Raises ``UsageError`` without CUDA."""
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device here")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _train(recipe: "Recipe", setup: "Setup", voice: Voice) -> int:
    from zipllm.train.run import run

    title = f"zipllm train: {recipe.name}, {recipe.start or recipe.preset}, {setup.folder}"
    leads = os.environ.get("RANK", "0") == "0"
    with _interruptible() as interrupt, TrainView(title, voice.level if leads else -1) as view:
        outcome = run(recipe, setup, view, interrupt.seen)
    if interrupt.seen() and outcome.path is None:
        if leads:
            say(f"zipllm: interrupted; saved in {setup.folder}, go on with the same command and --resume")
        return 128 + interrupt.number
    if voice.level >= 1 and outcome.path is not None:
        say(_summary(outcome))
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
    """Try everything once; the model of two steps must give a kilobyte back."""
    import zipllm
    from zipllm.train.run import rehearse

    with (
        tempfile.TemporaryDirectory(prefix="zipllm-") as scratch,
        before_signal_exit(lambda: shutil.rmtree(scratch, ignore_errors=True)),
    ):
        found = rehearse(recipe, setup, Path(scratch))
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
