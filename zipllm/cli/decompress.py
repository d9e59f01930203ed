"""``zipllm decompress`` gives back the original files; ``zipllm test`` decodes them and writes nothing."""

import contextlib
from typing import TYPE_CHECKING, BinaryIO

from zipllm.cli.jobs import Job, Work, run_job, write_results
from zipllm.cli.options import CodingOptions, Panel, Span, WritingOptions
from zipllm.container import BlockHeader, scan
from zipllm.errors import FileError, UsageError, ZipllmError
from zipllm.files.names import escape_name, strip_suffix
from zipllm.files.source import Source

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback, Summary

_PARTS = Panel("Parts and damage")


class DecompressOptions(WritingOptions, command="decompress"):
    """Options of ``decompress``."""

    part: Span | None = _PARTS.span(
        "Only bytes A up to B of the original, from the blocks that hold them; needs -o or -c."
    )
    salvage: bool = _PARTS.switch(
        "--salvage", help="Write the whole blocks, zeros for the others, and list the losses (exit code 3)."
    )


class TestOptions(CodingOptions, command="test"):
    """Options of ``test``."""


def decompress(options: DecompressOptions) -> int:
    """Decompress FILE.zllm to FILE and keep FILE.zllm.

    A damaged archive gives an error and no file, unless --salvage asks for what is left.

    $ zipllm decompress notes.txt.zllm     # writes notes.txt
    $ zipllm decompress -c big.log.zllm --range 4M:5M | less
    """
    part, salvage = options.part, options.salvage
    if part is not None and salvage:
        raise UsageError("--range and --salvage exclude each other")
    if part is not None and not options.stdout and options.output is None:
        raise UsageError("--range gives a part of a file, which should not get the file's own name; use -o or -c")
    if (part is not None or salvage) and options.removes:
        raise UsageError("--rm removes only what was decompressed whole; leave out --range and --salvage")
    job = Job(
        options=options,
        work=decompressor(options, part=part, salvage=salvage),
        size=content_size,
        remark=lambda _, summary: unused(summary, options),
        derive_name=lambda source: strip_suffix(source, options.suffix),
    )
    return write_results(job, options)


def check_archives(options: TestOptions) -> int:
    """Decode archives and compare every checksum; write nothing.

    $ zipllm test -r backup/               # every archive in the folder
    """
    work, remark = decompressor(options), lambda _, summary: unused(summary, options)
    return run_job(Job(options=options, work=work, size=content_size, remark=remark))


def unused(summary: "Summary", options: CodingOptions) -> str:
    """Return that the model the user named was not needed, or an empty text."""
    needless = options.model is not None and not summary.codings.get("model")
    return f"model {escape_name(options.loader.name)} not used" if needless else ""


def decompressor(options: CodingOptions, *, part: Span | None = None, salvage: bool = False) -> Work:
    """Return the work of ``decompress`` and ``test``: all bytes, a part, or what is left of a damaged archive."""
    loader = options.loader
    loader.check()

    def work(_: str, source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.decoder import DecodeOptions, decompress_stream
        from zipllm.codec.reading.extract import extract_range
        from zipllm.codec.reading.salvage import salvage_stream

        reading = DecodeOptions(
            engines=loader.engine, embedded=loader.embedded_engine, limits=options.limits, workers=loader.workers()
        )
        if sink is None or not (salvage or part):
            return decompress_stream(source, sink, options=reading, progress=progress)
        if not source.seekable():
            raise FileError("is a pipe; a range and what is whole can only be looked for in a file")
        if part is not None:
            return extract_range(source, sink, part.start, part.stop, options=reading, progress=progress)
        return salvage_stream(source, sink, options=reading, fallback=loader.engine, progress=progress)

    return work


def content_size(source: Source) -> int | None:
    """Return how many bytes an archive decodes to, from its headers, or None; leaves the source at its beginning.

    It serves the progress bar only, and ignores damage: the decoder says where that is.
    """
    if not source.is_regular_file:
        return None
    total = 0
    with contextlib.suppress(ZipllmError):
        total = sum(item.record.raw_size for item in scan(source.stream) if isinstance(item.record, BlockHeader))
    source.stream.seek(0)
    return total or None
