"""``zipllm explain``: how many bits each token of a file cost, and why."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zipllm.cli import backend, options
from zipllm.cli.messages import say
from zipllm.cli.reports import check_report, replace_text
from zipllm.cli.results import print_json, write_stdout
from zipllm.cli.voice import Voice, finish
from zipllm.container.header import MAGIC
from zipllm.errors import LimitExceeded, UsageError, ZipllmError
from zipllm.files.names import STDIN, PathError, escape_name
from zipllm.files.source import Source, open_source, standard_input

if TYPE_CHECKING:
    from zipllm.codec.options import By
    from zipllm.measure.explanation import Explanation

_HOW = "What is explained"
_RESULTS = "Results"

File = Annotated[str, typer.Argument(metavar="FILE|-", help="A file of up to 256 KiB; - is standard input.")]
ByWhom = Annotated[
    Literal["auto", "model", "history"],
    typer.Option(
        "--by",
        help="Whose view: of what compress uses, of the model even where compress does without, of the history alone. "
        "auto takes the model where compress uses a conventional codec.",
        rich_help_panel=_HOW,
    ),
]
NoHistory = Annotated[
    bool, typer.Option("--no-history", help="The model alone, without learning from the file.", rich_help_panel=_HOW)
]
Part = Annotated[
    options.Span | None,
    typer.Option(
        "--range",
        metavar="A:B",
        parser=options.parse_range,
        help="Only bytes A up to B, coded as a file of their own: without what comes before them.",
        rich_help_panel=_HOW,
        show_default=False,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write a page to point at instead: bits, rank, probability and what was expected.",
        rich_help_panel=_RESULTS,
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("-f", "--force", help="Overwrite the page.", rich_help_panel=_RESULTS)]
Json = Annotated[
    bool, typer.Option("--json", help="All numbers as one line of JSON on standard output.", rich_help_panel=_RESULTS)
]


def explain(
    file: File,
    html: Html = None,
    json: Json = False,
    force: Overwrite = False,
    by: ByWhom = "auto",
    no_history: NoHistory = False,
    part: Part = None,
    model: options.ModelName = None,
    device: options.DeviceName = "auto",
    threads: options.Threads = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Show how many bits each token of FILE cost.

    FILE is compressed as by the compress command, and the bits are those of that archive: with its headers and
    checksums they add up to its size. In the terminal costs are colors, or with NO_COLOR and in a pipe the signs
    . - + # under the text.
    """
    voice = Voice("explain", 1 - quiet, progress=not no_progress, json=json)

    def run() -> int:
        if no_history and by == "history":
            raise UsageError("--by history and --no-history exclude each other")
        if part is not None and part.start == part.stop:
            raise UsageError(f"--range {part.start}:{part.stop} holds no bytes")
        if html is not None:
            check_report(html, force=force)
        machine = backend.Machine(model, device, threads)
        machine.check()
        try:
            explanation = _explain(file, part, by, machine, voice, history=not no_history)
        except (ZipllmError, OSError) as error:
            return voice.fail(file, error)
        _show(explanation, file, part, html, machine, voice)
        return 0

    finish(voice, run)


def _explain(
    file: str, part: options.Span | None, by: "By", machine: backend.Machine, voice: Voice, *, history: bool
) -> "Explanation":
    with _open(file) as source:
        raw = _read(source, part)
    with _bar(source.name, len(raw), voice) as step:
        return backend.explainer(machine, by, history=history)(raw, step)


def _open(file: str) -> Source:
    if os.path.isdir(file):
        raise PathError(file, "is a directory, not a file")
    if file != STDIN:
        return open_source(file, follow=True, special=True)
    if os.isatty(0):
        raise PathError("stdin", "is a terminal", "name a file or use < FILE")
    return standard_input()


def _read(source: Source, part: options.Span | None) -> bytes:
    """Return the bytes to explain.

    Raises:
        LimitExceeded: there are too many.
        PathError: there are none, or they are an archive.
    """
    from zipllm.codec.options import MOST_EXPLAINED

    start, stop = (part.start, part.stop) if part is not None else (0, None)
    _skip(source, start)
    wanted = MOST_EXPLAINED + 1 if stop is None else min(stop - start, MOST_EXPLAINED + 1)
    raw = source.stream.read(wanted)
    if len(raw) > MOST_EXPLAINED:
        part_of_it = f"--range {start}:{start + MOST_EXPLAINED}"
        raise LimitExceeded(
            f"more than {MOST_EXPLAINED >> 10} KiB cannot be explained at once; choose a part, as {part_of_it}"
        )
    if not raw and start:
        raise PathError(source.name, f"has no bytes from {start} on")
    if not raw:
        raise PathError(source.name, "is empty, there is nothing to explain")
    if start == 0 and raw.startswith(MAGIC):
        raise PathError(source.name, "is an archive", "explain takes the original file")
    return raw


def _skip(source: Source, count: int) -> None:
    """Read past the beginning; seeking would do for files, and reading does for pipes, too."""
    if source.is_regular_file:
        source.stream.seek(count)
        return
    while count > 0:
        passed = source.stream.read(min(count, 1 << 20))
        if not passed:
            return
        count -= len(passed)


@contextlib.contextmanager
def _bar(name: str, size: int, voice: Voice) -> Iterator[Callable[[float], None] | None]:
    if not voice.progress or voice.level < 1 or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from zipllm.cli.progress import progress_bar
    from zipllm.progress import Progress

    with progress_bar(name, size) as progress:
        yield lambda fraction: progress(Progress("encode", fraction * size, 0, 0))


def _show(
    explanation: "Explanation",
    file: str,
    part: options.Span | None,
    html: Path | None,
    machine: backend.Machine,
    voice: Voice,
) -> None:
    from zipllm.report.words import lead, note, sums

    name = "stdin" if file == STDIN else file
    model = machine.model_name if explanation.model_id is not None else None
    remarks = list(filter(None, (_range_note(part, len(explanation.raw)), note(explanation))))
    if html is not None:
        from zipllm.report.surprise import surprise_page

        replace_text(html, surprise_page(explanation, name, model, remarks))
    lines = [f"{name}: {lead(explanation, model)}", sums(explanation), *remarks] if voice.level >= 1 else []
    if voice.json:
        from zipllm.cli.explain.as_json import explanation_json

        print_json(explanation_json(explanation, file, part.start if part else 0))
    elif html is None:
        from zipllm.cli.explain.map import terminal_map

        write_stdout(
            terminal_map(explanation, legend=voice.level >= 1) + "".join(f"{escape_name(line)}\n" for line in lines)
        )
    else:
        for line in lines:
            say(line)


def _range_note(part: options.Span | None, size: int) -> str:
    if part is None:
        return ""
    which = f"bytes {part.start:,} to {part.start + size - 1:,}"
    return f"These are {which} of the file, coded as a file of their own, and counted from the first of them."
