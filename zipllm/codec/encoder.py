"""Original bytes -> archive, block by block; each block is verified before it is written."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

from zipllm.codec.block.setup import MOST_MEMORY, block_memory
from zipllm.codec.block_encoding import BlockEncoding
from zipllm.codec.options import EncodeOptions
from zipllm.codec.threads.side_by_side import SideBySide
from zipllm.container import ArchiveHeader, ArchiveWriter, Coding, ContentHash
from zipllm.container.model_record import MODEL_ID_BYTES, ModelRecord
from zipllm.container.streams import Readable, Writable, read_up_to
from zipllm.engine.engine import Engine, EngineSource, LazyEngine, lazy_engine
from zipllm.errors import UsageError
from zipllm.progress import Progress, ProgressCallback, Stage, Summary

_MODEL_RECORD = MODEL_ID_BYTES + 12
"""Bytes of the record that names the model, one per archive."""


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

    Memory is bounded by the blocks in work, at most one per worker. When an error is raised, ``sink`` holds an
    incomplete archive.

    Args:
        source: binary; may be a pipe.
        sink: binary; may be a pipe; not closed.
        engine: the model, or a function that loads it when a block first needs it, or None for no model.
        options: see ``EncodeOptions``; None for the defaults.
        progress: told about the work done, in the caller's thread.
        original_size: bytes in ``source`` if known, for the archive's header.

    Raises:
        VerificationFailed: a block does not decode to what it was coded from.
        ModelError: the model cannot be loaded.
        FileError: ``original_size`` is not the number of bytes read.
        UsageError: options contradict each other, or the model needs ``same_machine``.
    """
    options = options or EncodeOptions()
    encoder = ArchiveEncoder(sink, engine=engine, options=options, progress=progress, original_size=original_size)
    with closing(encoder):
        while block := read_up_to(source, options.block_size):
            encoder.write(block)
        return encoder.finish()


def encoding_workers(options: EncodeOptions) -> int:
    """Return how many of the wanted workers fit in memory."""
    return max(1, min(options.workers, MOST_MEMORY // block_memory(options.block_size, options.history_bits or 0)))


def _checked(engine: LazyEngine | None, options: EncodeOptions) -> LazyEngine | None:
    """Refuse, on loading, a model whose archives decode on this machine only, unless the options allow that."""

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
    """Takes bytes in pieces of any size and writes one archive; arguments and errors as ``compress_stream``.

    Several workers go on coding between calls; a caller who abandons an archive calls ``close``.
    """

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
        self._done = 0.0
        self._blocks: SideBySide[BlockEncoding] = SideBySide(encoding_workers(self._options), self._watch)
        self._writer = ArchiveWriter(sink)
        self._writer.begin(ArchiveHeader(self._options.block_size, original_size))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take more of the original; full blocks are coded at once, or begun if there are several workers."""
        size = self._options.block_size
        left = memoryview(data).cast("B")
        with self._stopped_by_errors():
            while left:
                room = size - len(self._pending)
                self._pending += left[:room]
                left = left[room:]
                if len(self._pending) == size:
                    self._code_pending()

    def finish(self) -> Summary:
        """Code the remaining bytes, end the archive and return its summary."""
        with self._stopped_by_errors():
            if self._pending:
                self._code_pending()
            while self._blocks:
                self._write_first()
        self.close()
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

    def close(self) -> None:
        """End any threads and drop their blocks; not needed after ``finish``."""
        self._blocks.close()

    def _code_pending(self) -> None:
        raw = bytes(self._pending)
        self._pending.clear()
        self._blocks.put(BlockEncoding(raw, self._engine, self._options, self._model_cost))
        if self._blocks.full:
            self._write_first()

    def _write_first(self) -> None:
        """Write the first block in work; code it again first if an earlier block has named the model meanwhile."""
        work = self._blocks.take()
        if work.cost_counts and work.model_cost != self._model_cost:
            self._blocks.put(BlockEncoding(work.raw, self._engine, self._options, self._model_cost), again=True)
            work = self._blocks.take()
        block = work.block
        if block.header.coding is Coding.MODEL:
            self._name_model()
        self._writer.block(block.header, block.payload)
        self._content.update(work.raw)
        self._codings[block.header.kind_name] += 1
        self._report("verify" if self._options.verify else "encode")

    @contextmanager
    def _stopped_by_errors(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    @property
    def _model_cost(self) -> int:
        """Bytes that a block pays for naming the model; the record of a float model also describes the machine."""
        if self._model_id is not None:
            return 0
        described = self._loaded().numerics if self._options.same_machine and self._engine is not None else None
        return _MODEL_RECORD + len(described or b"")

    def _name_model(self) -> None:
        """Write the model's record before the first block that needs it."""
        if self._model_id is None:
            engine = self._loaded()
            self._writer.model(ModelRecord(engine.model_id, self._embedded(engine), engine.numerics))
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

    def _watch(self) -> None:
        self._report(next(iter(self._blocks)).stage)

    def _report(self, stage: Stage) -> None:
        """Report finished blocks, and how far those in work are."""
        if self._progress is None:
            return
        finished, works = self._content.size, list(self._blocks)
        self._done = max(self._done, finished + sum(work.done for work in works))
        raw, coded = (sum(getattr(work, name) for work in works) for name in ("raw_bytes", "coded_bytes"))
        self._progress(Progress(stage, self._done, finished + raw, self._writer.size + coded))
