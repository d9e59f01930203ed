"""Archive -> original bytes, block after block, every check made before success is reported."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

from zipllm.codec.block_decoding import BlockDecoding
from zipllm.codec.streams import CountingSource, Readable, Writable, write_all
from zipllm.codec.threads.side_by_side import SideBySide
from zipllm.codec.workers import MOST_MEMORY, decoding_memory
from zipllm.container import (
    ArchiveHeader,
    ArchiveReader,
    Block,
    ContentHash,
    End,
    Limits,
    ModelRecord,
    Record,
)
from zipllm.engine.engine import Engine, EngineFinder, LazyEngine, check_model, engine_from_model_file
from zipllm.errors import ModelNotFound, ZipllmError
from zipllm.progress import Progress, ProgressCallback, Summary

EmbeddedLoader = Callable[[bytes], Engine]
"""From the bytes of a model file, which may be hostile, to its engine."""


def decompress_stream(
    source: Readable,
    sink: Writable | None,
    *,
    engines: EngineFinder,
    limits: Limits | None = None,
    embedded: EmbeddedLoader = engine_from_model_file,
    progress: ProgressCallback | None = None,
    workers: int = 1,
) -> Summary:
    """Decode all concatenated archives of ``source``.

    Memory is bounded by the blocks in work, at most one for each worker. When an error is raised, ``sink`` may hold
    bytes already; a caller who must not show them writes to a temporary file.

    Args:
        source: binary, at the first byte of an archive; a pipe will do.
        sink: binary; None only tests the archive.
        engines: gives the engine of a model_id; asked when the first model-coded block comes.
        limits: what is refused although it is intact.
        embedded: makes an engine of the model file that an archive carries; used when ``engines`` finds none.
        progress: told about the work done, by the caller's thread.
        workers: blocks decoded at the same time, each by a thread, as far as memory allows; one by a model that is not
            ``side_by_side`` is decoded alone. 1: by the caller's thread. Result and errors are the same.

    Raises:
        CorruptData: damage anywhere, in header, payload or content.
        UnsupportedData: intact, but of a version or method that is not known here.
        LimitExceeded: larger than a limit allows.
        ModelNotFound: the model is neither installed nor embedded.
        ModelMismatch: ``engines`` gave another model; the message names both.
    """
    decoder = ArchiveDecoder(
        source, engines=engines, limits=limits, embedded=embedded, progress=progress, workers=workers
    )
    with closing(decoder):
        for raw in decoder:
            if sink is not None:
                write_all(sink, raw)
    return decoder.summary()


class ArchiveDecoder:
    """Iterates over the decoded blocks of one or several concatenated archives.

    The iteration ends only when the SHA-256 and the end of every archive have been found right. Arguments and
    errors are those of ``decompress_stream``. With several workers, blocks are in work between two steps of the
    iteration, and the source is read ahead; whoever gives up early calls ``close``.
    """

    def __init__(
        self,
        source: Readable,
        *,
        engines: EngineFinder,
        limits: Limits | None = None,
        embedded: EmbeddedLoader = engine_from_model_file,
        progress: ProgressCallback | None = None,
        workers: int = 1,
    ) -> None:
        self._source = CountingSource(source)
        self._engines = engines
        self._limits = limits or Limits()
        self._embedded = embedded
        self._progress = progress
        # Of all archives:
        self._archives = 0
        self._coded = 0
        self._codings: Counter[str] = Counter()
        self._models: dict[bytes, None] = {}
        self._total = ContentHash()
        # Of the archive that is being read:
        self._content = ContentHash()
        self._engine: LazyEngine | None = None
        self._loaded: Engine | None = None
        self._works: SideBySide[BlockDecoding] = SideBySide(workers, self._report)
        self._blocks = self._decode()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """End the iteration, and the threads if there are any."""
        self._blocks.close()

    def summary(self) -> Summary:
        """What has been decoded so far; after the iteration, all of it."""
        return Summary(
            raw_bytes=self._total.size,
            coded_bytes=self._coded,
            archives=self._archives,
            codings=dict(self._codings),
            model_ids=tuple(self._models),
            sha256=self._total.digest(),
        )

    def _decode(self) -> Generator[bytes, None, None]:
        """Begin blocks as they are read; everything else, errors too, waits until the blocks before it are done."""
        records = iter(ArchiveReader(self._source, self._limits))
        with closing(self._works):
            while True:
                begin = self._source.count
                found = _next(records)
                if isinstance(found, Block):
                    yield from self._begin(BlockDecoding(found, self._engine, begin, self._source.count))
                    continue
                while self._works:
                    yield self._take()
                self._coded = self._source.count
                if found is None:
                    return
                self._heed(found)

    def _begin(self, work: BlockDecoding) -> Iterator[bytes]:
        """Begin a block; yield the first of those in work until there is room for it, and for the next one."""
        while self._works and not self._has_room(work):
            yield self._take()
        if work.by_model and self._engine is not None and self._works.workers > 1:
            with self._placed(work):
                self._loaded = self._engine()
        self._works.put(work)
        if self._works.full or not self._shares(work):
            yield self._take()

    def _has_room(self, work: BlockDecoding) -> bool:
        """Whether a block may be decoded beside those that are in work."""
        lane_bytes = 0 if self._loaded is None else self._loaded.predictor.lane_bytes
        needed = sum(decoding_memory(other.block.header, lane_bytes) for other in [work, *self._works])
        return self._shares(work) and needed <= MOST_MEMORY

    def _shares(self, work: BlockDecoding) -> bool:
        """Whether others may be in work with it; a model must have been loaded to tell."""
        return not work.by_model or (self._loaded is not None and self._loaded.side_by_side)

    def _take(self) -> bytes:
        """Wait for the first of the blocks in work."""
        first = next(iter(self._works))
        with self._placed(first):
            self._works.take()
        self._total.update(first.raw)
        self._content.update(first.raw)
        self._codings[first.block.header.coding.name.lower()] += 1
        self._coded = first.end
        self._report()
        return first.raw

    def _heed(self, found: ArchiveHeader | ModelRecord | End | Exception) -> None:
        match found:
            case ArchiveHeader():
                self._content, self._engine, self._loaded = ContentHash(), None, None
                self._archives += 1
            case ModelRecord() as record:
                self._engine = archive_engine(lambda: record, self._engines, self._embedded)
                self._models[record.model_id] = None
            case End():
                self._content.check(found)
            case ZipllmError() if blocks := self._codings.total():
                where = f"after block {blocks}, at byte {self._total.size} of the original"
                raise type(found)(f"{found} ({where})") from found
            case error:
                raise error

    @contextmanager
    def _placed(self, work: BlockDecoding) -> Iterator[None]:
        """Let errors say which block they are about: the first that is not finished."""
        try:
            yield
        except ZipllmError as error:
            begin, size = self._total.size, work.block.header.raw_size
            where = f"block {self._codings.total() + 1}, bytes {begin} to {begin + size} of the original"
            raise type(error)(f"{error} ({where})") from error

    def _report(self) -> None:
        """Tell about finished blocks, and what is done of those in work."""
        if self._progress is not None:
            works = list(self._works)
            done = self._total.size + sum(work.raw_bytes for work in works)
            self._progress(Progress("decode", done, done, self._coded + sum(work.coded_bytes for work in works)))


def _next(records: Iterator[Record]) -> Record | Exception | None:
    """Return the next record, or None at the end, or why there is no next."""
    try:
        return next(records, None)
    except Exception as error:  # raised when the blocks before it are done
        return error


def archive_engine(model: Callable[[], ModelRecord], engines: EngineFinder, embedded: EmbeddedLoader) -> LazyEngine:
    """Return how to get the engine of an archive's model-coded blocks: found by its id, else from the archive.

    Args:
        model: gives the record that names the model; called when the first block needs it.
        engines: as ``decompress_stream``, as is ``embedded``.
        embedded: see ``engines``.
    """

    def find() -> Engine:
        record = model()
        try:
            return check_model(record, engines(record.model_id))
        except ModelNotFound as error:
            if record.numerics is not None:
                raise ModelNotFound(
                    "the archive is not portable: it needs the machine that wrote it, and the folder of its Hugging "
                    "Face model (--model hf:FOLDER)"
                ) from error
            if record.embedded is None:
                raise
            return check_model(record, embedded(record.embedded))

    return LazyEngine(find)
