"""The decoded blocks of an archive as a seekable raw byte stream."""

import io
import os
from typing import TYPE_CHECKING, cast

from zipllm.codec.decoder import ArchiveDecoder, DecodeOptions
from zipllm.codec.reading.random_access import RandomAccess
from zipllm.container import Seekable
from zipllm.container.streams import Readable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DecodedBytes(io.RawIOBase):
    """Decodes block by block as it is read; holds one block, and those its workers are decoding.

    Reading from the beginning to the end checks the SHA-256 of the content. A seek into another block reads all record
    headers; from then on only blocks that are read from are decoded, each checked by its CRC-32. A seek to the
    beginning starts over. A forked process goes on by itself where the source can seek; both share its place, so
    only one of them may read.

    Args:
        source: binary, at the first byte of an archive. Not closed here.
        options: see ``DecodeOptions``; after a seek one block is decoded at a time.
    """

    def __init__(self, source: Readable, options: DecodeOptions | None = None) -> None:
        self._options = options or DecodeOptions()
        self._process = os.getpid()
        self._decoder: ArchiveDecoder | None = None
        self._source = source
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
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        self._check_seekable()
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
        self._decoder = ArchiveDecoder(self._source, options=self._options)
        self._blocks = iter(self._decoder)
        self._left, self._position = memoryview(b""), 0
        self._failure: BaseException | None = None

    def _jump(self, target: int) -> None:
        """Go on at ``target``, or at the end if that comes first, without decoding the blocks between."""
        self._check_seekable()
        places = self._places()
        self._position = min(target, places.size)
        self._left = memoryview(b"")
        self._failure = None
        self._end_decoder()
        self._blocks = (piece for _, piece in places.pieces(self._position, places.size))

    def _check_seekable(self) -> None:
        if not self.seekable():
            raise io.UnsupportedOperation("the file under this archive cannot seek")

    def _end_decoder(self) -> None:
        """End threads that decode blocks which nobody will read."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _places(self) -> RandomAccess:
        """Index all blocks by their headers, and restore the source's position for reading on in order."""
        if self._index is None:
            source = cast(Seekable, self._source)
            position = source.tell()
            source.seek(self._start)
            try:
                self._index = RandomAccess(source, self._options)
            finally:
                source.seek(position)
        return self._index

    def _advance(self, count: int) -> None:
        self._left = self._left[count:]
        self._position += count

    def _next_block(self) -> bytes:
        """Return the next block; empty at the end, which is reached only when all checks have passed."""
        if self._process != os.getpid():  # the threads that decode stayed with the parent
            self._process = os.getpid()
            self._jump(self._position)
        if self._failure is not None:
            raise self._failure  # a generator that has raised would end silently the next time
        try:
            return next(self._blocks, b"")
        except BaseException as error:
            self._failure = error
            raise
