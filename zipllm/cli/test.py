"""``zipllm test``: decode archives and compare every checksum, without writing anything."""

from zipllm.cli import backend, options
from zipllm.cli.jobs import Job, run_job
from zipllm.cli.voice import Voice, finish
from zipllm.files.names import SUFFIX


def check_archives(
    files: options.Files = None,
    recursive: options.Recursive = False,
    force: options.ForceRead = False,
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
) -> None:
    """Decode archives and compare every checksum; write nothing."""
    voice = Voice("test", 1 + verbose - quiet, progress=not no_progress, json=json)

    def run() -> int:
        policy = options.FilePolicy(force=force, recursive=recursive, suffix=suffix)
        limits = backend.limits(max_output, max_memory)
        work = backend.decompressor(backend.Machine(model, device, threads), limits)
        return run_job(Job(work, backend.content_size, policy, voice), files or ["-"])

    finish(voice, run)
