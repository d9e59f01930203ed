"""Several files, one after the other: open, work, commit, report; the worst exit code wins."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from zipllm.cli.options import WritingOptions
from zipllm.cli.progress import file_progress
from zipllm.cli.results import Result, StandardOutputError, total_line
from zipllm.cli.voice import Voice
from zipllm.errors import CorruptData, UsageError, ZipllmError
from zipllm.files.names import STDIN, SUFFIX, PathError, check_suffix, has_suffix
from zipllm.files.output import Output, create_output, is_standard_output, standard_output
from zipllm.files.source import Source, open_source, standard_input
from zipllm.files.walk import expand

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback, Summary

Work = Callable[[BinaryIO, BinaryIO | None, "ProgressCallback | None"], "Summary"]
"""Codes a source into a sink (None: nowhere) and reports its progress."""


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """Where results go and what may be touched on the way.

    Attributes:
        output: the name of the only result, or None to derive each from its source.
        stdout: all results go to standard output.
        force: overwrite, follow links, write compressed data to a terminal.
        remove: remove each source once its result is safe.
        recursive: walk folders.
        suffix: of archive names.

    Raises:
        UsageError: the suffix cannot end a file name.
    """

    output: str | None = None
    stdout: bool = False
    force: bool = False
    remove: bool = False
    recursive: bool = False
    suffix: str = SUFFIX

    def __post_init__(self) -> None:
        check_suffix(self.suffix)

    def writes_stdout(self, source: str) -> bool:
        """Whether the result of this source goes to standard output."""
        return self.stdout or (self.output is None and source == STDIN)


def writing_policy(options: WritingOptions) -> FilePolicy:
    """Return the policy of a command that writes results.

    Raises:
        UsageError: flags contradict each other.
    """
    output, stdout = options.output, options.stdout
    if output is not None:
        if stdout:
            raise UsageError("-o and -c exclude each other")
        if len(options.names) > 1 or (options.recursive and any(map(os.path.isdir, options.names))):
            raise UsageError("-o takes one input only; use -c to join several results")
        if is_standard_output(output):
            output, stdout = None, True
    policy = FilePolicy(
        output=output,
        stdout=stdout,
        force=options.force,
        remove=options.removes and not stdout,
        recursive=options.recursive,
        suffix=options.suffix,
    )
    if options.json and any(map(policy.writes_stdout, options.names)):
        raise UsageError("--json and the data itself would both go to standard output; name the result with -o")
    return policy


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a command does with each of its files.

    Attributes:
        work: turns a source into a sink and reports its progress.
        size: finds the raw size of an open source, for the bar; None when unknown.
        policy: where results go.
        voice: what is said, and the command's name.
        derive_name: the result's path from the source's; None if nothing is written. Raises ``PathError`` where the
            source's suffix does not allow it.
        writes_archives: the results are archives, the sources anything else; False: the other way round.
    """

    work: Work
    size: Callable[[Source], int | None]
    policy: FilePolicy
    voice: Voice
    derive_name: Callable[[str], str] | None = None
    writes_archives: bool = False

    def wants(self, path: str) -> bool:
        """Whether a file met in a folder is one for this command."""
        return has_suffix(path, self.policy.suffix) != self.writes_archives

    def target(self, source: str) -> str | None:
        """Return where the result goes: a path, ``-`` for standard output, or None for nowhere.

        Raises:
            PathError: a name cannot be derived from the source's.
        """
        if self.derive_name is None:
            return None
        return STDIN if self.policy.writes_stdout(source) else self.policy.output or self.derive_name(source)


def run_job(job: Job, files: Sequence[str]) -> int:
    """Do the job on every file, report each, and return the worst exit code; errors as in ``for_each``.

    A salvaged file is written, and still counts as damaged.
    """
    done: list[Result] = []

    def process(name: str) -> None:
        result = _process(job, name)
        job.voice.report(result)
        done.append(result)

    worst = for_each(files, job.wants, job.policy, job.voice, process)
    if any(result.summary.lost for result in done):
        worst = max(worst, CorruptData.exit_code)
    if len(done) > 1 and not job.voice.json:
        job.voice.tell(total_line(done))
    return worst


def for_each(
    files: Sequence[str],
    wanted: Callable[[str], bool],
    policy: FilePolicy,
    voice: Voice,
    action: Callable[[str], None],
) -> int:
    """Do something with every file that the arguments mean; report errors, go on, return the worst exit code.

    Raises:
        BrokenPipeError: nobody reads standard output any more; there is nothing left to do.
        StandardOutputError: standard output cannot take the results.
    """
    worst = 0
    for item in expand(files, recursive=policy.recursive, follow=policy.force, wanted=wanted):
        name = item.name if isinstance(item, PathError) else item
        try:
            if isinstance(item, PathError):
                raise item
            action(item)
        except (BrokenPipeError, StandardOutputError):
            raise
        except (ZipllmError, OSError, MemoryError) as error:
            worst = max(worst, voice.fail(name, error))
    return worst


def open_input(name: str, policy: FilePolicy, *, writes_archive: bool = False, derives_name: bool = False) -> Source:
    """Open one input of a command.

    Args:
        name: a path, or ``-``.
        policy: whether force is used.
        writes_archive: raw data is read; an archive would not come from a terminal.
        derives_name: the result is named after the source, which therefore must be a regular file, not a link.

    Raises:
        PathError: it cannot be read, or is of a kind that needs another flag.
    """
    if name != STDIN:
        return open_source(name, follow=policy.force or not derives_name, special=not derives_name)
    if not writes_archive and not policy.force and os.isatty(0):
        raise PathError("stdin", "is a terminal, compressed data not read", "name a file or use < FILE")
    return standard_input()


def _process(job: Job, name: str) -> Result:
    begun = time.monotonic()
    policy, target = job.policy, job.target(name)
    if target == STDIN and job.writes_archives and not policy.force and os.isatty(1):
        raise PathError("stdout", "is a terminal, compressed data not written", "use -o FILE or > FILE, or -f")
    derives_name = target is not None and target != STDIN and policy.output is None
    with open_input(name, policy, writes_archive=job.writes_archives, derives_name=derives_name) as source:
        if target is None:
            with _progress(job, source, target) as progress:
                summary = job.work(source.stream, None, progress)
        else:
            with _create(target, source, policy) as output:
                with _progress(job, source, target) as progress:
                    summary = job.work(source.stream, output.stream, progress)
                output.commit()
                if policy.remove and source.is_regular_file and output.keeps:
                    source.remove()
    return Result(name, target, summary, time.monotonic() - begun, job.writes_archives)


def _create(target: str, source: Source, policy: FilePolicy) -> Output:
    return standard_output() if target == STDIN else create_output(target, source, force=policy.force)


@contextlib.contextmanager
def _progress(job: Job, source: Source, target: str | None) -> Iterator["ProgressCallback | None"]:
    if target == STDIN and os.isatty(1):  # a bar would be drawn into the data
        yield None
        return
    with file_progress(job.voice, source.name, lambda: job.size(source)) as progress:
        yield progress
