"""Single blocks of a seekable archive, each decoded only when its bytes are asked for."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.decoder import DecodeOptions
from zipllm.container import (
    ArchiveHeader,
    Block,
    BlockHeader,
    ModelHeader,
    Scanned,
    Seekable,
    read_payload,
    read_record,
    scan,
)
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
    """Reads all record headers at once, keeps 16 bytes of each block, and reads payloads only as they are needed.

    Every decoded block is checked by its CRC-32. Only a reader of the whole content (``ArchiveDecoder``) can check its
    SHA-256.

    Args:
        source: at the first byte of an archive.
        options: see ``DecodeOptions``; ``workers`` is ignored.

    Attributes:
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
        self._offsets, self._begins = array("q"), array("q")  # of each block: in the archive, in the original
        self._models: list[tuple[int, Scanned | None]] = []  # from which block on a model is named, or none
        self.size = 0
        for item in scan(source, self._options.limits):
            if isinstance(item.record, BlockHeader):
                self._offsets.append(item.offset)
                self._begins.append(self.size)
                self.size += item.record.raw_size
            elif isinstance(item.record, ArchiveHeader | ModelHeader):  # each archive names its own model
                model = item if isinstance(item.record, ModelHeader) else None
                if self._models and self._models[-1][0] == len(self._offsets):
                    self._models.pop()
                self._models.append((len(self._offsets), model))

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._offsets)

    def at(self, position: int) -> Place | None:
        """Return the block that holds the byte at ``position``; None past the last byte."""
        if not 0 <= position < self.size:
            return None
        index = bisect_right(self._begins, position) - 1
        item = read_record(self._source, self._offsets[index])
        assert isinstance(item.record, BlockHeader), "it was one when the index was made"
        _, model = self._models[bisect_right(self._models, index, key=itemgetter(0)) - 1]
        return Place(index + 1, self._begins[index], item.record, item, model)

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Place, bytes]]:
        """Decode the blocks between two offsets; yield each with the part of its bytes that lies between them."""
        while (place := self.at(start)) is not None and start < stop:
            yield place, self.decode(place)[start - place.begin : stop - place.begin]
            start = place.end

    def decode(self, place: Place) -> bytes:
        """Decode one block; errors name it."""
        block = Block(place.header, read_payload(self._source, place.item))
        try:
            return decode_block(block, self._engine(place.model), None, self._options.limits)
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
