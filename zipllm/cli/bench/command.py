"""``zipllm bench``: codecs side by side, every archive decoded and compared."""

import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zipllm.cli.bench.flags import BenchOptions
from zipllm.cli.progress import shows_bars
from zipllm.cli.voice import Voice
from zipllm.errors import UsageError
from zipllm.files.signals import before_signal_exit
from zipllm.temporary import private_as

if TYPE_CHECKING:
    from zipllm.bench.inputs import BenchInput
    from zipllm.bench.protocol import Spec
    from zipllm.bench.result import Row
    from zipllm.bench.runner import RunOptions
    from zipllm.cli.bench.output import Outputs


def bench(options: BenchOptions) -> int:
    """Measure codecs on real files.

    Every archive is decoded by another process and compared. What does not come back is shown as a failure, never
    as a number, and the exit code is 1.

    $ zipllm bench                         # the bundled samples
    $ zipllm bench notes/ --codecs gzip,xz,zstd:19,zipllm --html report.html
    """
    from zipllm.bench.codecs import parse_codecs
    from zipllm.bench.environment import environment
    from zipllm.bench.external import read_programs
    from zipllm.bench.inputs import read_paths
    from zipllm.bench.runner import DEFAULT_TIMEOUT, RunOptions
    from zipllm.bench.suite import Suite, read_suite
    from zipllm.cli.bench.output import Outputs

    voice = options.voice
    if options.suite is None:
        plan = Suite(tuple(options.inputs or ["samples"]), options.codecs or _installed(voice), options.models)
    elif options.inputs or options.codecs or options.models:
        raise UsageError("a suite names its own inputs, codecs and models; give either --suite or those")
    else:
        plan = read_suite(options.suite)
    outputs = Outputs(options)
    outputs.check()
    external = read_programs(options.programs) if options.programs else {}
    specs = parse_codecs(plan.codecs, plan.models, tuple(external))
    run_options = RunOptions(
        repeat=options.repeat or plan.repeat,
        timeout=options.timeout or DEFAULT_TIMEOUT,
        threads=options.threads,
        along=options.along,
        programs=external,
        environment=environment(sys.argv[2:], options.threads),
    )
    with private_as(read_paths(plan.inputs, options.places)):
        rows = _measure(plan.inputs, specs, run_options, outputs)
        return _report(rows, outputs, voice)


def _measure(inputs: Sequence[str], specs: "Sequence[Spec]", run: "RunOptions", outputs: "Outputs") -> "list[Row]":
    """Measure what an earlier run has not, and return all rows in the order of the command line."""
    from zipllm.bench.inputs import prepare_inputs
    from zipllm.bench.process import give_up
    from zipllm.bench.runner import run_benchmark
    from zipllm.cli.bars import rows_bar

    options = outputs.options
    with tempfile.TemporaryDirectory(prefix="zipllm-bench-") as folder, before_signal_exit(lambda: give_up(folder)):
        files = prepare_inputs(inputs, options.places, Path(folder))
        rows = outputs.begin(files, specs)
        done = {row.key[:4] for row in rows}

        def skip(item: "BenchInput", spec: "Spec") -> bool:
            return (item.corpus, item.file, item.sha256, str(spec)) in done

        left = sum(not skip(item, spec) for item in files for spec in specs)
        if rows:
            options.voice.tell(f"zipllm: {len(rows)} finished rows kept, {left} left")
        with rows_bar(left, hidden=not shows_bars(options.voice)) as (begin, advance):
            for row in run_benchmark(files, specs, replace(run, scratch=Path(folder)), skip=skip, report=begin):
                rows.append(row)
                outputs.add(rows)
                advance()
    place = {(item.corpus, item.file): index for index, item in enumerate(files)}
    codec = {str(spec): index for index, spec in enumerate(specs)}
    return sorted(rows, key=lambda row: (codec.get(row.codec, 0), place.get((row.corpus, row.file), 0)))


def _report(rows: "Sequence[Row]", outputs: "Outputs", voice: Voice) -> int:
    """Print the results, then write what is better written at the end, and return the exit code."""
    from zipllm.bench.result import failures
    from zipllm.cli.bench.tables import print_tables

    if voice.level >= 0:
        print_tables(rows, outputs.old_rows())
    worst = outputs.end(rows)
    failed = list(failures(rows))
    for row in failed:
        voice.tell(f"zipllm: {row.codec} on {row.file}: {row.status}: {row.message}", 0)
    for reason in sorted({f"{row.codec} on {row.file}: {row.contaminated}" for row in rows if row.contaminated}):
        voice.warn(reason)
    return max(worst, bool(failed))


def _installed(voice: Voice) -> str:
    """Return the default codecs whose libraries are installed here."""
    from zipllm.bench.codecs import DEFAULT_CODECS, KINDS

    names = DEFAULT_CODECS.split(",")
    absent = [n for n in names if KINDS[n].package and importlib.util.find_spec(KINDS[n].package) is None]
    if absent:
        voice.tell(f"zipllm: without {', '.join(absent)}, not installed here (pip install 'zipllm[bench]')")
    return ",".join(name for name in names if name not in absent)
