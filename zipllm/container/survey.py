"""What can still be found in a damaged archive: every record that is whole, and the holes between them.

A reader of whole archives stops at the first damage. Here the walk goes on at the next place where a record header
with a right CRC-32 stands. An archive stored inside of an archive has such records, too: they are told apart by
its end, which is not where the outer archive ends.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from zipllm.container.block import BlockHeader, Coding
from zipllm.container.checksum import CRC_BYTES, crc32
from zipllm.container.header import MAGIC, PREFIX_BYTES, ArchiveHeader, header_bytes, parse_header
from zipllm.container.limits import Limits
from zipllm.container.model_record import ModelHeader
from zipllm.container.reader import RecordHeader, Scanned, read_payload
from zipllm.container.record import PREFIX_BYTES as RECORD_PREFIX_BYTES
from zipllm.container.record import RecordType, parse_frame, rest_of_frame
from zipllm.container.source import ByteSource, Seekable
from zipllm.container.trailer import END_MARKER, SHA256_BYTES, End
from zipllm.errors import CorruptData, UnsupportedData

_WINDOW = 1 << 20
_SHORT_END = RECORD_PREFIX_BYTES + 1 + SHA256_BYTES + CRC_BYTES
"""Bytes of an END record, its marker left out, that does not state the original size."""

_LONGEST = 255 + RECORD_PREFIX_BYTES + CRC_BYTES
_CANDIDATE = re.compile(b"[%s]|%s" % (re.escape(bytes(RecordType)), re.escape(MAGIC)))


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of the archive between two records, or at an end, that are no record.

    Attributes:
        offset: of the first byte.
        end_offset: of the first byte after it.
        reason: what was wrong at its first byte.
    """

    offset: int
    end_offset: int
    reason: str


@dataclass
class Found:
    """What was found of one archive.

    Attributes:
        header: None when it is damaged.
        parts: MODEL, LOCAL and BLOCK records and holes, in order.
        end: None when it is damaged or cut off.
        size: original bytes of the whole archive; None when neither header nor end tell.
    """

    header: ArchiveHeader | None = None
    parts: list[Scanned | Hole] = field(default_factory=list)
    end: End | None = None
    size: int | None = None

    @property
    def found_size(self) -> int:
        """Original bytes of the blocks that were found."""
        records = (part.record for part in self.parts if isinstance(part, Scanned))
        return sum(record.raw_size for record in records if isinstance(record, BlockHeader))

    @property
    def holes(self) -> list[Hole]:
        """The holes alone."""
        return [part for part in self.parts if isinstance(part, Hole)]


def survey(source: Seekable, limits: Limits | None = None) -> list[Found]:
    """Find all records of one or several concatenated archives, however damaged.

    Args:
        source: at the first byte of an archive.
        limits: what is refused although it is intact.

    Returns:
        The archives in order; one without blocks if nothing was found.

    Raises:
        LimitExceeded: a record is larger than a limit allows, or there are too many.
    """
    return _Survey(source, limits or Limits()).run()


class _Survey:
    """Walks over a source record by record, and over what is damaged byte by byte."""

    def __init__(self, source: Seekable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._begin = source.tell()
        self._end = source.seek(0, 2)
        self._archives = [Found()]
        self._blocks = 0
        self._doubtful: int | None = None  # the archive whose damage has not been followed by an end that fits

    def run(self) -> list[Found]:
        """Walk to the end."""
        position, fresh = self._begin, True  # fresh: an archive should begin here
        while position < self._end:
            try:
                item = self._header_at(position) if fresh else self._record_at(position)
            except (CorruptData, UnsupportedData) as error:
                following = self._search(self._search_from(position))
                self._add_hole(Hole(position, following, str(error)))
                position, fresh = following, self._is_magic(following)
                continue
            self._take(item)
            position = item.end_offset
            fresh = isinstance(item.record, End) and self._has_ended(item)
        if self._archive.end is None and not self._ends_in_a_hole():
            self._add_hole(Hole(self._end, self._end, "the archive is truncated: its end is missing"))
        return self._archives

    @property
    def _archive(self) -> Found:
        return self._archives[-1]

    def _take(self, item: Scanned) -> None:
        match item.record:
            case ArchiveHeader() as header:
                self._limits.check("block_raw", header.block_size, "the block size in the header")
                if self._archive.header is not None or self._archive.parts or self._archive.end is not None:
                    self._archives.append(Found())
                self._archive.header, self._archive.size = header, header.original_size
            case BlockHeader() as block:
                self._blocks += 1
                self._limits.check("blocks", self._blocks, "the number of blocks")
                self._limits.check("block_raw", block.raw_size, "the size of a block")
                self._limits.check("block_payload", block.payload_size, "the payload size of a block")
                if block.parameters is not None:
                    self._limits.check("lanes", block.parameters.lanes, "the number of lanes of a block")
                self._archive.parts.append(item)
            case ModelHeader() as model:
                self._limits.check("model_file", model.payload_size, "the size of the embedded model file")
                self._archive.parts.append(item)
            case End() as end:
                self._archive.end = end
                if self._archive.size is None and item.payload_offset - item.offset != _SHORT_END:
                    self._archive.size = end.original_size

    def _has_ended(self, end: Scanned) -> bool:
        """Whether an archive ends here, so that another one may begin.

        Behind damage it may be the end of an archive inside of a lost block. Then all that was found since the damage
        is taken back: the end of the outer archive is followed by another archive or by nothing.
        """
        at_end = end.end_offset >= self._end
        if self._doubtful is None or at_end or self._is_magic(end.end_offset):
            if at_end or self._doubtful == len(self._archives) - 1:
                self._doubtful = None
            if not at_end:
                self._archives.append(Found())
            return True
        del self._archives[self._doubtful + 1 :]
        self._archive.end = None
        parts = self._archive.parts
        first = next(index for index, part in enumerate(parts) if isinstance(part, Hole))
        hole = self._archive.holes[0]
        parts[first:] = [Hole(hole.offset, end.end_offset, hole.reason)]
        return False

    def _ends_in_a_hole(self) -> bool:
        return bool(self._archive.parts) and isinstance(self._archive.parts[-1], Hole)

    def _add_hole(self, hole: Hole) -> None:
        """Two holes side by side are one."""
        if self._doubtful is None:
            self._doubtful = len(self._archives) - 1
        parts = self._archive.parts
        if parts and isinstance(parts[-1], Hole) and parts[-1].end_offset == hole.offset:
            hole = Hole(parts[-1].offset, hole.end_offset, parts[-1].reason)
            parts.pop()
        parts.append(hole)

    def _header_at(self, position: int) -> Scanned:
        data = self._read(position, PREFIX_BYTES)
        size = header_bytes(data)
        return Scanned(parse_header(self._read(position, size)), position, position + size)

    def _record_at(self, position: int) -> Scanned:
        prefix = self._read(position, RECORD_PREFIX_BYTES)
        data = self._read(position, RECORD_PREFIX_BYTES + rest_of_frame(prefix))
        kind, fields = parse_frame(data)
        record: RecordHeader
        match kind:
            case RecordType.BLOCK:
                record = BlockHeader.parse(fields)
            case RecordType.MODEL | RecordType.LOCAL:
                record = ModelHeader.parse(fields, local=kind is RecordType.LOCAL)
            case RecordType.END:
                record = End.parse(fields, self._stated_size(len(data)))
        size = len(END_MARKER) if isinstance(record, End) else record.payload_size
        item = Scanned(record, position, position + len(data), size)
        if item.end_offset > self._end:
            raise CorruptData("the archive is truncated inside of a payload")
        if isinstance(record, End) and self._read(item.payload_offset, size) != END_MARKER:
            raise CorruptData("the end marker is damaged")
        return item

    def _stated_size(self, frame_bytes: int) -> int | None:
        """What the END record does not repeat, told apart by its length when the header is lost."""
        header = self._archive.header
        if header is not None:
            return header.original_size
        return self._archive.found_size if frame_bytes == _SHORT_END else None

    def _search_from(self, position: int) -> int:
        """Where the next record may begin: earlier than expected if bytes of the last payload are missing."""
        last = self._archive.parts[-1] if self._archive.parts else None
        if isinstance(last, Scanned) and last.end_offset == position and not self._is_whole(last):
            return last.payload_offset + 1
        return position + 1

    def _is_whole(self, item: Scanned) -> bool:
        """Whether a stored block is undamaged. Of other payloads nothing is known before they are decoded."""
        block = item.record
        if not isinstance(block, BlockHeader) or block.coding != Coding.STORED:
            return False
        return crc32(read_payload(self._source, item)) == block.raw_crc32

    def _search(self, position: int) -> int:
        """Return where the next whole record or archive header begins, or the end."""
        while position < self._end:
            window = self._read_up_to(position, _WINDOW + _LONGEST)
            for match in _CANDIDATE.finditer(window, 0, _WINDOW + len(MAGIC) - 1):
                if self._parses(position + match.start(), window[match.start() : match.start() + _LONGEST]):
                    return position + match.start()
            position += _WINDOW
        return self._end

    def _parses(self, position: int, data: bytes) -> bool:
        if len(data) < RECORD_PREFIX_BYTES:
            return False
        parse: Callable[[int], Scanned] = self._record_at
        if data.startswith(MAGIC):
            parse = self._header_at
        elif crc32(data[: RECORD_PREFIX_BYTES + data[1]]) != _check_of(data):
            return False
        try:
            parse(position)
        except (CorruptData, UnsupportedData):
            return False
        return True

    def _is_magic(self, position: int) -> bool:
        return self._read_up_to(position, len(MAGIC)) == MAGIC

    def _read(self, position: int, count: int) -> bytes:
        self._source.seek(position)
        return ByteSource(self._source).read(count, "a record")

    def _read_up_to(self, position: int, count: int) -> bytes:
        self._source.seek(position)
        return ByteSource(self._source).read_up_to(count)


def _check_of(data: bytes) -> int:
    end = RECORD_PREFIX_BYTES + data[1]
    return int.from_bytes(data[end : end + CRC_BYTES], "little")
