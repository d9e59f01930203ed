"""``zipllm explain``: how many bits each token of a file cost, and why."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zipllm.cli.messages import display_name
from zipllm.cli.options import RESULTS, MeasuringOptions, ModelOptions, Panel, Span, argument
from zipllm.cli.progress import fraction_progress
from zipllm.cli.reports import check_report, replace_text
from zipllm.cli.results import print_json, write_stdout
from zipllm.codec.levels import encode_options
from zipllm.container.header import MAGIC
from zipllm.errors import LimitExceeded, UsageError, ZipllmError
from zipllm.files.names import PathError, means_stdin
from zipllm.files.source import Source, open_source, standard_input
from zipllm.temporary import private_as

if TYPE_CHECKING:
    from zipllm.measure.explanation import Explanation

_WHAT = Panel("What is explained")


class ExplainOptions(ModelOptions, MeasuringOptions, command="explain"):
    """Options of ``explain``."""

    file: str = argument(metavar="FILE|-", help="A file of up to 256 KiB; - is standard input.")
    by: Literal["auto", "model", "history"] = _WHAT(
        "--by",
        help="Whose predictions: those that compress uses, the model's even where compress does without, or the "
        "history's alone. auto takes the model where compress uses a conventional codec.",
        default="auto",
    )
    no_history: bool = _WHAT.switch("--no-history", help="Use the model alone, without learning from the file.")
    part: Span | None = _WHAT.span("Only bytes A up to B, coded as a file of their own, without what precedes them.")
    html: Path | None = RESULTS(
        "--html",
        metavar="FILE",
        help="Write a page instead; pointing at a token shows its bits, rank, probability and alternatives.",
    )
    json: bool = RESULTS.switch("--json", help="All numbers as one line of JSON on standard output.")
    force: bool = RESULTS.switch("-f", "--force", help="Overwrite the page.")


def explain(options: ExplainOptions) -> int:
    """Show how many bits each token of FILE costs.

    FILE is compressed as by the compress command, and the bits are those of that archive: with its headers and
    checksums they add up to its size. On a terminal, colors show the costs; with NO_COLOR and in a pipe, the signs
    . - + # under the text.

    $ zipllm explain notes.txt
    $ zipllm explain notes.txt --range :10K --html notes.html
    """
    part = options.part
    if options.no_history and options.by == "history":
        raise UsageError("--by history and --no-history exclude each other")
    if part is not None and part.start == part.stop:
        raise UsageError(f"--range {part.start}:{part.stop} holds no bytes")
    if options.html is not None:
        check_report(options.html, force=options.force)
    options.loader.check()
    try:
        explanation = _explain(options)
    except (ZipllmError, OSError) as error:
        return options.voice.fail(options.file, error)
    _show(explanation, options)
    return 0


def _explain(options: ExplainOptions) -> "Explanation":
    """Explain the file as ``compress`` codes it at its default level."""
    with _open(options.file) as source:
        raw = _read(source, options.part)
    from zipllm.measure.explanation import explain_bytes

    loader = options.loader
    coding = encode_options(history=not options.no_history, same_machine=loader.is_huggingface)
    with fraction_progress(options.voice, source.name, len(raw)) as advance:
        return explain_bytes(raw, loader.engine, by=options.by, options=coding, step=advance)


def _open(file: str) -> Source:
    if os.path.isdir(file):
        raise PathError(file, "is a directory, not a file")
    if not means_stdin(file):
        return open_source(file, follow=True, special=True)
    if os.isatty(0):
        raise PathError("stdin", "is a terminal", "name a file or use < FILE")
    return standard_input()


def _read(source: Source, part: Span | None) -> bytes:
    """Return the bytes to explain: some, not too many, and no archive."""
    from zipllm.codec.options import MOST_EXPLAINED

    start, stop = (part.start, part.stop) if part is not None else (0, None)
    _skip(source, start)
    raw = source.stream.read(MOST_EXPLAINED + 1 if stop is None else min(stop - start, MOST_EXPLAINED + 1))
    if len(raw) > MOST_EXPLAINED:
        part_of_it, most = f"--range {start}:{start + MOST_EXPLAINED}", f"{MOST_EXPLAINED >> 10} KiB"
        raise LimitExceeded(f"more than {most} cannot be explained at once; choose a part, such as {part_of_it}")
    if not raw:
        lack = f"has no bytes from {start} on" if start else "is empty, there is nothing to explain"
        raise PathError(source.name, lack)
    if start == 0 and raw.startswith(MAGIC):
        raise PathError(source.name, "is an archive", "explain takes the original file")
    return raw


def _skip(source: Source, count: int) -> None:
    """Go past the beginning: seek in a file, read from a pipe."""
    if source.is_regular_file:
        source.stream.seek(count)
        return
    while count > 0 and (passed := source.stream.read(min(count, 1 << 20))):
        count -= len(passed)


def _show(explanation: "Explanation", options: ExplainOptions) -> None:
    from zipllm.report.words import headline, lead, note, sums

    voice, part, name = options.voice, options.part, display_name(options.file)
    model = options.loader.name if explanation.model_id is not None else None
    remarks = list(filter(None, (_range_note(part, len(explanation.raw)), note(explanation))))
    if options.html is not None:
        from zipllm.bench.environment import command_line
        from zipllm.report.surprise import surprise_page

        command = command_line("zipllm explain", sys.argv[2:])
        page = surprise_page(explanation, os.path.basename(name), model, remarks, command)
        with private_as([0 if means_stdin(options.file) else Path(options.file)]):
            replace_text(options.html, page)
    lines = [f"{name}: {headline(explanation)}. {lead(explanation, model)}", sums(explanation), *remarks]
    if voice.level < 1:
        lines = []
    if options.json:
        from zipllm.cli.explain.as_json import explanation_json

        print_json(explanation_json(explanation, options.file, part.start if part else 0))
    elif options.html is None:
        from zipllm.cli.explain.map import terminal_map
        from zipllm.cli.tables import print_parts

        write_stdout(terminal_map(explanation, legend=voice.level >= 1))
        print_parts(lines)
    else:
        for line in lines:
            voice.tell(line)


def _range_note(part: Span | None, size: int) -> str:
    if part is None:
        return ""
    which = f"bytes {part.start:,} to {part.start + size - 1:,}"
    return f"These are {which} of the file, coded as a file of their own, and counted from the first of them."
