"""Archive -> original bytes, block after block, every check made before success is reported."""

from collections import Counter
from collections.abc import Callable, Iterator

from zipllm.codec import conventional
from zipllm.codec.engine import Engine, EngineFinder, LazyEngine, check_model, engine_from_model_file
from zipllm.codec.history_block import decode_history_block
from zipllm.codec.model_block import decode_model_block
from zipllm.codec.options import Advance, Progress, ProgressCallback, Summary
from zipllm.codec.streams import CountingSource, Readable, Writable, write_all
from zipllm.container import (
    ArchiveHeader,
    ArchiveReader,
    Block,
    Coding,
    ContentHash,
    End,
    Limits,
    Model,
    Record,
    check_block,
)
from zipllm.errors import CorruptData, ModelNotFound, ZipllmError

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
) -> Summary:
    """Decode all concatenated archives of ``source``.

    Memory is bounded by the block. When an error is raised, ``sink`` may hold bytes already; a caller who
    must not show them writes to a temporary file.

    Args:
        source: binary, at the first byte of an archive; a pipe will do.
        sink: binary; None only tests the archive.
        engines: gives the engine of a model_id; asked when the first model-coded block comes.
        limits: what is refused although it is intact.
        embedded: makes an engine of the model file that an archive carries; used when ``engines`` finds none.
        progress: told about the work done.

    Raises:
        CorruptData: damage anywhere, in header, payload or content.
        UnsupportedData: intact, but of a version or method that is not known here.
        LimitExceeded: larger than a limit allows.
        ModelNotFound: the model is neither installed nor embedded.
        ModelMismatch: ``engines`` gave another model; the message names both.
    """
    decoder = ArchiveDecoder(source, engines=engines, limits=limits, embedded=embedded, progress=progress)
    for raw in decoder:
        if sink is not None:
            write_all(sink, raw)
    return decoder.summary()


class ArchiveDecoder:
    """Iterates over the decoded blocks of one or several concatenated archives.

    The iteration ends only when the SHA-256 and the end of every archive have been found right. Arguments and
    errors are those of ``decompress_stream``.
    """

    def __init__(
        self,
        source: Readable,
        *,
        engines: EngineFinder,
        limits: Limits | None = None,
        embedded: EmbeddedLoader = engine_from_model_file,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._source = CountingSource(source)
        self._engines = engines
        self._limits = limits or Limits()
        self._embedded = embedded
        self._progress = progress
        self._archives = 0
        self._codings: Counter[str] = Counter()
        self._models: dict[bytes, None] = {}
        self._total = ContentHash()
        self._blocks = self._decode()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def summary(self) -> Summary:
        """What has been decoded so far; after the iteration, all of it."""
        return Summary(
            raw_bytes=self._total.size,
            coded_bytes=self._source.count,
            archives=self._archives,
            codings=dict(self._codings),
            model_ids=tuple(self._models),
            sha256=self._total.digest(),
        )

    def _decode(self) -> Iterator[bytes]:
        content = ContentHash()
        engine: LazyEngine | None = None
        for record in self._records():
            match record:
                case ArchiveHeader():
                    content, engine = ContentHash(), None
                    self._archives += 1
                case Model():
                    engine = self._engine_of(record)
                    self._models[record.model_id] = None
                case Block():
                    raw = self._block(record, engine)
                    content.update(raw)
                    yield raw
                case End():
                    content.check(record)

    def _records(self) -> Iterator[Record]:
        """Read on; an error between two blocks says behind which."""
        try:
            yield from ArchiveReader(self._source, self._limits)
        except ZipllmError as error:
            blocks = self._codings.total()
            if not blocks:
                raise
            raise type(error)(f"{error} (after block {blocks}, at byte {self._total.size} of the original)") from error

    def _block(self, block: Block, engine: LazyEngine | None) -> bytes:
        begin = self._total.size
        size, rest = block.header.raw_size, len(block.payload)

        def advance(fraction: float, coded: int) -> None:
            self._report(int(fraction * size), coded - rest)

        try:
            raw = decode_block(block, engine, advance if self._progress else None)
        except ZipllmError as error:
            where = f"block {self._codings.total() + 1}, bytes {begin} to {begin + size} of the original"
            raise type(error)(f"{error} ({where})") from error
        self._total.update(raw)
        self._codings[block.header.coding.name.lower()] += 1
        self._report(0, 0)
        return raw

    def _engine_of(self, record: Model) -> LazyEngine:
        return archive_engine(lambda: record, self._engines, self._embedded)

    def _report(self, raw: int, coded: int) -> None:
        """Tell about finished blocks, and so much more of the block in work."""
        if self._progress is not None:
            done = self._total.size + raw
            self._progress(Progress("decode", done, done, self._source.count + coded))


def archive_engine(model: Callable[[], Model], engines: EngineFinder, embedded: EmbeddedLoader) -> LazyEngine:
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


def decode_block(block: Block, engine: Callable[[], Engine] | None, advance: Advance | None) -> bytes:
    """Decode one block by itself and check its size and CRC-32.

    Args:
        block: as read from an archive.
        engine: the archive's model; called for a model-coded block only.
        advance: told about progress, if given.

    Raises:
        CorruptData: the payload does not decode to what the header says.
        UnsupportedData: coded with parameters that this version does not have.
        LimitExceeded: needs too much memory.
        ModelError: the model cannot be had.
    """
    header = block.header
    if header.parameters is None:
        raw = conventional.decode(header.coding, block.payload, header.raw_size)
    elif header.coding is Coding.HISTORY:
        raw = decode_history_block(block.payload, header.raw_size, header.parameters, advance)
    elif engine is None:
        raise CorruptData("a model-coded block stands before the record that names its model")
    else:
        raw = decode_model_block(engine(), block.payload, header.raw_size, header.parameters, advance)
    check_block(header, raw)
    return raw
