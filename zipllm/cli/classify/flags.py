"""The options of ``zipllm classify``."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from zipllm.cli.options import MeasuringOptions, Threads, data_flag, result_flag

_how_flag = partial(typer.Option, rich_help_panel="How labels are found")


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(MeasuringOptions):
    """Options of ``classify``."""

    command = "classify"

    train: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN",
            help="Texts with labels: JSON lines with text and label (.gz .xz .bz2 .zst are opened), or a folder with a "
            "folder for each label.",
        ),
    ]
    test: Annotated[Path, typer.Argument(metavar="TEST", help="Texts to be labeled, in the same form.")]
    method: Annotated[
        Literal["class", "ncd"],
        _how_flag(
            "--method",
            help="class: give a text the label whose training texts compress it best; ncd: let the nearest texts by "
            "normalized compression distance vote.",
        ),
    ] = "class"
    codecs: Annotated[
        str | None,
        _how_flag(
            "--codec",
            metavar="LIST",
            help="Like zipllm:3 (the history alone), zipllm, zipllm:small/history=off, ppmd:6, zstd:19, gzip:9; for "
            "ncd any codec of zipllm bench. By default zipllm:3, for ncd gzip:9.",
        ),
    ] = None
    neighbors: Annotated[
        str, _how_flag("-k", metavar="LIST", help="With ncd: how many nearest texts vote, like 1,2,5.")
    ] = "1"
    fine_tune: Annotated[
        int,
        _how_flag(
            "--fine-tune",
            min=0,
            metavar="STEPS",
            help="With class: train zipllm's model for this many steps on each class first.",
        ),
    ] = 0
    limit_train: Annotated[
        int | None, data_flag("--limit-train", min=1, metavar="N", help="Take N texts of TRAIN, at random.")
    ] = None
    limit_test: Annotated[
        int | None, data_flag("--limit-test", min=1, metavar="N", help="Take N texts of TEST, at random.")
    ] = None
    seed: Annotated[int, data_flag("--seed", min=0, metavar="N", help="Seed of these random choices.")] = 0
    confusion: Annotated[bool, result_flag("--confusion", help="Show which labels are taken for which.")] = False
    no_baselines: Annotated[
        bool,
        result_flag("--no-baselines", help="Leave out the most frequent label and TF-IDF with logistic regression."),
    ] = False
    threads: Threads = 0
