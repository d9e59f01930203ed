"""``zipllm eval``: what data costs under a model, in the context that an archive gives it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from zipllm.cli.messages import display_name
from zipllm.cli.options import (
    DATA,
    DataOptions,
    DeviceOptions,
    LevelOptions,
    MeasuringOptions,
    PackedOptions,
    Panel,
    argument,
)
from zipllm.cli.progress import file_progress
from zipllm.cli.reports import scratch_folder
from zipllm.cli.results import print_json
from zipllm.codec.levels import encode_options
from zipllm.errors import UsageError
from zipllm.files.source import standard_input

if TYPE_CHECKING:
    from zipllm.cli.eval.results import Measured
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.measure.raw_inputs import RawInput

T = TypeVar("T")
_WHAT = Panel("What is measured")


class EvalOptions(LevelOptions, DeviceOptions, DataOptions, PackedOptions, MeasuringOptions, command="eval"):
    """Options of ``eval``."""

    model: str = argument(metavar="MODEL", help="Name, path or id; hf:FOLDER or hub:OWNER/NAME for Hugging Face.")
    data: list[str] = argument(
        metavar="DATA",
        help="Files and folders (.gz .xz .bz2 .zst are opened), corpora and slices like enwik8[95M:96M], or - for "
        "standard input.",
    )
    history: bool = _WHAT.switch(
        "--history", help="Also code the archive with adaptive prediction, and report its size; slower."
    )
    limit: int | None = DATA.size("--limit", help="Only the first SIZE bytes of each; 64K, 1M.")


def evaluate(options: EvalOptions) -> int:
    """Measure what DATA costs under MODEL, for each file and in all.

    Bits per byte, character and token; perplexities. The exact integer model predicts every token in the context that
    the token has in an archive, so the cost is the payload of compress --no-history. For a masked Hugging Face model,
    like BERT, the result is a pseudo-likelihood, which is not a code length.

    $ zipllm eval small notes.txt
    $ zipllm eval base 'enwik8[95M:96M]' --json
    """
    from zipllm.cli.eval.masked import evaluate_masked
    from zipllm.measure.raw_inputs import prepare_raw

    if options.limit == 0:
        raise UsageError("--limit must leave a byte at least")
    options.loader.check()
    if options.history and options.loader.is_masked:
        raise UsageError("--history writes archives, and a masked model cannot code one")
    coding = encode_options(
        options.level,
        block_size=options.block_size,
        lanes=options.lanes or None,
        same_machine=options.loader.is_huggingface,
    )
    with scratch_folder("zipllm-eval-") as folder:
        inputs = prepare_raw(
            options.data, options.places, folder, lambda: standard_input().stream, options.limit, options.unpacking
        )
        if options.loader.is_masked:
            return evaluate_masked(inputs, options.loader, options.voice)
        return _evaluate(inputs, coding, options)


def _evaluate(inputs: "Sequence[RawInput]", coding: "EncodeOptions", options: EvalOptions) -> int:
    from zipllm.cli.eval.results import evaluation_json, huggingface_setup, stored_setup
    from zipllm.cli.eval.table import print_evaluation

    loader, voice = options.loader, options.voice
    if loader.is_huggingface:
        engine = loader.engine() if options.history else loader.measuring_engine()
        setup = huggingface_setup(engine, loader.name, coding, options.limit)
    else:
        setup = stored_setup(loader.stored(), coding, options.limit)
        for raw in inputs:
            if reason := setup.contaminated(raw):
                voice.warn(f"{display_name(raw.name)}: {reason}")
        engine = loader.engine()
    files = []
    for raw in inputs:
        files.append(_measure(raw, engine, coding, options))
        if options.json:
            print_json(evaluation_json(files[-1:], setup, whole=False))
    if options.json:
        print_json(evaluation_json(files, setup, whole=True))
    elif voice.level >= 0:
        print_evaluation(files, setup)
    return 0


def _measure(raw: "RawInput", engine: "Engine", coding: "EncodeOptions", options: EvalOptions) -> "Measured":
    from zipllm.cli.eval.results import Measured, left_out_share
    from zipllm.measure.rates import archive_summary, evaluate_stream

    def run(measure: "Callable[..., T]") -> "T":
        bar = file_progress(options.voice, raw.name, lambda: raw.item.raw_bytes)
        with raw.item.path.open("rb") as source, bar as progress:
            return measure(source, engine, coding, progress)

    begun = time.monotonic()
    evaluation = run(evaluate_stream)
    measured = Measured(raw, evaluation, None, time.monotonic() - begun, left_out_share(engine))
    return replace(measured, archive=run(archive_summary)) if options.history else measured
