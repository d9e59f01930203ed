"""Archive -> original bytes, block by block; success is reported only after every check has passed."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from zipllm.codec.block.setup import MOST_MEMORY
from zipllm.codec.block_decoding import BlockDecoding
from zipllm.codec.threads.side_by_side import SideBySide
from zipllm.container import ArchiveHeader, ArchiveReader, Block, ContentHash, End, Limits, ModelRecord, Record
from zipllm.container.streams import Readable, Writable, write_all
from zipllm.engine.engine import Engine, EngineFinder, LazyEngine, check_model, engine_from_model_file, find_engine
from zipllm.errors import FileError, LimitExceeded, ModelError, ModelNotFound, ZipllmError
from zipllm.progress import Progress, ProgressCallback, Summary

EmbeddedLoader = Callable[[bytes], Engine]
"""From the bytes of a model file, which may be hostile, to its engine."""


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """How to read archives.

    Attributes:
        engines: finds the engine of a model_id; called when the first model-coded block comes.
        embedded: loads the model file that an archive carries; called when ``engines`` finds no model, or
            an unusable one.
        limits: refuse intact archives that are larger.
        workers: threads that each decode whole blocks, as far as memory allows. A block by a model that is not
            ``side_by_side`` is decoded alone. 1: everything happens in the caller's thread. Results and errors do not
            depend on it.
    """

    engines: EngineFinder = find_engine
    embedded: EmbeddedLoader = engine_from_model_file
    limits: Limits = field(default_factory=Limits)
    workers: int = 1

    def engine_of(self, model: Callable[[], ModelRecord]) -> LazyEngine:
        """Return the engine of an archive's model-coded blocks; the first of them loads what the record names."""

        def find() -> Engine:
            record = model()
            try:
                found = self.engines(record.model_id)
            except (ModelError, FileError, LimitExceeded) as error:
                if record.numerics is not None and isinstance(error, ModelNotFound):
                    raise ModelNotFound(
                        "the archive is not portable: it needs the machine that wrote it, and the folder of its "
                        "Hugging Face model (--model hf:FOLDER)"
                    ) from error
                if record.embedded is None:
                    raise
                found = self.embedded(record.embedded)
            return check_model(record, found)

        return LazyEngine(find)


def decompress_stream(
    source: Readable,
    sink: Writable | None,
    *,
    options: DecodeOptions | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Decode all concatenated archives of ``source``.

    Memory is bounded by the blocks in work, at most one per worker. When an error is raised, ``sink`` may already hold
    bytes; a caller who must not show them writes to a temporary file.

    Args:
        source: binary, at the first byte of an archive; may be a pipe.
        sink: binary; None only tests the archive.
        options: None for the defaults.
        progress: told about the work done, in the caller's thread.

    Raises:
        CorruptData: damage anywhere, in header, payload or content.
        UnsupportedData: intact, but of an unknown version or method.
        LimitExceeded: larger than a limit allows.
        ModelNotFound: the model is neither installed nor embedded.
        ModelMismatch: the engine found is of another model; the message names both.
    """
    decoder = ArchiveDecoder(source, options=options, progress=progress)
    with closing(decoder):
        for raw in decoder:
            if sink is not None:
                write_all(sink, raw)
    return decoder.summary()


class ArchiveDecoder:
    """Iterates over the decoded blocks of one or several concatenated archives.

    The iteration ends only after the SHA-256 and the end of every archive have been checked. Arguments and errors are
    those of ``decompress_stream``. Several workers read the source ahead and go on decoding between two steps of the
    iteration; a caller who gives up early calls ``close``.
    """

    def __init__(
        self, source: Readable, *, options: DecodeOptions | None = None, progress: ProgressCallback | None = None
    ) -> None:
        self._options = options or DecodeOptions()
        self._reader = ArchiveReader(source, self._options.limits)
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
        self._works: SideBySide[BlockDecoding] = SideBySide(self._options.workers, self._report)
        self._blocks = self._decode()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """End the iteration and any threads."""
        self._blocks.close()

    def summary(self) -> Summary:
        """What has been decoded so far."""
        return Summary(
            raw_bytes=self._total.size,
            coded_bytes=self._coded,
            archives=self._archives,
            codings=dict(self._codings),
            model_ids=tuple(self._models),
            sha256=self._total.digest(),
        )

    def _decode(self) -> Generator[bytes, None, None]:
        """Begin blocks as they are read; any other record, and any error, waits for the blocks before it."""
        records = iter(self._reader)
        with closing(self._works):
            while True:
                begin = self._reader.count
                found = _next(records)
                if isinstance(found, Block):
                    yield from self._begin(
                        BlockDecoding(found, self._engine, begin, self._reader.count, self._options.limits)
                    )
                    continue
                while self._works:
                    yield self._take()
                self._coded = self._reader.count
                if found is None:
                    return
                self._follow(found)

    def _begin(self, work: BlockDecoding) -> Iterator[bytes]:
        """Begin a block; yield finished blocks, in order, until there is room for it and for the next one."""
        while self._works and not self._has_room(work):
            yield self._take()
        if work.by_model and self._engine is not None and self._works.workers > 1:
            with self._placed(work):
                self._loaded = self._engine()
        self._works.put(work)
        if self._works.full or not self._shares(work):
            yield self._take()

    def _has_room(self, work: BlockDecoding) -> bool:
        """Whether a block may be decoded beside those in work."""
        lane_bytes = 0 if self._loaded is None else self._loaded.predictor.lane_bytes
        needed = sum(other.memory(lane_bytes) for other in [work, *self._works])
        return self._shares(work) and needed <= MOST_MEMORY

    def _shares(self, work: BlockDecoding) -> bool:
        """Whether other blocks may be in work at the same time; only a loaded model can tell."""
        return not work.by_model or (self._loaded is not None and self._loaded.side_by_side)

    def _take(self) -> bytes:
        """Wait for the first block in work, and return its bytes."""
        first = next(iter(self._works))
        with self._placed(first):
            self._works.take()
        self._total.update(first.raw)
        self._content.update(first.raw)
        self._codings[first.block.header.kind_name] += 1
        self._coded = first.end
        self._report()
        return first.raw

    def _follow(self, found: ArchiveHeader | ModelRecord | End | Exception) -> None:
        match found:
            case ArchiveHeader():
                self._content, self._engine, self._loaded = ContentHash(), None, None
                self._archives += 1
            case ModelRecord() as record:
                self._engine = self._options.engine_of(lambda: record)
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
        """Add the place of the first unfinished block to errors."""
        try:
            yield
        except ZipllmError as error:
            begin, size = self._total.size, work.block.header.raw_size
            where = f"block {self._codings.total() + 1}, bytes {begin} to {begin + size} of the original"
            raise error.at(where) from error

    def _report(self) -> None:
        """Report finished blocks, and how far those in work are."""
        if self._progress is not None:
            works = list(self._works)
            done = self._total.size + sum(work.raw_bytes for work in works)
            self._progress(Progress("decode", done, done, self._coded + sum(work.coded_bytes for work in works)))


def _next(records: Iterator[Record]) -> Record | Exception | None:
    """Return the next record, None at the end, or the error that reading it raised."""
    try:
        return next(records, None)
    except Exception as error:  # to be raised once the blocks before it are done
        return error
