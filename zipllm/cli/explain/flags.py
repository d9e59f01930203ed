"""The options of ``zipllm explain``."""

from pathlib import Path
from typing import Literal

from zipllm.cli.options import RESULTS, MeasuringOptions, ModelOptions, Panel, Span, argument, parse_range

_WHAT = Panel("What is explained")


class ExplainOptions(ModelOptions, MeasuringOptions, command="explain"):
    """Options of ``explain``."""

    file: str = argument(metavar="FILE|-", help="A file of up to 256 KiB; - is standard input.")
    by: Literal["auto", "model", "history"] = _WHAT(
        "--by",
        help="Whose predictions: those that compress uses, the model's even where compress does without, or the "
        "history's alone. auto takes the model where compress uses a conventional codec.",
        default="auto",
    )
    no_history: bool = _WHAT.switch("--no-history", help="Use the model alone, without learning from the file.")
    part: Span | None = _WHAT(
        "--range",
        metavar="A:B",
        parser=parse_range,
        help="Only bytes A up to B, coded as a file of their own, without what precedes them.",
    )
    html: Path | None = RESULTS(
        "--html",
        metavar="FILE",
        help="Write a page instead; pointing at a token shows its bits, rank, probability and alternatives.",
    )
    json: bool = RESULTS.switch("--json", help="All numbers as one line of JSON on standard output.")
    force: bool = RESULTS.switch("-f", "--force", help="Overwrite the page.")
