"""``zipllm eval``: what data costs under a model, in the context that an archive gives it."""

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zipllm.cli import backend, options
from zipllm.cli.messages import say
from zipllm.cli.results import print_json
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError
from zipllm.files.names import STDIN
from zipllm.files.signals import before_signal_exit
from zipllm.files.source import standard_input

if TYPE_CHECKING:
    from zipllm.cli.eval.results import Measured, Setup
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.measure.raw_inputs import RawInput
    from zipllm.progress import ProgressCallback

_CONTEXT = "Context, as of compress"
_DATA = "Data"

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name, path or id; hf:FOLDER, hub:OWNER/NAME.", show_default=False)
]
Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA",
        help="Files and folders (.gz .xz .bz2 .zst are opened), corpora and slices as enwik8[95M:96M], "
        "or - for standard input.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="SIZE",
        parser=options.parse_size,
        help="Only the first SIZE bytes of each; 64K, 1M.",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Local corpora; also $ZIPLLM_DATA_DIR.", rich_help_panel=_DATA),
]
History = Annotated[
    bool,
    typer.Option(
        "--history", help="Also write the archive with adaptive prediction (to nowhere) and tell its size; slower."
    ),
]
Level = Annotated[
    int,
    typer.Option(
        "--level", min=1, max=9, metavar="1-9", help="Of the archive; sets blocks and lanes.", rich_help_panel=_CONTEXT
    ),
]
Lanes = Annotated[
    int,
    typer.Option("--lanes", min=0, metavar="N", help="Streams a block; 0 is by size.", rich_help_panel=_CONTEXT),
]
BlockSize = Annotated[
    int | None,
    typer.Option(
        "--block-size",
        metavar="SIZE",
        parser=options.parse_size,
        help="Bytes coded together; by default the level's.",
        rich_help_panel=_CONTEXT,
        show_default=False,
    ),
]


def evaluate(
    model: Model,
    data: Data,
    history: History = False,
    limit: Limit = None,
    data_dir: DataDir = None,
    level: Level = 6,
    lanes: Lanes = 0,
    block_size: BlockSize = None,
    device: options.DeviceName = "auto",
    threads: options.Threads = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
    json: options.Json = False,
) -> None:
    """Tell what DATA costs under MODEL, by file and in all.

    Bits per byte, character and token; perplexities. Every token is predicted by the exact integer model in the
    context it has in an archive, so the cost is the payload of compress --no-history. hf:FOLDER names a Hugging Face
    model, hub:OWNER/NAME fetches one; of a masked one, as BERT, the pseudo-likelihood is told, which is no code length.
    """
    voice = Voice("eval", 1 - quiet, progress=not no_progress, json=json)

    def run() -> int:
        if limit == 0:
            raise UsageError("--limit must leave a byte at least")
        machine = backend.Machine(model, device, threads)
        settings = backend.CompressSettings(level=level, lanes=lanes, block_size=block_size)
        return _run(machine, settings, _Wanted(tuple(data), data_dir, limit, history), voice)

    finish(voice, run)


@dataclass(frozen=True)
class _Wanted:
    """What is evaluated: arguments, where corpora lie, bytes of each, and whether archives are written, too."""

    data: tuple[str, ...]
    data_dir: Path | None
    limit: int | None
    history: bool


def _run(machine: backend.Machine, settings: backend.CompressSettings, wanted: _Wanted, voice: Voice) -> int:
    from zipllm.data.local import Places
    from zipllm.measure.raw_inputs import prepare_raw

    machine.check()
    chosen = backend.evaluation_options(settings, same_machine=machine.is_huggingface)
    with _folder() as folder:
        places = Places.default(wanted.data_dir)
        inputs = prepare_raw(wanted.data, places, folder, lambda: standard_input().stream, wanted.limit)
        if machine.is_masked:
            from zipllm.cli.eval.masked import evaluate_masked

            return evaluate_masked(inputs, machine, history=wanted.history, voice=voice)
        return _causal(inputs, machine, chosen, wanted, voice)


def _causal(
    inputs: "Sequence[RawInput]", machine: backend.Machine, chosen: "EncodeOptions", wanted: _Wanted, voice: Voice
) -> int:
    from zipllm.cli.eval.results import Setup, evaluation_json, stored_subject, total_json
    from zipllm.cli.eval.table import print_evaluation

    if machine.is_huggingface:
        from zipllm.cli.eval.huggingface import huggingface_subject

        engine = machine.engine() if wanted.history else machine.measuring_engine()
        setup = Setup(huggingface_subject(engine, machine.model_name), chosen, wanted.limit)
    else:
        setup = Setup(stored_subject(machine.stored()), chosen, wanted.limit)
        _warn(inputs, setup, voice)
        engine = machine.engine()
    files = []
    for raw in inputs:
        files.append(_measure(raw, engine, setup, history=wanted.history, voice=voice))
        if voice.json:
            print_json(evaluation_json(files[-1], setup))
    if voice.json:
        print_json(total_json(files, setup))
    elif voice.level >= 0:
        print_evaluation(files, setup)
    return 0


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the raw bytes, which a signal removes, too."""
    with (
        tempfile.TemporaryDirectory(prefix="zipllm-eval-") as folder,
        before_signal_exit(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        yield Path(folder)


def _warn(inputs: "Sequence[RawInput]", setup: "Setup", voice: Voice) -> None:
    if voice.level >= 0:
        for raw in inputs:
            if reason := setup.contaminated(raw):
                say(f"zipllm: warning: {'stdin' if raw.name == STDIN else raw.name}: {reason}")


def _measure(raw: "RawInput", engine: "Engine", setup: "Setup", *, history: bool, voice: Voice) -> "Measured":
    from zipllm.cli.eval.huggingface import left_out_share
    from zipllm.cli.eval.results import Measured
    from zipllm.measure.evaluate import archive_summary, evaluate_stream

    begun = time.monotonic()
    with raw.item.path.open("rb") as source, bar(raw, voice) as progress:
        evaluation = evaluate_stream(source, engine, setup.options, progress)
    measured = Measured(raw, evaluation, None, time.monotonic() - begun, left_out_share(engine))
    if not history:
        return measured
    with raw.item.path.open("rb") as source, bar(raw, voice) as progress:
        return replace(measured, archive=archive_summary(source, engine, setup.options, progress))


@contextlib.contextmanager
def bar(raw: "RawInput", voice: Voice) -> "Iterator[ProgressCallback | None]":
    """Show how far the work on an input is, if it is to be shown."""
    if not voice.progress or voice.level < 1 or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from zipllm.cli.progress import progress_bar

    with progress_bar("stdin" if raw.name == STDIN else raw.name, raw.item.raw_bytes) as progress:
        yield progress
