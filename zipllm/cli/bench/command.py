"""``zipllm bench``: codecs side by side, every archive decoded and compared."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zipllm.cli import options
from zipllm.cli.messages import say
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError
from zipllm.files.signals import before_signal_exit

if TYPE_CHECKING:
    from zipllm.bench.inputs import BenchInput
    from zipllm.bench.result import Row
    from zipllm.bench.runner import RunOptions
    from zipllm.bench.spec import Spec
    from zipllm.cli.bench.output import Outputs

_WHAT = "What is measured"
_HOW = "How"
_RESULTS = "Results"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CORPUS|FILE|FOLDER]...",
        help="Corpora (see zipllm data list), slices as enwik8[95M:100M], files; none is the bundled samples.",
        show_default=False,
    ),
]
Codecs = Annotated[
    str | None,
    typer.Option(
        "--codecs",
        metavar="LIST",
        help="As gzip,xz:9e,zstd:19/long,zipllm:small; also copy, lz4, order0, order2, ngram, lstm. "
        "By default gzip, bzip2, xz, zstd, brotli, ppmd and zipllm.",
        rich_help_panel=_WHAT,
        show_default=False,
    ),
]
Models = Annotated[
    str | None,
    typer.Option("--models", metavar="LIST", help="Models a plain zipllm stands for.", rich_help_panel=_WHAT),
]
Suite = Annotated[
    Path | None,
    typer.Option("--suite", metavar="TOML", help="Inputs, codecs and repeats from a file.", rich_help_panel=_WHAT),
]
Programs = Annotated[
    Path | None,
    typer.Option("--programs", metavar="TOML", help="External programs to use as codecs.", rich_help_panel=_WHAT),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Local corpora; also $ZIPLLM_DATA_DIR.", rich_help_panel=_WHAT),
]
Repeat = Annotated[
    int | None,
    typer.Option("--repeat", min=1, metavar="N", help="Time each N times; once by default.", rich_help_panel=_HOW),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="For one file, one way.", rich_help_panel=_HOW),
]
Along = Annotated[
    bool, typer.Option("--along", help="Also code the beginnings of each file (slower).", rich_help_panel=_HOW)
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Rows as JSON lines, each as it is done.", rich_help_panel=_RESULTS),
]
ResumeRun = Annotated[
    bool, typer.Option("--resume", help="Keep the finished rows of --json, do the rest.", rich_help_panel=_RESULTS)
]
CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Rows as CSV.", rich_help_panel=_RESULTS)]
MarkdownFile = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Tables as Markdown.", rich_help_panel=_RESULTS)
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="One page with figures.", rich_help_panel=_RESULTS)
]
Figures = Annotated[
    Path | None,
    typer.Option("--figures", metavar="DIR", help="Figures as SVG, PNG and CSV.", rich_help_panel=_RESULTS),
]
Compare = Annotated[
    Path | None,
    typer.Option("--compare", metavar="OLD.jsonl", help="Show changes against a run.", rich_help_panel=_RESULTS),
]
Overwrite = Annotated[bool, typer.Option("-f", "--force", help="Overwrite results.", rich_help_panel=_RESULTS)]


def bench(
    inputs: Inputs = None,
    codecs: Codecs = None,
    models: Models = None,
    suite: Suite = None,
    programs: Programs = None,
    data_dir: DataDir = None,
    repeat: Repeat = None,
    timeout: Timeout = None,
    along: Along = False,
    threads: options.Threads = 0,
    json: JsonFile = None,
    resume: ResumeRun = False,
    csv: CsvFile = None,
    markdown: MarkdownFile = None,
    html: HtmlFile = None,
    figures: Figures = None,
    compare: Compare = None,
    force: Overwrite = False,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Measure codecs on real files.

    Every archive is decoded by another process and compared. What does not come back is shown as a failure, never
    as a number, and the exit code is 1.
    """
    voice = Voice("bench", 1 - quiet, progress=not no_progress)

    def run() -> int:
        from zipllm.bench.suite import Suite as Plan
        from zipllm.bench.suite import read_suite
        from zipllm.cli.bench.output import Outputs

        if suite is not None and (inputs or codecs or models):
            raise UsageError("a suite names its own inputs, codecs and models; give either --suite or those")
        plan = read_suite(suite) if suite else Plan(tuple(inputs or ["samples"]), codecs or _installed(voice), models)
        outputs = Outputs(json, csv, markdown, html, figures, compare, resume=resume, force=force)
        outputs.check()
        setup = _setup(plan.codecs, plan.models, programs, repeat or plan.repeat, timeout, threads, along)
        return _run(setup, plan.inputs, data_dir, outputs, voice)

    finish(voice, run)


@dataclass(frozen=True)
class _Setup:
    specs: "Sequence[Spec]"
    options: "RunOptions"


def _setup(
    codecs: str,
    models: str | None,
    programs: Path | None,
    repeat: int,
    timeout: float | None,
    threads: int,
    along: bool,
) -> _Setup:
    from zipllm.bench.codecs import parse_codecs
    from zipllm.bench.environment import environment
    from zipllm.bench.external import read_programs
    from zipllm.bench.runner import DEFAULT_TIMEOUT, RunOptions

    external = read_programs(programs) if programs else {}
    specs = parse_codecs(codecs, models, tuple(external))
    run_options = RunOptions(
        repeat=repeat,
        timeout=timeout or DEFAULT_TIMEOUT,
        threads=threads,
        along=along,
        programs=external,
        environment=environment(sys.argv[2:], threads),
    )
    return _Setup(specs, run_options)


def _run(setup: _Setup, arguments: Sequence[str], data_dir: Path | None, outputs: "Outputs", voice: Voice) -> int:
    from zipllm.bench.inputs import prepare_inputs
    from zipllm.bench.process import give_up
    from zipllm.bench.result import failures
    from zipllm.bench.runner import run_benchmark
    from zipllm.cli.bench.tables import print_tables
    from zipllm.data.local import Places

    with tempfile.TemporaryDirectory(prefix="zipllm-bench-") as folder, before_signal_exit(lambda: give_up(folder)):
        files = prepare_inputs(arguments, Places.default(data_dir), Path(folder))
        rows = outputs.begin(files, setup.specs)
        done = {row.key[:4] for row in rows}
        run_options = replace(setup.options, scratch=Path(folder))

        def skip(item: "BenchInput", spec: "Spec") -> bool:
            return (item.corpus, item.file, item.sha256, str(spec)) in done

        left = sum(not skip(item, spec) for item in files for spec in setup.specs)
        if rows and voice.level >= 1:
            say(f"zipllm: {len(rows)} finished rows kept, {left} left")
        with _bar(left, voice) as bar:
            for row in run_benchmark(files, setup.specs, run_options, skip=skip, report=bar.step):
                rows.append(row)
                outputs.add(row)
                bar.advance()
    rows = _in_order(rows, files, setup.specs)
    outputs.end(rows)
    if voice.level >= 0:
        print_tables(rows, outputs.old_rows())
    for row in failures(rows):
        if voice.level >= 0:
            say(f"zipllm: {row.codec} on {row.file}: {row.status}: {row.message}")
    for reason in sorted({f"{row.codec} on {row.file}: {row.contaminated}" for row in rows if row.contaminated}):
        if voice.level >= 0:
            say(f"zipllm: warning: {reason}")
    return 1 if failures(rows) else 0


def _in_order(rows: "Sequence[Row]", files: "Sequence[BenchInput]", specs: "Sequence[Spec]") -> "list[Row]":
    """Rows that were kept and new ones, as if all had been measured now."""
    place = {(item.corpus, item.file): index for index, item in enumerate(files)}
    codec = {str(spec): index for index, spec in enumerate(specs)}
    return sorted(rows, key=lambda row: (codec.get(row.codec, 0), place.get((row.corpus, row.file), 0)))


class SilentBar:
    """A bar that nobody sees."""

    def step(self, spec: "Spec", item: "BenchInput", what: str) -> None:
        """Take no notice."""

    def advance(self) -> None:
        """Take no notice."""


@contextlib.contextmanager
def _bar(total: int, voice: Voice) -> Iterator[SilentBar]:
    if not voice.progress or voice.level < 1 or sys.stderr is None or not sys.stderr.isatty():
        yield SilentBar()
        return
    from zipllm.cli.bench.progress import bench_bar

    with bench_bar(total) as bar:
        yield bar


def _installed(voice: Voice) -> str:
    """The default codecs, without those whose library is missing here; nobody asked for them by name."""
    import importlib.util

    from zipllm.bench.codecs import DEFAULT_CODECS, KINDS

    names = DEFAULT_CODECS.split(",")
    absent = [n for n in names if KINDS[n].package and importlib.util.find_spec(KINDS[n].package) is None]
    if absent and voice.level >= 1:
        say(f"zipllm: without {', '.join(absent)}, not installed here (pip install 'zipllm[bench]')")
    return ",".join(name for name in names if name not in absent)
