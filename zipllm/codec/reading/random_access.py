"""Single blocks of an archive that can be sought in, each decoded when its bytes are asked for and not before."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.decoder import EmbeddedLoader, archive_engine
from zipllm.container import Block, BlockHeader, Limits, ModelHeader, Scanned, Seekable, read_payload, scan
from zipllm.container.model_record import ModelRecord, check_model
from zipllm.engine.engine import EngineFinder, LazyEngine, engine_from_model_file
from zipllm.errors import ZipllmError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands.

    Attributes:
        number: of the block, from 1, over all concatenated archives.
        begin: offset of its first byte in the original.
        header: what is known of it before its payload is read.
        item: where its record is in the archive.
        model: the record that names its model, if there is one.
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
    """Reads all record headers at once, and afterwards only the payloads that are needed.

    Every block that is decoded is checked by its CRC-32. The SHA-256 is of the whole content, so it can be
    checked by a reader of the whole only, which ``ArchiveDecoder`` is.

    Args:
        source: at the first byte of an archive.
        engines: gives the engine of a model_id.
        limits: what is refused although it is intact.
        embedded: makes an engine of the model file that an archive carries; used when ``engines`` finds none.

    Attributes:
        places: every block, in order.
        size: bytes of the original.

    Raises:
        CorruptData: here, a damaged or missing record; later, a damaged block.
        UnsupportedData: as CorruptData.
        LimitExceeded: as CorruptData.
        ModelError: later, when the model cannot be had.
    """

    def __init__(
        self,
        source: Seekable,
        *,
        engines: EngineFinder,
        limits: Limits | None = None,
        embedded: EmbeddedLoader = engine_from_model_file,
    ) -> None:
        self._source = source
        self._engines = engines
        self._embedded = embedded
        self._loaded: dict[int, LazyEngine] = {}
        self.places = list(_places(scan(source, limits)))
        self.size = self.places[-1].end if self.places else 0
        self._begins = [place.begin for place in self.places]

    def at(self, position: int) -> Place | None:
        """Return the block that holds the byte at ``position``, None behind the last."""
        if not 0 <= position < self.size:
            return None
        return self.places[bisect_right(self._begins, position) - 1]

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Place, bytes]]:
        """Decode the blocks between two offsets and yield what of each lies between them."""
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
            raise type(error)(f"{error} ({where})") from error

    def _engine(self, item: Scanned | None) -> LazyEngine | None:
        if item is None:
            return None
        if item.offset not in self._loaded:
            self._loaded[item.offset] = archive_engine(lambda: self._model(item), self._engines, self._embedded)
        return self._loaded[item.offset]

    def _model(self, item: Scanned) -> ModelRecord:
        assert isinstance(item.record, ModelHeader)
        return check_model(item.record, read_payload(self._source, item))


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
            case _:  # a model is named for one archive only
                model = None
