"""The options of ``zipllm bench``."""

from pathlib import Path

from zipllm.cli.options import RESULTS, DataOptions, Panel, ProgressOptions, QuietOptions, ThreadOptions, argument

_WHAT = Panel("What is measured")
_HOW = Panel("How")


class BenchOptions(DataOptions, ThreadOptions, ProgressOptions, QuietOptions, command="bench"):
    """Options of ``bench``."""

    inputs: list[str] | None = argument(
        metavar="CORPUS|FILE|FOLDER",
        help="Corpora (see zipllm data list), slices like enwik8[95M:100M], files; by default the bundled samples.",
        default=None,
    )
    codecs: str | None = _WHAT(
        "--codecs",
        metavar="LIST",
        help="Like gzip,xz:9e,zstd:19/long,zipllm:small; also copy, lz4, order0, order2, ngram, lstm. "
        "By default gzip, bzip2, xz, zstd, brotli, ppmd and zipllm.",
    )
    models: str | None = _WHAT("--models", metavar="LIST", help="Measure zipllm with each of these models.")
    suite: Path | None = _WHAT("--suite", metavar="TOML", help="Read inputs, codecs and repeats from a file.")
    programs: Path | None = _WHAT("--programs", metavar="TOML", help="External programs to use as codecs.")
    repeat: int | None = _HOW("--repeat", min=1, metavar="N", help="Time each N times; once by default.")
    timeout: float | None = _HOW("--timeout", min=0.1, metavar="SECONDS", help="Limit for one file in one direction.")
    along: bool = _HOW.switch("--along", help="Also code the beginnings of each file (slower).")
    rows: Path | None = RESULTS("--json", metavar="FILE", help="Rows as JSON lines, each as it is done.")
    resume: bool = RESULTS.switch("--resume", help="Keep the finished rows of --json and measure the rest.")
    csv: Path | None = RESULTS("--csv", metavar="FILE", help="Rows as CSV.")
    markdown: Path | None = RESULTS("--markdown", metavar="FILE", help="Tables as Markdown.")
    html: Path | None = RESULTS("--html", metavar="FILE", help="One page with figures.")
    figures: Path | None = RESULTS("--figures", metavar="DIR", help="Figures as SVG, PNG and CSV.")
    compare: Path | None = RESULTS("--compare", metavar="OLD.jsonl", help="Show changes since an earlier run.")
    force: bool = RESULTS.switch("-f", "--force", help="Overwrite results.")
