"""Archives as a sequence of typed records (FORMAT.md, sections 2 to 7), from any source that can be read.

Everything that can be checked without decoding is checked here, in this order for each record: complete, undamaged
(CRC-32), known, consistent, in its place, within the limits; only then is its payload read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from zipllm.container.block import Block, BlockHeader, Coding
from zipllm.container.header import (
    END_MARKER,
    MAGIC,
    PREFIX_BYTES,
    ArchiveHeader,
    End,
    check_marker,
    header_bytes,
    parse_header,
)
from zipllm.container.limits import Limits
from zipllm.container.model_record import ModelHeader, ModelRecord
from zipllm.container.record import RecordType, parse_frame, read_frame
from zipllm.container.streams import ByteSource, Readable, Seekable
from zipllm.errors import CorruptData, LimitExceeded, UnsupportedData

RecordHeader = ArchiveHeader | ModelHeader | BlockHeader | End
Record = ArchiveHeader | ModelRecord | Block | End


@dataclass(frozen=True, slots=True)
class Scanned:
    """Where one record stands.

    Attributes:
        record: its header.
        offset: of its first byte, from the source's beginning if it is seekable, else from where reading began.
        payload_offset: of its payload's first byte.
    """

    record: RecordHeader
    offset: int
    payload_offset: int

    @property
    def payload_size(self) -> int:
        """Bytes of its payload."""
        return self.record.payload_size

    @property
    def end_offset(self) -> int:
        """Offset of the first byte after the record."""
        return self.payload_offset + self.payload_size


class ArchiveReader:
    """Iterates over the records of one or several concatenated archives; each archive begins with its header.

    Args:
        source: at the first byte of an archive; never seeks.
        limits: sizes beyond which an intact archive is refused.

    Raises:
        CorruptData: while iterating: damage, truncation, or bytes after the last archive.
        UnsupportedData: while iterating: intact, but of an unknown version or method.
        LimitExceeded: while iterating: larger than a limit allows.
    """

    def __init__(self, source: Readable, limits: Limits | None = None) -> None:
        self._source = ByteSource(source)
        self._start = self._source.position
        self._records = self._read(_Walk(self._source, limits or Limits()))

    def __iter__(self) -> Iterator[Record]:
        return self._records

    @property
    def count(self) -> int:
        """Bytes read so far."""
        return self._source.position - self._start

    def _read(self, walk: "_Walk") -> Iterator[Record]:
        for item in walk.records():
            match item.record:
                case BlockHeader() as header:
                    yield Block(header, self._source.read(item.payload_size, "the payload of a block"))
                case ModelHeader() as header:
                    yield header.with_payload(self._source.read(item.payload_size, header.payload_name))
                case record:
                    yield record


def scan(source: Readable, limits: Limits | None = None) -> Iterator[Scanned]:
    """Iterate over the records and skip their payloads, by seeking where the source allows it.

    Raises:
        CorruptData: as :class:`ArchiveReader`, except damage inside payloads.
        UnsupportedData: as :class:`ArchiveReader`.
        LimitExceeded: as :class:`ArchiveReader`.
    """
    stream = ByteSource(source)
    for item in _Walk(stream, limits or Limits()).records():
        stream.skip(item.end_offset - stream.position, "a payload")
        yield item


def read_payload(source: Seekable, item: Scanned) -> bytes:
    """Return the payload of a record that :func:`scan` found in the same seekable source.

    The source's position is restored, so that a scan in progress can continue.

    Raises:
        CorruptData: the source has become shorter.
    """
    position = source.tell()
    source.seek(item.payload_offset)
    payload = ByteSource(source).read(item.payload_size, "a payload")
    source.seek(position)
    return payload


def read_record(source: Seekable, offset: int) -> Scanned:
    """Return the record header at a place where :func:`scan` found one, of a MODEL, LOCAL or BLOCK record.

    The source's position is restored.

    Raises:
        CorruptData: the source has changed.
        UnsupportedData: the source has changed.
    """
    position = source.tell()
    source.seek(offset)
    stream = ByteSource(source)
    item = Scanned(parse_record(read_frame(stream), None), offset, stream.position)
    source.seek(position)
    return item


def parse_record(data: bytes, original_size: int | None) -> ModelHeader | BlockHeader | End:
    """Parse a record up to its payload.

    Args:
        data: what ``read_frame`` returned.
        original_size: what the archive's header states; an END record repeats nothing.

    Raises:
        CorruptData: damage, or fields that contradict each other.
        UnsupportedData: intact, but of an unknown type or method.
    """
    kind, fields = parse_frame(data)
    if kind is RecordType.BLOCK:
        return BlockHeader.parse(fields)
    if kind is RecordType.END:
        return End.parse(fields, original_size)
    return ModelHeader.parse(fields, local=kind is RecordType.LOCAL)


class _Walk:
    """Parses and checks record after record; its caller reads or skips each payload before the next record."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._start = source.position
        self._blocks = 0
        self._finished_output = 0
        # Of the archive that is being read:
        self._header = ArchiveHeader(block_size=1)
        self._output = 0
        self._has_model = False

    def records(self) -> Iterator[Scanned]:
        """Yield the records of all archives."""
        prefix = self._source.read_up_to(PREFIX_BYTES)
        if not prefix:
            raise CorruptData("not a zipllm archive: it is empty")
        while prefix:
            yield from self._archive(prefix)
            self._finished_output += self._output
            prefix = self._source.read_up_to(PREFIX_BYTES)
            if not MAGIC.startswith(prefix[: len(MAGIC)]):
                raise CorruptData(f"bytes after the end of the archive, at byte {self._source.position - len(prefix)}")

    def _archive(self, prefix: bytes) -> Iterator[Scanned]:
        start = self._source.position - len(prefix)
        self._header, self._output, self._has_model = self._read_header(prefix), 0, False
        yield Scanned(self._header, start, self._source.position)
        while not isinstance((item := self._next_record()).record, End):
            yield item
        check_marker(self._source.read(len(END_MARKER), "the end marker"))
        yield item

    def _read_header(self, prefix: bytes) -> ArchiveHeader:
        if len(prefix) < PREFIX_BYTES and MAGIC.startswith(prefix[: len(MAGIC)]):
            raise CorruptData(f"the archive is truncated: only {len(prefix)} bytes of its header are there")
        size = header_bytes(prefix)
        header = parse_header(prefix + self._source.read(size - len(prefix), "the rest of the header"))
        self._limits.check(header)
        if self._limits.output is not None and header.original_size is not None:
            self._limits.check_output(self._finished_output + header.original_size, 0)
        return header

    def _next_record(self) -> Scanned:
        offset = self._source.position
        data = read_frame(self._source)
        try:
            item = Scanned(parse_record(data, self._header.original_size), offset, self._source.position)
            match item.record:
                case BlockHeader() as block:
                    self._check_block(block, item.end_offset)
                case ModelHeader() as model:
                    self._check_model(model)
                case End() as end if end.original_size != self._output:
                    raise CorruptData(
                        f"the blocks hold {self._output} bytes, the archive states {end.original_size}: "
                        "a block is missing"
                    )
        except (CorruptData, UnsupportedData, LimitExceeded) as error:
            raise error.at(f"record at byte {offset}") from error
        return item

    def _check_block(self, block: BlockHeader, end_offset: int) -> None:
        declared = self._header.original_size
        self._output += block.raw_size
        self._blocks += 1
        if block.raw_size > self._header.block_size:
            raise CorruptData(
                f"a block has {block.raw_size} original bytes, the header allows {self._header.block_size}"
            )
        if declared is not None and self._output > declared:
            raise CorruptData(f"the blocks hold at least {self._output} bytes, the header states {declared}")
        if block.coding == Coding.MODEL and not self._has_model:
            raise CorruptData("a model-coded block stands before the record that names its model")
        self._limits.check(block, self._blocks)
        self._limits.check_output(self._finished_output + self._output, end_offset - self._start)

    def _check_model(self, model: ModelHeader) -> None:
        if self._has_model:
            raise CorruptData("the archive names a second model")
        self._has_model = True
        self._limits.check(model)
