"""The options of ``zipllm classify``."""

from pathlib import Path
from typing import Literal

from zipllm.cli.options import DATA, RESULTS, MeasuringOptions, PackedOptions, Panel, ThreadOptions, argument

_HOW = Panel("How labels are found")


class ClassifyOptions(ThreadOptions, PackedOptions, MeasuringOptions, command="classify"):
    """Options of ``classify``."""

    train: Path = argument(
        metavar="TRAIN",
        help="Texts with labels: JSON lines with text and label (.gz .xz .bz2 .zst are opened), or a folder with a "
        "folder for each label.",
    )
    test: Path = argument(metavar="TEST", help="Texts to be labeled, in the same form.")
    method: Literal["class", "ncd"] = _HOW(
        "--method",
        help="class: give a text the label whose training texts compress it best; ncd: let the nearest texts by "
        "normalized compression distance vote.",
        default="class",
    )
    codecs: str | None = _HOW(
        "--codec",
        metavar="LIST",
        help="Like zipllm:3 (the history alone), zipllm, zipllm:small/history=off, ppmd:6, zstd:19, gzip:9; for "
        "ncd any codec of zipllm bench. By default zipllm:3, for ncd gzip:9.",
    )
    neighbors: str = _HOW("-k", metavar="LIST", help="With ncd: how many nearest texts vote, like 1,2,5.", default="1")
    fine_tune: int = _HOW(
        "--fine-tune",
        min=0,
        metavar="STEPS",
        help="With class: train zipllm's model for this many steps on each class first.",
        default=0,
    )
    limit_train: int | None = DATA("--limit-train", min=1, metavar="N", help="Take N texts of TRAIN, at random.")
    limit_test: int | None = DATA("--limit-test", min=1, metavar="N", help="Take N texts of TEST, at random.")
    seed: int = DATA("--seed", min=0, metavar="N", help="Seed of these random choices.", default=0)
    confusion: bool = RESULTS.switch("--confusion", help="Show which labels are taken for which.")
    no_baselines: bool = RESULTS.switch(
        "--no-baselines",
        help="Leave out the most frequent label and TF-IDF with logistic regression, which needs scikit-learn.",
    )
