"""The options of ``zipllm bench``."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from zipllm.cli.options import DataOptions, NoProgress, Overwrite, QuietOptions, Threads, result_flag
from zipllm.cli.voice import Voice

_what_flag = partial(typer.Option, rich_help_panel="What is measured")
_how_flag = partial(typer.Option, rich_help_panel="How")


@dataclass(frozen=True, kw_only=True)
class BenchOptions(DataOptions, QuietOptions):
    """Options of ``bench``."""

    command = "bench"

    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CORPUS|FILE|FOLDER]...",
            help="Corpora (see zipllm data list), slices like enwik8[95M:100M], files; by default the bundled samples.",
        ),
    ] = None
    codecs: Annotated[
        str | None,
        _what_flag(
            "--codecs",
            metavar="LIST",
            help="Like gzip,xz:9e,zstd:19/long,zipllm:small; also copy, lz4, order0, order2, ngram, lstm. "
            "By default gzip, bzip2, xz, zstd, brotli, ppmd and zipllm.",
        ),
    ] = None
    models: Annotated[
        str | None, _what_flag("--models", metavar="LIST", help="Measure zipllm with each of these models.")
    ] = None
    suite: Annotated[
        Path | None, _what_flag("--suite", metavar="TOML", help="Read inputs, codecs and repeats from a file.")
    ] = None
    programs: Annotated[
        Path | None, _what_flag("--programs", metavar="TOML", help="External programs to use as codecs.")
    ] = None
    repeat: Annotated[
        int | None, _how_flag("--repeat", min=1, metavar="N", help="Time each N times; once by default.")
    ] = None
    timeout: Annotated[
        float | None, _how_flag("--timeout", min=0.1, metavar="SECONDS", help="Limit for one file in one direction.")
    ] = None
    along: Annotated[bool, _how_flag("--along", help="Also code the beginnings of each file (slower).")] = False
    threads: Threads = 0
    json: Annotated[
        Path | None, result_flag("--json", metavar="FILE", help="Rows as JSON lines, each as it is done.")
    ] = None
    resume: Annotated[bool, result_flag("--resume", help="Keep the finished rows of --json and measure the rest.")] = (
        False
    )
    csv: Annotated[Path | None, result_flag("--csv", metavar="FILE", help="Rows as CSV.")] = None
    markdown: Annotated[Path | None, result_flag("--markdown", metavar="FILE", help="Tables as Markdown.")] = None
    html: Annotated[Path | None, result_flag("--html", metavar="FILE", help="One page with figures.")] = None
    figures: Annotated[Path | None, result_flag("--figures", metavar="DIR", help="Figures as SVG, PNG and CSV.")] = None
    compare: Annotated[
        Path | None, result_flag("--compare", metavar="OLD.jsonl", help="Show changes since an earlier run.")
    ] = None
    force: Overwrite = False
    no_progress: NoProgress = False

    @property
    def voice(self) -> Voice:
        return Voice(self.command, 1 - self.quiet, progress=not self.no_progress)
