"""The options of ``zipllm explain``."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from zipllm.cli.options import MeasuringOptions, ModelOptions, Overwrite, Span, parse_range, result_flag

_what_flag = partial(typer.Option, rich_help_panel="What is explained")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(ModelOptions, MeasuringOptions):
    """Options of ``explain``."""

    command = "explain"

    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A file of up to 256 KiB; - is standard input.")]
    by: Annotated[
        Literal["auto", "model", "history"],
        _what_flag(
            "--by",
            help="Whose predictions: those that compress uses, the model's even where compress does without, or the "
            "history's alone. auto takes the model where compress uses a conventional codec.",
        ),
    ] = "auto"
    no_history: Annotated[
        bool, _what_flag("--no-history", help="Use the model alone, without learning from the file.")
    ] = False
    part: Annotated[
        Span | None,
        _what_flag(
            "--range",
            metavar="A:B",
            parser=parse_range,
            help="Only bytes A up to B, coded as a file of their own, without what precedes them.",
        ),
    ] = None
    html: Annotated[
        Path | None,
        result_flag(
            "--html",
            metavar="FILE",
            help="Write a page instead; pointing at a token shows its bits, rank, probability and alternatives.",
        ),
    ] = None
    json: Annotated[bool, result_flag("--json", help="All numbers as one line of JSON on standard output.")] = False
    force: Overwrite = False
