"""``zipllm compress``: turn files into archives, each verified before it is reported as done."""

from typing import Annotated

import typer

from zipllm.cli import backend, options
from zipllm.cli.decompress import decompress
from zipllm.cli.jobs import Job, run_job
from zipllm.cli.voice import Voice, finish
from zipllm.errors import UsageError
from zipllm.files.names import SUFFIX

_CODING = "Coding"


def compress(
    files: options.Files = None,
    output: options.Output = None,
    stdout: options.Stdout = False,
    keep: options.Keep = False,
    force: options.Force = False,
    remove: options.Remove = False,
    recursive: options.Recursive = False,
    suffix: options.Suffix = SUFFIX,
    decompress_instead: Annotated[
        bool, typer.Option("-d", "--decompress", help="Decompress, as the decompress command.", rich_help_panel="Files")
    ] = False,
    model: options.ModelName = None,
    device: options.DeviceName = "auto",
    threads: options.CodingThreads = 0,
    level: Annotated[
        int,
        typer.Option(
            "--level",
            min=1,
            max=9,
            metavar="1-9",
            help="Also -1 to -9. 1 to 3: history alone, fast; 4, 5: nano, too; 6: small; 7 to 9: base, ever slower.",
            rich_help_panel=_CODING,
        ),
    ] = 6,
    no_history: Annotated[
        bool,
        typer.Option("--no-history", help="The model alone, without learning from the file.", rich_help_panel=_CODING),
    ] = False,
    lanes: Annotated[
        int,
        typer.Option(
            "--lanes",
            min=0,
            metavar="N",
            help="Streams coded side by side in a block; 0 chooses. More are faster on a GPU, and cost size.",
            rich_help_panel=_CODING,
        ),
    ] = 0,
    block_size: Annotated[
        int | None,
        typer.Option(
            "--block-size",
            metavar="SIZE",
            parser=options.parse_size,
            help="Bytes coded together, 1 to 16M; bounds memory. By default the level's, mostly 16M.",
            rich_help_panel=_CODING,
            show_default=False,
        ),
    ] = None,
    embed_model: Annotated[
        bool,
        typer.Option(
            "--embed-model",
            help="Put the model into the archive, which then needs nothing else.",
            rich_help_panel=_CODING,
        ),
    ] = False,
    same_machine: Annotated[
        bool,
        typer.Option(
            "--same-machine",
            help="With a Hugging Face model: an archive that only this machine decodes, not portable.",
            rich_help_panel=_CODING,
        ),
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not decode each block to check it.", rich_help_panel=_CODING)
    ] = False,
    no_sample: Annotated[
        bool, typer.Option("--no-sample", help="Try the model on every block.", rich_help_panel=_CODING)
    ] = False,
    max_output: options.MaxOutput = None,
    max_memory: options.MaxMemory = None,
    quiet: options.Quiet = 0,
    verbose: options.Verbose = 0,
    no_progress: options.NoProgress = False,
    json: options.Json = False,
) -> None:
    """Compress FILE to FILE.zllm and keep FILE.

    Every block is decoded and compared before it counts.
    """
    if decompress_instead:
        decompress(
            files, output, stdout, keep, force, remove, recursive, suffix, model, device, threads,
            max_output, max_memory, quiet, verbose, no_progress, json,
        )  # fmt: skip
        return
    voice = Voice("compress", 1 + verbose - quiet, progress=not no_progress, json=json)

    def run() -> int:
        names = files or ["-"]
        if remove and not keep and no_verify:
            raise UsageError("--rm removes only what was verified; leave out --no-verify")
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
        settings = backend.CompressSettings(
            level=level,
            history=not no_history,
            block_size=block_size,
            lanes=lanes,
            verify=not no_verify,
            sample=not no_sample,
            embed_model=embed_model,
            same_machine=same_machine,
        )
        work = backend.compressor(backend.Machine(model, device, threads), settings)
        return run_job(Job(work, lambda source: source.size, policy, voice), names)

    finish(voice, run)
