"""Several files, one after the other: open, work, commit, report; the worst exit code wins."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zipllm.cli.backend import Work
from zipllm.cli.messages import say
from zipllm.cli.options import FilePolicy
from zipllm.cli.results import Result, StandardOutputError, total_line
from zipllm.cli.voice import Voice
from zipllm.errors import CorruptData, ZipllmError
from zipllm.files.names import STDIN, PathError, add_suffix, has_suffix, strip_suffix
from zipllm.files.output import Output, create_output, standard_output
from zipllm.files.source import Source, open_source, standard_input
from zipllm.files.walk import expand

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback


@dataclass(frozen=True)
class Job:
    """What a command does with each of its files.

    Attributes:
        work: turns a source into a sink and reports its progress.
        size: finds the raw size of an open source, for the bar; None when unknown.
        policy: where results go.
        voice: what is said, and the command's name.
    """

    work: Work
    size: Callable[[Source], int | None]
    policy: FilePolicy
    voice: Voice

    def wants(self, path: str) -> bool:
        """Whether a file met in a folder is one for this command."""
        return has_suffix(path, self.policy.suffix) != (self.voice.command == "compress")

    def target(self, source: str) -> str | None:
        """Return where the result goes: a path, ``-`` for standard output, or None for nowhere.

        Raises:
            PathError: the source's name does not tell, because of its suffix.
        """
        if self.voice.command == "test":
            return None
        if self.policy.writes_stdout(source):
            return STDIN
        if self.policy.output is not None:
            return self.policy.output
        if self.voice.command == "compress":
            return add_suffix(source, self.policy.suffix, force=self.policy.force)
        return strip_suffix(source, self.policy.suffix)


def run_job(job: Job, files: Sequence[str]) -> int:
    """Do the job on every file, report each, and return the worst exit code; errors as in ``for_each``.

    A salvaged file is written, and counts as damaged nevertheless.
    """
    done: list[Result] = []

    def process(name: str) -> None:
        result = _process(job, name)
        job.voice.report(result)
        done.append(result)

    worst = for_each(files, job.wants, job.policy, job.voice, process)
    if any(result.summary.lost for result in done):
        worst = max(worst, CorruptData.exit_code)
    if len(done) > 1 and job.voice.level >= 1 and not job.voice.json:
        say(total_line(done))
    return worst


def for_each(
    files: Sequence[str],
    wanted: Callable[[str], bool],
    policy: FilePolicy,
    voice: Voice,
    action: Callable[[str], None],
) -> int:
    """Do something with every file that the arguments mean; tell of errors, go on, return the worst exit code.

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


def open_input(name: str, policy: FilePolicy, *, writes_archive: bool, derives_name: bool) -> Source:
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
    compressing = job.voice.command == "compress"
    target = job.target(name)
    if target == STDIN and compressing and not job.policy.force and os.isatty(1):
        raise PathError("stdout", "is a terminal, compressed data not written", "use -o FILE or > FILE, or -f")
    derives_name = target is not None and target != STDIN and job.policy.output is None
    with open_input(name, job.policy, writes_archive=compressing, derives_name=derives_name) as source:
        if target is None:
            with _bar(job, source, target) as progress:
                summary = job.work(source.stream, None, progress)
        else:
            with _create(target, source, job.policy) as output:
                with _bar(job, source, target) as progress:
                    summary = job.work(source.stream, output.stream, progress)
                output.commit()
                if job.policy.remove and source.is_regular_file and output.keeps:
                    source.remove()
    return Result(job.voice.command, name, target, summary, time.monotonic() - begun)


def _create(target: str, source: Source, policy: FilePolicy) -> Output:
    if target == STDIN:
        return standard_output()
    return create_output(target, source, force=policy.force)


@contextlib.contextmanager
def _bar(job: Job, source: Source, target: str | None) -> Iterator["ProgressCallback | None"]:
    to_terminal = target == STDIN and os.isatty(1)  # a bar would be drawn into the data
    quiet = not job.voice.progress or job.voice.level < 1
    if quiet or to_terminal or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from zipllm.cli.progress import progress_bar

    with progress_bar(source.name, job.size(source)) as progress:
        yield progress
