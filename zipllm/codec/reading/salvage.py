"""The intact blocks of a damaged archive, each at its place; lost ones are named and filled with zeros.

What is called good is a right byte at the right place; all others lie in a ``Lost``. Good are the blocks that a reader
reaches from the beginning, up to the damage after which places are a guess; and the blocks behind it that lead to the
END at the end of the file, if the sizes in the header leave no doubt where they belong.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.decoder import DecodeOptions
from zipllm.container import (
    ArchiveHeader,
    Block,
    BlockHeader,
    ContentHash,
    End,
    ModelHeader,
    Scanned,
    Seekable,
    read_payload,
    scan,
)
from zipllm.container.model_record import ModelRecord
from zipllm.container.streams import Writable, write_all
from zipllm.container.survey import SMALLEST_BORDER, Survey, stated_size
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import CorruptData, LimitExceeded, ModelError, UnsupportedData
from zipllm.progress import Lost, Progress, ProgressCallback, Summary

MOST_LOST = 10_000
"""Upper limit on separate losses, for memory; all behind them counts as uncertain."""

_ZEROS = bytes(1 << 16)
_MISSING = "bytes may be missing before them"


def salvage_stream(
    source: Seekable,
    sink: Writable,
    *,
    options: DecodeOptions | None = None,
    fallback: Callable[[], Engine] | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Decode every intact block; each one's CRC-32 is checked.

    A lost block becomes zeros of its size, so that everything after it stays in place. A gap of unknown size is left
    out, and everything after it counts as uncertain.

    Args:
        source: seekable, at the first byte of an archive.
        sink: binary.
        options: see ``DecodeOptions``; the zeros count as output, ``workers`` is ignored.
        fallback: the engine to try where the record that names the model is lost.
        progress: told about the work done.

    Returns:
        What was written; ``lost`` names all damage. A byte outside of ``lost`` is right and at its place.

    Raises:
        CorruptData: no block is intact.
        LimitExceeded: larger than a limit allows.
        ModelError: a model cannot be loaded.
    """
    summary = _Salvage(source, sink, options or DecodeOptions(), fallback, progress).run()
    if summary.lost and not summary.blocks:
        raise CorruptData(f"nothing can be salvaged: {summary.lost[0].reason}")
    return summary


@dataclass
class _Archive:
    """What has been written of one archive.

    Attributes:
        begin: offset in the result.
        first_loss: index of its first ``Lost``.
        header: None if it is lost.
        placed: whether ``begin`` is right.
        damaged: whether one of its blocks is lost.
        linked: whether a block was decoded; then a right SHA-256 at the end shows that the end is of the same archive.
        uneven: whether a block is smaller than the block size, which only the last one may be.
        records: bytes of its smallest and of its largest BLOCK record; 0 without any.
        content: what has been written.
    """

    begin: int
    first_loss: int
    header: ArchiveHeader | None = None
    placed: bool = True
    damaged: bool = False
    linked: bool = False
    uneven: bool = False
    records: tuple[int, int] = (0, 0)
    content: ContentHash = field(default_factory=ContentHash)


@dataclass
class _Rest:
    """What stands behind the damage of the archive that began before it: blocks up to END or another archive.

    Attributes:
        uneven: whether blocks other than the last differ in size from ``first``.
        first: original bytes of the first block, 0 without any.
        size: original bytes of all blocks.
        last: original bytes of the last block, 0 without any.
        records: bytes of the smallest and of the largest BLOCK record; 0 without any.
        end: the END record, if it comes before another archive.
    """

    uneven: bool = False
    first: int = 0
    size: int = 0
    last: int = 0
    records: tuple[int, int] = (0, 0)
    end: Scanned | None = None


class _Salvage:
    """Writes archive after archive and remembers what was lost."""

    def __init__(
        self,
        source: Seekable,
        sink: Writable,
        options: DecodeOptions,
        fallback: Callable[[], Engine] | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._source, self._sink = source, sink
        self._options, self._progress = options, progress
        self._fallback = None if fallback is None else LazyEngine(fallback)
        self._engine: LazyEngine | None = None
        self._total = ContentHash()
        self._codings: Counter[str] = Counter()
        self._models: dict[bytes, None] = {}
        self._lost: list[Lost] = []
        self._archives = self._blocks = self._coded = 0
        self._open: _Archive | None = None
        self._unplaced: tuple[int, str] | None = None  # from where on all places are a guess, and why

    def run(self) -> Summary:
        """Write everything that can be found."""
        begin = self._source.tell()
        self._coded = self._source.seek(0, 2) - begin
        self._source.seek(begin)
        last: Scanned | None = None
        whole, doubtful = True, None
        try:
            for item in scan(self._source, self._options.limits):
                last, whole = item, self._record(item)
                if isinstance(item.record, End):  # the sizes of all blocks add up
                    doubtful = None
                elif not whole and doubtful is None:  # bytes may be missing, so that what follows belongs elsewhere
                    doubtful = self._total.size
        except (CorruptData, UnsupportedData) as error:
            if doubtful is not None:
                self._guess(doubtful, "they stand between damaged records")
            stop = begin if last is None else last.end_offset
            start = stop if last is None or whole else last.payload_offset
            self._behind(Survey(self._source, start), stop, str(error))
        if self._unplaced is not None:
            self._guess(*self._unplaced)
        return Summary(
            raw_bytes=self._total.size,
            coded_bytes=self._coded,
            archives=self._archives,
            codings=dict(self._codings),
            model_ids=tuple(self._models),
            sha256=self._total.digest(),
            lost=tuple(sorted(self._lost, key=lambda lost: lost.begin)),
        )

    def _behind(self, found: Survey, stop: int, reason: str) -> None:
        """Write what stands behind the damage at ``stop``."""
        archive, rest, gap = self._open or self._begin(None), _rest(found), self._total.size
        if not archive.linked:
            archive.placed &= 0 < found.tail - stop < SMALLEST_BORDER and not archive.damaged
        missing = _missing(archive, rest)
        certain = _fits(archive, rest, missing, found.tail - stop)
        self._others(found, archive, missing)
        written = self._total.size - gap
        reason = f"{reason} (bytes {min(stop, found.tail)} to {found.tail} of the archive)"
        # An intact record that does not belong there, or a last block in the middle:
        contradicted = found.has(stop) or (archive.uneven and bool(missing or rest.size))
        left = None if missing is None or missing < written or contradicted else missing - written
        certain = certain and left is not None
        self._lose(left if left or certain else None, reason)
        if not certain:
            self._unplaced = (archive.begin if contradicted else self._total.size), _MISSING
        for item in found.records():
            self._record(item)

    def _others(self, found: Survey, archive: _Archive, missing: int | None) -> None:
        """Write the blocks between damaged records; those of an archive inside of a lost block have other sizes."""
        begin, engine = self._total.size, self._engine
        block_size = archive.header.block_size if archive.header else self._options.limits.block_raw
        last = None if missing is None or not archive.header else (archive.content.size + missing) % block_size

        def wanted(item: Scanned) -> bool:
            if isinstance(item.record, BlockHeader):
                size = item.record.raw_size
                return size <= block_size and (missing is None or archive.header is None or size in (block_size, last))
            return isinstance(item.record, ModelHeader)

        for item in found.others(wanted):
            try:
                self._record(item)
            except (LimitExceeded, ModelError) as error:
                self._lose(0, str(error))
        self._guess(begin, "they stand between damaged records")
        if engine is not self._fallback:
            self._engine = engine

    def _record(self, item: Scanned) -> bool:
        """Write what a record holds; return whether its payload is whole."""
        match item.record:
            case ArchiveHeader() as header:
                self._begin(header)
            case ModelHeader() as header:
                return self._named(item, header)
            case BlockHeader() as header:
                if (archive := self._open) is not None:
                    archive.records = _range(archive.records, item)
                    archive.uneven |= archive.header is not None and header.raw_size < archive.header.block_size
                return self._block(item, header)
            case End() as end:
                self._close(end)
        return True

    def _begin(self, header: ArchiveHeader | None) -> _Archive:
        self._archives += 1
        self._engine = self._fallback
        self._open = _Archive(self._total.size, len(self._lost), header, self._unplaced is None)
        return self._open

    def _close(self, end: End) -> None:
        """Compare with the totals of an archive, which may prove that nothing is lost after all."""
        archive = self._open
        assert archive is not None, "END stands behind a header or a part of the archive"
        if archive.content.digest() == end.sha256:
            if archive.placed:
                self._unplaced = None
                found = self._lost[archive.first_loss :]
                self._lost[archive.first_loss :] = [Lost(loss.begin, loss.begin, loss.reason) for loss in found]
        elif not archive.damaged:
            self._guess(archive.begin, "the SHA-256 differs: blocks are missing, doubled or exchanged")
            self._unplaced = self._unplaced or (self._total.size, _MISSING)
        self._open = None

    def _block(self, item: Scanned, header: BlockHeader) -> bool:
        self._blocks += 1
        self._options.limits.check(header, self._blocks)
        try:
            block = Block(header, read_payload(self._source, item))
            raw = decode_block(block, self._engine, None, self._options.limits)
        except (CorruptData, UnsupportedData) as error:
            self._lose(header.raw_size, str(error))
            return False
        self._write(raw)
        if self._open is not None:
            self._open.linked = True
        self._codings[header.kind_name] += 1
        return True

    def _named(self, item: Scanned, header: ModelHeader) -> bool:
        def model() -> ModelRecord:
            return header.with_payload(read_payload(self._source, item))

        self._models[header.model_id] = None
        self._engine = self._options.engine_of(model)
        try:
            model()
        except CorruptData as error:
            self._lose(0, str(error))
            return False
        return True

    def _lose(self, size: int | None, reason: str) -> None:
        """Note a loss, and write zeros in its place."""
        begin = self._total.size
        if len(self._lost) < MOST_LOST:
            self._lost.append(Lost(begin, None if size is None else begin + size, reason))
        else:
            self._unplaced = self._unplaced or (begin, f"the archive is damaged at more than {MOST_LOST} places")
        if self._open is not None and size != 0:
            self._open.damaged = True
        self._options.limits.check_output(begin + (size or 0), self._coded)
        left = size or 0
        while left:
            self._write(_ZEROS[:left])
            left -= min(left, len(_ZEROS))

    def _guess(self, begin: int, reason: str) -> None:
        """Note that all bytes from ``begin`` on are written at places that may be wrong."""
        if begin < self._total.size:
            self._lost.append(Lost(begin, self._total.size, reason, uncertain=True))

    def _write(self, raw: bytes) -> None:
        self._options.limits.check_output(self._total.size + len(raw), self._coded)
        write_all(self._sink, raw)
        if self._open is not None:
            self._open.content.update(raw)
        self._total.update(raw)
        if self._progress is not None:
            self._progress(Progress("decode", self._total.size, self._total.size, self._coded))


def _rest(found: Survey) -> _Rest:
    rest = _Rest()
    for item in found.records():
        match item.record:
            case BlockHeader(raw_size=size):
                rest.uneven |= rest.last not in (0, rest.first)
                rest.first, rest.size, rest.last = rest.first or size, rest.size + size, size
                rest.records = _range(rest.records, item)
            case End():
                rest.end = item
                break
            case ArchiveHeader():
                break
    return rest


def _missing(archive: _Archive, rest: _Rest) -> int | None:
    """Return how many original bytes of an archive were not found; None if it does not say, or holds more."""
    size = None if archive.header is None else archive.header.original_size
    if rest.end is not None and (stated := stated_size(rest.end)) is not None:
        size = stated if size is None else None  # stated twice: header and END are of two archives
    missing = None if size is None else size - archive.content.size - rest.size
    return None if missing is None or missing < 0 else missing


def _fits(archive: _Archive, rest: _Rest, missing: int | None, span: int) -> bool:
    """Whether the places behind the damage are sure: no border of archives can hide in it, so that sizes add up.

    All blocks of an archive but its last have the same size, and few blocks cannot take the room of many.

    Args:
        archive: what stands before the damage.
        rest: what stands behind it.
        missing: original bytes lost there.
        span: bytes of the archive that are damaged; less than 1 if bytes are missing or records contradict each other.
    """
    if archive.header is None or missing is None or span <= 0 or archive.damaged:  # bytes may be missing
        return False
    if missing == 0:  # no block is lost: only the END record, or nobody knows what stood there
        return rest.size == 0 and rest.end is None and span < SMALLEST_BORDER
    block_size, size = archive.header.block_size, archive.content.size + missing + rest.size
    if archive.uneven or rest.uneven or (rest.last != rest.size and rest.first != block_size):
        return False
    if rest.last and (missing % block_size or rest.last != (size - 1) % block_size + 1):
        return False
    blocks = -(-missing // block_size)
    records = [size for size in (*archive.records, *rest.records) if size] or [0]
    return blocks * min(records) * 3 // 4 < span < blocks * max(records) + max(records) // 4 + SMALLEST_BORDER


def _range(records: tuple[int, int], item: Scanned) -> tuple[int, int]:
    size = item.end_offset - item.offset
    return min(records[0] or size, size), max(records[1], size)
