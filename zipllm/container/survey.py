"""What can still be found in a damaged archive: every intact record, and the holes between them.

A reader of whole archives stops at the first damage. A survey continues at the next record header with a right CRC-32.
An archive stored inside a block has such records too; what gives them away is an END record that neither another
archive nor the end of the file follows.
"""

import re
from dataclasses import dataclass, field
from zlib import crc32

from zipllm.container.block import BlockHeader, Coding
from zipllm.container.header import (
    MAGIC,
    PREFIX_BYTES,
    SHA256_BYTES,
    ArchiveHeader,
    End,
    check_marker,
    header_bytes,
    parse_header,
)
from zipllm.container.limits import Limits
from zipllm.container.model_record import ModelHeader
from zipllm.container.reader import Scanned, parse_record, read_payload
from zipllm.container.record import CRC_BYTES, MAX_FIELD_BYTES, RecordType, is_sealed, read_frame
from zipllm.container.record import PREFIX_BYTES as RECORD_PREFIX_BYTES
from zipllm.container.streams import ByteSource, Seekable
from zipllm.errors import CorruptData, UnsupportedData

_WINDOW = 1 << 20
_SHORT_END = RECORD_PREFIX_BYTES + 1 + SHA256_BYTES + CRC_BYTES
"""Bytes of an END record without original size, up to its marker."""

_LONGEST = RECORD_PREFIX_BYTES + MAX_FIELD_BYTES + CRC_BYTES
_CANDIDATE = re.compile(b"[%s]|%s" % (re.escape(bytes(RecordType)), re.escape(MAGIC)))


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of an archive that are no record.

    Attributes:
        offset: of the first byte.
        end_offset: of the first byte after the hole.
        reason: what is wrong at its first byte.
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
        size: original bytes of the whole archive; None if neither header nor end states it.
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
        limits: sizes beyond which an intact record is refused.

    Returns:
        The archives in order; one without blocks if nothing was found.

    Raises:
        LimitExceeded: a record is larger than a limit allows, or there are too many.
    """
    return _Survey(source, limits or Limits()).run()


class _Survey:
    """Goes over a source record by record, and over damage byte by byte."""

    def __init__(self, source: Seekable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._begin = source.tell()
        self._end = source.seek(0, 2)
        self._archives = [Found()]
        self._blocks = 0
        self._doubtful: int | None = None  # the damaged archive after whose damage no fitting END has come yet

    def run(self) -> list[Found]:
        """Walk to the end."""
        position, fresh = self._begin, True  # fresh: an archive should begin here
        while position < self._end:
            try:
                item = self._parse(position, header=fresh)
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
                self._limits.check(header)
                if self._archive.header is not None or self._archive.parts or self._archive.end is not None:
                    self._archives.append(Found())
                self._archive.header, self._archive.size = header, header.original_size
            case BlockHeader() | ModelHeader() as record:
                self._blocks += isinstance(record, BlockHeader)
                self._limits.check(record, self._blocks)
                self._archive.parts.append(item)
            case End() as end:
                self._archive.end = end
                if self._archive.size is None and item.payload_offset - item.offset != _SHORT_END:
                    self._archive.size = end.original_size

    def _has_ended(self, end: Scanned) -> bool:
        """Whether an archive ends here, so that another one may begin.

        Behind damage it may be the END of an archive inside a lost block: another archive or nothing follows the END of
        the outer one. Then everything found since the damage becomes part of the hole.
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
        """Add a hole, joined to the one before if they touch."""
        if self._doubtful is None:
            self._doubtful = len(self._archives) - 1
        parts = self._archive.parts
        if parts and isinstance(parts[-1], Hole) and parts[-1].end_offset == hole.offset:
            hole = Hole(parts[-1].offset, hole.end_offset, parts[-1].reason)
            parts.pop()
        parts.append(hole)

    def _parse(self, position: int, *, header: bool) -> Scanned:
        """Parse the archive header or the record that begins here."""
        source = self._at(position)
        if header:
            prefix = source.read(PREFIX_BYTES, "a header")
            parsed = parse_header(prefix + source.read(header_bytes(prefix) - PREFIX_BYTES, "the rest of a header"))
            return Scanned(parsed, position, source.position)
        data = read_frame(source)
        item = Scanned(parse_record(data, self._stated_size(len(data))), position, source.position)
        if item.end_offset > self._end:
            raise CorruptData("the archive is truncated inside a payload")
        if isinstance(item.record, End):
            check_marker(read_payload(self._source, item))
        return item

    def _stated_size(self, frame_bytes: int) -> int | None:
        """Return the original size if an END record of this length does not state it; without a header, a guess."""
        header = self._archive.header
        if header is not None:
            return header.original_size
        return self._archive.found_size if frame_bytes == _SHORT_END else None

    def _search_from(self, position: int) -> int:
        """Return where the next record may begin: earlier than expected if bytes of the last payload are missing."""
        last = self._archive.parts[-1] if self._archive.parts else None
        if isinstance(last, Scanned) and last.end_offset == position and not self._is_whole(last):
            return last.payload_offset + 1
        return position + 1

    def _is_whole(self, item: Scanned) -> bool:
        """Whether this is an undamaged stored block; other payloads would have to be decoded first."""
        block = item.record
        if not isinstance(block, BlockHeader) or block.coding != Coding.STORED:
            return False
        return crc32(read_payload(self._source, item)) == block.raw_crc32

    def _search(self, position: int) -> int:
        """Return where the next intact record or archive header begins, or the end."""
        while position < self._end:
            window = self._at(position).read_up_to(_WINDOW + _LONGEST)
            for match in _CANDIDATE.finditer(window, 0, _WINDOW + len(MAGIC) - 1):
                if self._parses(position + match.start(), window[match.start() : match.start() + _LONGEST]):
                    return position + match.start()
            position += _WINDOW
        return self._end

    def _parses(self, position: int, data: bytes) -> bool:
        if len(data) < RECORD_PREFIX_BYTES:
            return False
        is_header = data.startswith(MAGIC)
        if not is_header and not is_sealed(data[: RECORD_PREFIX_BYTES + data[1] + CRC_BYTES]):
            return False
        try:
            self._parse(position, header=is_header)
        except (CorruptData, UnsupportedData):
            return False
        return True

    def _is_magic(self, position: int) -> bool:
        return self._at(position).read_up_to(len(MAGIC)) == MAGIC

    def _at(self, position: int) -> ByteSource:
        self._source.seek(position)
        return ByteSource(self._source)
