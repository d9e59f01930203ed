"""``zipllm compress``: turn files into archives, each verified before it is reported as done."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, BinaryIO

from zipllm.cli.decompress import DecompressOptions, decompress
from zipllm.cli.jobs import Job, Work, write_results
from zipllm.cli.options import CODING, FILES, LevelOptions, WritingOptions
from zipllm.codec.levels import LEVELS, encode_options, level_of
from zipllm.container.samples import NAMES
from zipllm.errors import UsageError
from zipllm.files.mirror import is_packed
from zipllm.files.names import add_suffix, escape_name

if TYPE_CHECKING:
    from zipllm.progress import ProgressCallback, Summary


_FAST = max(number for number, level in LEVELS.items() if level.model is None)
_FLOATS = "a Hugging Face model computes in floats, and its archive decodes on this machine only"


class CompressOptions(LevelOptions, WritingOptions, command="compress"):
    """Options of ``compress``."""

    decompress: bool = FILES.switch("-d", "--decompress", help="Decompress instead, as the decompress command does.")
    no_history: bool = CODING.switch("--no-history", help="Use the model alone, without learning from the file.")
    embed_model: bool = CODING.switch(
        "--embed-model", help="Put the model into the archive, which then decodes without it."
    )
    same_machine: bool = CODING.switch(
        "--same-machine", help="With a Hugging Face model: write an archive that only this machine can decode."
    )
    no_verify: bool = CODING.switch("--no-verify", help="Do not decode each block to check it.")
    no_sample: bool = CODING.switch(
        "--no-sample",
        help="Try the model on every block, not only where a sample or, with -r, the suffix promises a gain.",
    )


def compress(options: CompressOptions) -> int:
    """Compress FILE to FILE.zllm and keep FILE.

    Every block is decoded and compared before it counts.

    $ zipllm compress notes.txt            # writes notes.txt.zllm
    $ zipllm compress -3 --rm *.log        # fast, without a model; removes each log
    $ tar c src | zipllm compress > src.tar.zllm
    """
    if options.decompress:
        return decompress(DecompressOptions(**{f.name: getattr(options, f.name) for f in fields(WritingOptions)}))
    if options.removes and options.no_verify:
        raise UsageError("--rm removes only what was verified; leave out --no-verify")
    job = Job(
        options=options,
        work=compressor(options),
        size=lambda source: source.size,
        remark=lambda name, summary: unused(name, summary, options),
        derive_name=lambda source: add_suffix(source, options.suffix, force=options.force),
        writes_archives=True,
    )
    return write_results(job, options)


def passes_over(name: str, options: CompressOptions) -> bool:
    """Whether prediction is not worth trying: a file met in a folder that is compressed already, by its name."""
    return options.recursive and not options.no_sample and name not in options.names and is_packed(name)


def unused(name: str, summary: "Summary", options: CompressOptions) -> str:
    """Return what the level, the model and their flags promised and no block has; empty if nothing is missing."""
    if passes_over(name, options):
        return "compressed already by its name, not predicted"
    return _unused(summary, options)


def _unused(summary: "Summary", options: CompressOptions) -> str:
    name, chosen = level_of(options.level).model, options.loader.model is not None
    if summary.codings.get("model") or not (summary.raw_bytes or chosen or options.embed_model):
        return ""
    if name is None and not chosen:
        without = "has no model to embed" if options.embed_model else "without history predicts nothing"
        return f"level {options.level} {without}" if options.embed_model or options.no_history else ""
    text = f"model {escape_name(options.loader.name if chosen else str(name))} not used"
    if options.embed_model:
        return f"{text}, not embedded"
    samples = [kind for kind in NAMES.values() if summary.codings.get(kind)]
    if samples:
        return f"coded as {' and '.join(samples)}, {text}"
    return f"{text}; -{_FAST} is faster" if summary.codings.get("history") and not chosen else text


def compressor(options: CompressOptions) -> Work:
    """Return the work of ``compress``. Raises ``UsageError`` for flags and ``ModelError`` for the model."""
    loader = options.loader
    if loader.is_huggingface and not options.same_machine:
        raise UsageError(f"{_FLOATS}; if that will do, say --same-machine")
    if options.same_machine and not loader.is_huggingface:
        raise UsageError("--same-machine is for a Hugging Face model (--model hf:FOLDER); others decode anywhere")
    loader.check()
    coding = encode_options(
        options.level,
        history=not options.no_history,
        block_size=options.block_size,
        lanes=options.lanes or None,
        verify=not options.no_verify,
        sample=not options.no_sample,
        embed_model=options.embed_model,
        same_machine=options.same_machine,
    )
    model = loader.model or level_of(options.level).model
    engine = replace(loader, model=model).engine if model is not None else None
    plain = replace(coding, history_bits=None, embed_model=False, same_machine=False)

    def work(name: str, source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.encoder import compress_stream

        assert sink is not None, "compressing writes somewhere"
        used, how = (None, plain) if passes_over(name, options) else (engine, coding)
        workers = loader.workers(model=used is not None)
        return compress_stream(source, sink, engine=used, options=replace(how, workers=workers), progress=progress)

    return work
