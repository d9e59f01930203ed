"""Intact records behind the place where a reader of a damaged archive stops.

A lost record may have held another archive, whose records look like those of the archive around it. So records that
lead, one to the next, to the END at the end of the file are told from all others: in a lost record, END is followed by
something else than another archive or the end of the file.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from zipllm.container.header import MAGIC, SHA256_BYTES, ArchiveHeader, End, check_marker, parse_header
from zipllm.container.reader import Scanned, parse_record
from zipllm.container.record import CRC_BYTES, MAX_FIELD_BYTES, RecordType, is_sealed
from zipllm.container.record import PREFIX_BYTES as RECORD_PREFIX_BYTES
from zipllm.container.streams import Seekable, read_up_to
from zipllm.errors import CorruptData, UnsupportedData

SMALLEST_BORDER = RECORD_PREFIX_BYTES + 1 + SHA256_BYTES + CRC_BYTES + len(MAGIC) + 9
"""Bytes of END and the header of another archive behind it, at least."""

_WINDOW = 1 << 20
_SHORT_END = RECORD_PREFIX_BYTES + 1 + SHA256_BYTES + CRC_BYTES
"""Bytes of an END record without original size, up to its marker."""

_LONGEST = RECORD_PREFIX_BYTES + MAX_FIELD_BYTES + CRC_BYTES + End.payload_size
_CANDIDATE = re.compile(b"[%s]|%s" % (re.escape(bytes(RecordType)), re.escape(MAGIC)))


def stated_size(end: Scanned) -> int | None:
    """Return the original size that an END record states; None if it leaves that to the header."""
    assert isinstance(end.record, End)
    return None if end.payload_offset - end.offset == _SHORT_END else end.record.original_size


class Survey:
    """All intact records of a source from some place on.

    The time is linear in the bytes from there on; memory is about 1.3 times as many bytes at most, in archives of
    one-byte blocks.

    Args:
        source: seekable.
        start: offset of the first byte that may begin a record.

    Attributes:
        end: offset of the source's end.
        tail: offset from which on records follow each other without a gap to the END at the end; ``end`` if that END is
            missing. Where two such chains of records overlap, the tail begins behind the overlap.
    """

    def __init__(self, source: Seekable, start: int) -> None:
        self._source = source
        self._offsets, self._ends, self._types = array("q"), array("q"), bytearray()
        self.end = source.seek(0, 2)
        for item in self._candidates(start):
            if item.end_offset <= self.end:
                self._offsets.append(item.offset)
                self._ends.append(item.end_offset)
                self._types.append(_type_of(item))
        self.tail = self._find_tail()

    def has(self, offset: int) -> bool:
        """Whether an intact record begins at an offset."""
        index = bisect_left(self._offsets, offset)
        return index < len(self._offsets) and self._offsets[index] == offset

    def records(self) -> Iterator[Scanned]:
        """Yield the records of the tail."""
        offset = self.tail
        while offset < self.end:
            item = self._at(offset)
            yield item
            offset = item.end_offset

    def others(self, wanted: Callable[[Scanned], bool]) -> Iterator[Scanned]:
        """Yield records before the tail that are wanted and do not overlap; nobody knows where they belong."""
        free = 0
        for offset, end in zip(self._offsets, self._ends, strict=True):
            if offset >= self.tail:
                return
            if free <= offset and end <= self.tail and wanted(item := self._at(offset)):
                yield item
                free = end

    def _candidates(self, position: int) -> Iterator[Scanned]:
        while position < self.end:
            self._source.seek(position)
            window = read_up_to(self._source, _WINDOW + _LONGEST)
            for match in _CANDIDATE.finditer(window, 0, _WINDOW + len(MAGIC) - 1):
                if match.start() < _WINDOW:
                    item = _parse(window[match.start() : match.start() + _LONGEST], position + match.start())
                    if item is not None:
                        yield item
            position += _WINDOW

    def _find_tail(self) -> int:
        """Follow the records back from the end."""
        leads = bytearray(len(self._types))  # whether a record leads to the end
        for index in reversed(range(len(leads))):
            leads[index] = self._leads(index, leads)
        tail, expected = self.end, -1
        for index, offset in enumerate(self._offsets):
            if leads[index]:
                if expected in (-1, offset):
                    tail = min(tail, offset)
                    expected = self._ends[index]
                else:  # two chains: what they share begins later
                    tail = self.end
        return tail

    def _leads(self, index: int, leads: bytearray) -> bool:
        end = self._ends[index]
        if end == self.end:
            return self._types[index] == RecordType.END
        following = bisect_left(self._offsets, end, index)
        if not self.has(end) or not leads[following]:
            return False
        return (self._types[index] == RecordType.END) == (self._types[following] == MAGIC[0])

    def _at(self, offset: int) -> Scanned:
        self._source.seek(offset)
        item = _parse(read_up_to(self._source, _LONGEST), offset)
        assert item is not None, "it was parsed before"
        return item


def _type_of(item: Scanned) -> int:
    return MAGIC[0] if isinstance(item.record, ArchiveHeader) else RecordType.END if isinstance(item.record, End) else 0


def _parse(data: bytes, offset: int) -> Scanned | None:
    """Parse the archive header or the record at the beginning of ``data``; None if there is no intact one."""
    try:
        if data.startswith(MAGIC):
            size = data[len(MAGIC)] if len(data) > len(MAGIC) else 0
            return Scanned(parse_header(data[:size]), offset, offset + size) if is_sealed(data[:size]) else None
        size = RECORD_PREFIX_BYTES + data[1] + CRC_BYTES if len(data) > 1 else 0
        if not is_sealed(data[:size]):
            return None
        item = Scanned(parse_record(data[:size], 0 if size == _SHORT_END else None), offset, offset + size)
        if isinstance(item.record, End):
            check_marker(data[size : size + End.payload_size])
        return item
    except (CorruptData, UnsupportedData):
        return None
