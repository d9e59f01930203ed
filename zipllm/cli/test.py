"""``zipllm test``: decode archives and compare every checksum, without writing anything."""

from dataclasses import dataclass

from zipllm.cli.decompress import content_size, decompressor
from zipllm.cli.jobs import FilePolicy, Job, run_job
from zipllm.cli.options import CodingOptions


@dataclass(frozen=True, kw_only=True)
class TestOptions(CodingOptions):
    """Options of ``test``."""

    command = "test"


def check_archives(options: TestOptions) -> int:
    """Decode archives and compare every checksum; write nothing."""
    policy = FilePolicy(force=options.force, recursive=options.recursive, suffix=options.suffix)
    job = Job(work=decompressor(options), size=content_size, policy=policy, voice=options.voice)
    return run_job(job, options.names)
