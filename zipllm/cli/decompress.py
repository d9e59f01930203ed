"""``zipllm decompress``: give back the original files."""

from zipllm.cli import backend, options
from zipllm.cli.jobs import Job, run_job
from zipllm.cli.voice import Voice, finish
from zipllm.files.names import SUFFIX


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
    threads: options.Threads = 0,
    max_output: options.MaxOutput = None,
    max_memory: options.MaxMemory = None,
    quiet: options.Quiet = 0,
    verbose: options.Verbose = 0,
    no_progress: options.NoProgress = False,
    json: options.Json = False,
) -> None:
    """Decompress FILE.zllm to FILE and keep FILE.zllm.

    A damaged archive gives an error and no file.
    """
    voice = Voice("decompress", 1 + verbose - quiet, progress=not no_progress, json=json)

    def run() -> int:
        names = files or ["-"]
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
        work = backend.decompressor(backend.Machine(model, device, threads), limits)
        return run_job(Job(work, backend.content_size, policy, voice), names)

    finish(voice, run)
