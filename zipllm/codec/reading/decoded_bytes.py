"""The decoded blocks of an archive as a raw byte stream that can be sought in."""

import io
from typing import TYPE_CHECKING, cast

from zipllm.codec.decoder import ArchiveDecoder
from zipllm.codec.reading.random_access import RandomAccess
from zipllm.codec.streams import Readable
from zipllm.container import Limits, Seekable
from zipllm.engine.engine import EngineFinder

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DecodedBytes(io.RawIOBase):
    """Decodes block by block as it is read; holds one block, and those in work if there are several workers.

    Read from the beginning on, the SHA-256 of the content is checked at the end. A seek into another block
    reads all record headers, and from then on only the blocks that are read from are decoded, each checked by
    its CRC-32; a seek to the beginning starts anew.

    Args:
        source: binary, at the first byte of an archive. Not closed here.
        engines: gives the engine of a model_id.
        limits: what is refused although it is intact.
        workers: blocks decoded at the same time while it is read from the beginning on.
    """

    def __init__(self, source: Readable, engines: EngineFinder, limits: Limits | None, workers: int = 1) -> None:
        self._workers = workers
        self._decoder: ArchiveDecoder | None = None
        self._source = source
        self._engines = engines
        self._limits = limits
        self._start = cast(Seekable, source).tell() if self.seekable() else 0
        self._index: RandomAccess | None = None
        self._left = memoryview(b"")
        self._position = 0
        self._begin()

    def close(self) -> None:
        self._end_decoder()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        seekable = getattr(self._source, "seekable", None)
        return seekable is not None and bool(seekable())

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        if not self._left:
            self._left = memoryview(self._next_block())
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._advance(count)
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if not self.seekable():
            raise io.UnsupportedOperation("the file under this archive cannot seek")
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        target = max(0, offset + (self._places().size if whence == io.SEEK_END else base[whence]))
        if 0 <= target - self._position <= len(self._left):
            self._advance(target - self._position)
        elif target == 0:
            self._begin()
        else:
            self._jump(target)
        return self._position

    def tell(self) -> int:
        return self._position

    def _begin(self) -> None:
        self._end_decoder()
        if self.seekable():
            cast(Seekable, self._source).seek(self._start)
        self._decoder = ArchiveDecoder(self._source, engines=self._engines, limits=self._limits, workers=self._workers)
        self._blocks = iter(self._decoder)
        self._left, self._position = memoryview(b""), 0
        self._failure: BaseException | None = None

    def _jump(self, target: int) -> None:
        """Go on at ``target``, at most the end, without decoding what lies between."""
        places = self._places()
        self._position = min(target, places.size)
        self._left = memoryview(b"")
        self._failure = None
        self._end_decoder()
        self._blocks = (piece for _, piece in places.pieces(self._position, places.size))

    def _end_decoder(self) -> None:
        """Leave no thread at work on what will not be read."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _places(self) -> RandomAccess:
        """All blocks by their headers; the source's position is put back, for blocks still to be read in order."""
        if self._index is None:
            source = cast(Seekable, self._source)
            position = source.tell()
            source.seek(self._start)
            try:
                self._index = RandomAccess(source, engines=self._engines, limits=self._limits)
            finally:
                source.seek(position)
        return self._index

    def _advance(self, count: int) -> None:
        self._left = self._left[count:]
        self._position += count

    def _next_block(self) -> bytes:
        """Return the next block; nothing at the end, which is reached only when all checks have passed."""
        if self._failure is not None:
            raise self._failure  # an iterator that has failed once would end silently the next time
        try:
            return next(self._blocks, b"")
        except BaseException as error:
            self._failure = error
            raise
