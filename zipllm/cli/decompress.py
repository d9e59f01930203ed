"""``zipllm decompress``: give back the original files."""

from typing import Annotated

import typer

from zipllm.cli import backend, options
from zipllm.cli.jobs import Job, run_job
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError
from zipllm.files.names import SUFFIX

_PARTS = "Parts and damage"


def decompress(
    files: options.Files = None,
    output: options.Output = None,
    stdout: options.Stdout = False,
    keep: options.Keep = False,
    force: options.Force = False,
    remove: options.Remove = False,
    recursive: options.Recursive = False,
    suffix: options.Suffix = SUFFIX,
    model: options.ModelName = None,
    device: options.DeviceName = "auto",
    threads: options.CodingThreads = 0,
    max_output: options.MaxOutput = None,
    max_memory: options.MaxMemory = None,
    quiet: options.Quiet = 0,
    verbose: options.Verbose = 0,
    no_progress: options.NoProgress = False,
    json: options.Json = False,
    part: Annotated[
        options.Span | None,
        typer.Option(
            "--range",
            metavar="A:B",
            parser=options.parse_range,
            help="Only bytes A up to B of the original, from the blocks that hold them; needs -o or -c.",
            rich_help_panel=_PARTS,
            show_default=False,
        ),
    ] = None,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="Write the blocks that are whole, zeros for the others, and list what is lost (exit code 3).",
            rich_help_panel=_PARTS,
        ),
    ] = False,
) -> None:
    """Decompress FILE.zllm to FILE and keep FILE.zllm.

    A damaged archive gives an error and no file, unless --salvage asks for what is left.
    """
    voice = Voice("decompress", 1 + verbose - quiet, progress=not no_progress, json=json)

    def run() -> int:
        names = files or ["-"]
        _check_parts(part, salvage, named=stdout or output is not None, remove=remove and not keep)
        policy = options.file_policy(
            names,
            output,
            stdout,
            force=force,
            remove=remove and not keep,
            recursive=recursive,
            suffix=suffix,
            json=json,
        )
        limits = backend.limits(max_output, max_memory)
        machine = backend.Machine(model, device, threads)
        if salvage:
            work = backend.salvager(machine, limits)
        elif part is not None:
            work = backend.extractor(machine, limits, part.start, part.stop)
        else:
            work = backend.decompressor(machine, limits)
        return run_job(Job(work, backend.content_size, policy, voice), names)

    finish(voice, run)


def _check_parts(part: object, salvage: bool, *, named: bool, remove: bool) -> None:
    if part is not None and salvage:
        raise UsageError("--range and --salvage exclude each other")
    if part is not None and not named:
        raise UsageError("--range gives a part of a file, which should not get the file's own name; use -o or -c")
    if (part is not None or salvage) and remove:
        raise UsageError("--rm removes only what was decompressed whole; leave out --range and --salvage")
