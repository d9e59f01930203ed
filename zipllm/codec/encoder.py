"""Original bytes -> archive, block after block, each verified before it is written."""

from collections import Counter

from zipllm.codec.engine import Engine, EngineSource, LazyEngine, lazy_engine
from zipllm.codec.options import Advance, EncodeOptions, Progress, ProgressCallback, Stage, Summary
from zipllm.codec.select import choose
from zipllm.codec.streams import CountingSource, Readable, Writable, read_up_to
from zipllm.codec.verify import verify_block
from zipllm.container import (
    ArchiveHeader,
    ArchiveWriter,
    Block,
    BlockHeader,
    Coding,
    ContentHash,
    crc32,
)
from zipllm.container.model import MODEL_ID_BYTES
from zipllm.errors import UsageError

_MODEL_RECORD = MODEL_ID_BYTES + 12
"""Bytes of the record that names the model, once in an archive."""


def compress_stream(
    source: Readable,
    sink: Writable,
    *,
    engine: EngineSource,
    options: EncodeOptions | None = None,
    progress: ProgressCallback | None = None,
    original_size: int | None = None,
) -> Summary:
    """Write one archive of everything in ``source``.

    Memory is bounded by the block. When an error is raised, ``sink`` holds a torn archive.

    Args:
        source: binary; a pipe will do.
        sink: binary; never asked to seek, and not closed.
        engine: the model, or how to get it when a block first needs it, or None for conventional codings only.
        options: see ``EncodeOptions``.
        progress: told about the work done.
        original_size: bytes in ``source`` if known, for the archive's header.

    Raises:
        VerificationFailed: a block does not decode to what it was coded from.
        ModelError: the engine cannot be had.
        FileError: ``original_size`` is not what was read.
        UsageError: options that do not fit together, or ``same_machine`` is not set and the model needs it.
    """
    options = options or EncodeOptions()
    encoder = ArchiveEncoder(sink, engine=engine, options=options, progress=progress, original_size=original_size)
    counted = CountingSource(source)
    while block := read_up_to(counted, options.block_size):
        encoder.write(block)
    return encoder.finish()


def _checked(engine: LazyEngine | None, options: EncodeOptions) -> LazyEngine | None:
    """Refuse, where it is loaded, a model that would make an archive for this machine only, unless that is wanted."""

    def get() -> Engine:
        assert engine is not None
        found = engine()
        if found.numerics is not None and not options.same_machine:
            raise UsageError(
                "this model computes in floats: its archive would decode on this machine only (--same-machine, "
                "same_machine=True)"
            )
        return found

    return None if engine is None else LazyEngine(get)


class ArchiveEncoder:
    """Takes bytes in pieces of any size and writes one archive. Arguments and errors as ``compress_stream``."""

    def __init__(
        self,
        sink: Writable,
        *,
        engine: EngineSource,
        options: EncodeOptions | None = None,
        progress: ProgressCallback | None = None,
        original_size: int | None = None,
    ) -> None:
        self._options = options or EncodeOptions()
        self._engine = _checked(lazy_engine(engine), self._options)
        if self._engine is None and not self._options.fallback:
            raise UsageError("coding every block by the model needs a model")
        self._progress = progress
        self._pending = bytearray()
        self._content = ContentHash()
        self._codings: Counter[str] = Counter()
        self._model_id: bytes | None = None
        self._portable = True
        self._writer = ArchiveWriter(sink)
        self._writer.begin(ArchiveHeader(self._options.block_size, original_size))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take more of the original; whole blocks are coded at once."""
        size = self._options.block_size
        left = memoryview(data).cast("B")
        while left:
            room = size - len(self._pending)
            self._pending += left[:room]
            left = left[room:]
            if len(self._pending) == size:
                self._code_pending()

    def finish(self) -> Summary:
        """Code what is left, end the archive and tell what was done."""
        if self._pending:
            self._code_pending()
        self._writer.end(self._content.digest())
        return Summary(
            raw_bytes=self._content.size,
            coded_bytes=self._writer.size,
            archives=1,
            codings=dict(self._codings),
            model_ids=() if self._model_id is None else (self._model_id,),
            sha256=self._content.digest(),
            portable=self._portable,
        )

    def _code_pending(self) -> None:
        raw = bytes(self._pending)
        self._pending.clear()
        block = self._encode(raw)
        if self._options.verify:
            verify_block(block, raw, self._engine, self._advance("verify", len(raw), len(block.payload)))
        if block.header.coding is Coding.MODEL:
            self._name_model()
        self._writer.block(block.header, block.payload)
        self._content.update(raw)
        self._codings[block.header.coding.name.lower()] += 1
        self._report("verify" if self._options.verify else "encode")

    def _encode(self, raw: bytes) -> Block:
        advance = self._advance("encode", len(raw))
        coding, payload, parameters = choose(raw, self._engine, self._options, self._model_cost(), advance)
        return Block(BlockHeader(coding, len(raw), len(payload), crc32(raw), parameters), payload)

    def _model_cost(self) -> int:
        """Return what naming the model would take; one of floats describes the machine besides."""
        if self._model_id is not None:
            return 0
        described = self._loaded().numerics if self._options.same_machine and self._engine is not None else None
        return _MODEL_RECORD + len(described or b"")

    def _name_model(self) -> None:
        """Write the model's record before the first block that needs it."""
        if self._model_id is None:
            engine = self._loaded()
            self._writer.model(engine.model_id, self._embedded(engine), engine.numerics)
            self._model_id = engine.model_id
            self._portable = engine.numerics is None

    def _embedded(self, engine: Engine) -> bytes | None:
        if not self._options.embed_model:
            return None
        if engine.model_file is None:
            raise UsageError("this model has no file that an archive could carry")
        return engine.model_file()

    def _loaded(self) -> Engine:
        assert self._engine is not None, "only a model-coded block asks for the engine"
        return self._engine()

    def _advance(self, stage: Stage, raw_size: int, payload_size: int = 0) -> Advance | None:
        """Return what reports on the block in work; encoding is half of the work where verification follows."""
        verified = self._options.verify

        def encoding(fraction: float, coded: int) -> None:
            raw = fraction * raw_size
            self._report(stage, raw / 2 if verified else raw, int(raw), coded)

        def verifying(fraction: float, coded: int) -> None:
            self._report(stage, (1 + fraction) / 2 * raw_size, raw_size, payload_size)

        if self._progress is None:
            return None
        return encoding if stage == "encode" else verifying

    def _report(self, stage: Stage, done: float = 0, raw: int = 0, coded: int = 0) -> None:
        """Tell about finished blocks, and so much more of the block in work."""
        if self._progress is not None:
            finished = self._content.size
            self._progress(Progress(stage, finished + done, finished + raw, self._writer.size + coded))
