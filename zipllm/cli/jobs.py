"""A command over several files: open, work, commit, report; the worst exit code wins."""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from zipllm.cli.options import CodingOptions, ReadingOptions, WritingOptions
from zipllm.cli.progress import file_progress
from zipllm.cli.results import Result, StandardOutputError, total_line
from zipllm.errors import CorruptData, UsageError, ZipllmError
from zipllm.files.mirror import is_done, make_folders, mirrored
from zipllm.files.names import STDIN, PathError, check_suffix, has_suffix, means_stdin
from zipllm.files.output import create_output, is_standard_output, standard_output
from zipllm.files.source import Source, open_source, standard_input
from zipllm.files.walk import expand, skipped_line

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback, Summary

Work = Callable[[str, BinaryIO, BinaryIO | None, "ProgressCallback | None"], "Summary"]
"""Codes a source of some name into a sink (None: nowhere) and reports its progress."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a command does with each of its files, and where the results go.

    Attributes:
        size: finds the raw size of an open source, for the progress bar; None when unknown.
        remark: says, from a name and a summary, which of the flags had no effect; empty if all had one.
        derive_name: the result's path from the source's; None if nothing is written. Raises ``PathError`` where the
            source's suffix does not allow it.
        writes_archives: the results are archives, the sources anything else; False: the other way round.
        output: the path of the only result, or None to derive each from its source.
        stdout: all results go to standard output.
        output_dir: results go below this folder, in the folders of their sources.
        skip_existing: sources whose result is there are passed over.
        remove: remove each source once its result is safe.
    """

    options: CodingOptions
    work: Work
    size: Callable[[Source], int | None]
    remark: Callable[[str, "Summary"], str]
    derive_name: Callable[[str], str] | None = None
    writes_archives: bool = False
    output: str | None = None
    stdout: bool = False
    output_dir: str | None = None
    skip_existing: bool = False
    remove: bool = False

    def wants(self, path: str) -> bool:
        """Whether a file met in a folder is one for this command."""
        return has_suffix(path, self.options.suffix) != self.writes_archives

    def target(self, source: str) -> str | None:
        """Return where the result goes: a path, ``-`` for standard output, or None for nowhere.

        Raises:
            PathError: a name cannot be derived from the source's.
        """
        if self.derive_name is None:
            return None
        if self.stdout or (self.output is None and means_stdin(source)):
            return STDIN
        if self.output:
            return self.output
        name = self.derive_name(source)
        return name if self.output_dir is None else mirrored(name, self.output_dir)


def write_results(job: Job, options: WritingOptions) -> int:
    """Do the job with the results where the flags say. Raises ``UsageError`` if flags contradict each other."""
    output, stdout = options.output, options.stdout
    if output is not None:
        if stdout:
            raise UsageError("-o and -c exclude each other")
        if len(options.names) > 1 or (options.recursive and any(map(os.path.isdir, options.names))):
            raise UsageError("-o takes one input only; use -c to join several results")
        if is_standard_output(output):
            output, stdout = None, True
    if options.output_dir is not None and (stdout or output is not None or any(map(means_stdin, options.names))):
        raise UsageError("--output-dir takes its names from files; leave out -o, -c and standard input")
    if options.json and (stdout or (output is None and STDIN in options.names)):
        raise UsageError("--json and the data itself would both go to standard output; name the result with -o")
    return run_job(
        replace(
            job,
            output=output,
            stdout=stdout,
            output_dir=options.output_dir,
            skip_existing=options.skip_existing,
            remove=options.removes and not stdout,
        )
    )


def run_job(job: Job) -> int:
    """Do the job on every file, report each, and return the worst exit code; errors as in ``for_each``."""
    done, skipped, voice = list[Result](), list[str](), job.options.voice

    def process(name: str) -> None:
        target = job.target(name)
        if job.skip_existing and target not in (None, STDIN) and is_done(target, name):
            skipped.append(name)
            voice.skip(name, target)
            return
        done.append(_process(job, name, target))
        voice.report(done[-1])

    worst = for_each(job.options, job.wants, process)
    if any(result.summary.lost for result in done):  # written, and still damaged
        worst = max(worst, CorruptData.exit_code)
    if len(done) > 1 and not voice.json:
        voice.tell(total_line(done))
    if skipped and not voice.json:
        voice.tell(f"{len(skipped)} file{'s' if len(skipped) > 1 else ''} skipped : done already")
    return worst


def for_each(options: ReadingOptions, wanted: Callable[[str], bool], action: Callable[[str], None]) -> int:
    """Do something with every file that the arguments mean; report errors, go on, return the worst exit code.

    Raises:
        UsageError: the suffix cannot end a file name.
        BrokenPipeError, StandardOutputError: standard output cannot take the results, which ends the command.
    """
    check_suffix(options.suffix)
    worst, voice = 0, options.voice
    skipped = Counter[str]()
    for item in expand(
        options.names, recursive=options.recursive, follow=options.force, wanted=wanted, skipped=skipped
    ):
        if isinstance(item, PathError):
            worst = max(worst, voice.fail(item.name, item))
            continue
        try:
            action(item)
        except (BrokenPipeError, StandardOutputError):
            raise
        except (ZipllmError, OSError, MemoryError) as error:
            worst = max(worst, voice.fail(item, error))
    if skipped:
        voice.tell(f"zipllm: {skipped_line(skipped)}")
    return worst


def open_input(name: str, *, force: bool, writes_archive: bool = False, derives_name: bool = False) -> Source:
    """Open a path, or ``-``; with ``force`` also links, and a terminal even where an archive is read.

    If the command derives the result's name from the source's, the source must be a regular file, not a link.

    Raises:
        PathError: it cannot be read, or is of a kind that needs another flag.
    """
    if not means_stdin(name):
        return open_source(name, follow=force or not derives_name, special=not derives_name)
    if not writes_archive and not force and os.isatty(0):
        raise PathError("stdin", "is a terminal, compressed data not read", "name a file or use < FILE")
    return standard_input()


def _process(job: Job, name: str, target: str | None) -> Result:
    begun, force = time.monotonic(), job.options.force
    if target == STDIN and job.writes_archives and not force and os.isatty(1):
        raise PathError("stdout", "is a terminal, compressed data not written", "use -o FILE or > FILE, or -f")
    derives_name = target is not None and target != STDIN and job.output is None
    opened = open_input(name, force=force, writes_archive=job.writes_archives, derives_name=derives_name)
    voice = job.options.voice
    if target == STDIN and os.isatty(1):
        voice = replace(voice, progress=False)  # a bar would be drawn into the data
    with opened as source, contextlib.ExitStack() as stack:
        output = None
        if target is not None:
            if job.output_dir is not None:
                make_folders(target, name)
            created = standard_output() if target == STDIN else create_output(target, source, force=force)
            output = stack.enter_context(created)
        if job.remove:
            source.watch()
        with file_progress(voice, source.name, lambda: job.size(source)) as progress:
            summary = job.work(name, source.stream, None if output is None else output.stream, progress)
        if output is not None:
            output.commit()
            if job.remove and source.is_regular_file and output.keeps:
                source.remove()
    return Result(name, target, summary, time.monotonic() - begun, job.writes_archives, job.remark(name, summary))
