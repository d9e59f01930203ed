"""Single blocks of a seekable archive, each decoded only when its bytes are asked for."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.decoder import DecodeOptions
from zipllm.container import Block, BlockHeader, ModelHeader, Scanned, Seekable, read_payload, scan
from zipllm.container.model_record import ModelRecord
from zipllm.engine.engine import LazyEngine
from zipllm.errors import ZipllmError


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a block.

    Attributes:
        number: of the block, from 1, over all concatenated archives.
        begin: offset of its first byte in the original.
        header: of its record.
        item: where its record is in the archive.
        model: the record that names its model, if any.
    """

    number: int
    begin: int
    header: BlockHeader
    item: Scanned
    model: Scanned | None

    @property
    def end(self) -> int:
        """Offset of the first byte after it in the original."""
        return self.begin + self.header.raw_size


class RandomAccess:
    """Reads all record headers at once, and payloads only as they are needed.

    Every decoded block is checked by its CRC-32. Only a reader of the whole content (``ArchiveDecoder``) can check its
    SHA-256.

    Args:
        source: at the first byte of an archive.
        options: see ``DecodeOptions``; ``workers`` is ignored.

    Attributes:
        places: every block, in order.
        size: bytes of the original.

    Raises:
        CorruptData: here, a damaged or missing record; later, a damaged block.
        UnsupportedData: as CorruptData.
        LimitExceeded: as CorruptData.
        ModelError: later, when the model cannot be loaded.
    """

    def __init__(self, source: Seekable, options: DecodeOptions | None = None) -> None:
        self._source = source
        self._options = options or DecodeOptions()
        self._loaded: dict[int, LazyEngine] = {}
        self.places = list(_places(scan(source, self._options.limits)))
        self.size = self.places[-1].end if self.places else 0
        self._begins = [place.begin for place in self.places]

    def at(self, position: int) -> Place | None:
        """Return the block that holds the byte at ``position``; None past the last byte."""
        if not 0 <= position < self.size:
            return None
        return self.places[bisect_right(self._begins, position) - 1]

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Place, bytes]]:
        """Decode the blocks between two offsets; yield each with the part of its bytes that lies between them."""
        while (place := self.at(start)) is not None and start < stop:
            yield place, self.decode(place)[start - place.begin : stop - place.begin]
            start = place.end

    def decode(self, place: Place) -> bytes:
        """Decode one block; errors name it."""
        block = Block(place.header, read_payload(self._source, place.item))
        try:
            return decode_block(block, self._engine(place.model), None)
        except ZipllmError as error:
            where = f"block {place.number}, bytes {place.begin} to {place.end} of the original"
            raise error.at(where) from error

    def _engine(self, item: Scanned | None) -> LazyEngine | None:
        if item is None:
            return None
        if item.offset not in self._loaded:
            self._loaded[item.offset] = self._options.engine_of(lambda: self._model(item))
        return self._loaded[item.offset]

    def _model(self, item: Scanned) -> ModelRecord:
        assert isinstance(item.record, ModelHeader)
        return item.record.with_payload(read_payload(self._source, item))


def _places(items: Iterator[Scanned]) -> Iterator[Place]:
    number, begin = 0, 0
    model: Scanned | None = None
    for item in items:
        match item.record:
            case BlockHeader() as header:
                number += 1
                yield Place(number, begin, header, item, model)
                begin += header.raw_size
            case ModelHeader():
                model = item
            case _:  # each archive names its own model
                model = None
