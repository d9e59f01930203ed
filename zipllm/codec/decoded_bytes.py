"""The decoded blocks of an archive as a raw byte stream that can be sought in."""

import io
from typing import TYPE_CHECKING, cast

from zipllm.codec.decoder import ArchiveDecoder
from zipllm.codec.engine import EngineFinder
from zipllm.codec.streams import Readable
from zipllm.container import Limits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DecodedBytes(io.RawIOBase):
    """Decodes block by block as it is read; holds one block.

    Args:
        source: binary, at the first byte of an archive. Not closed here.
        engines: gives the engine of a model_id.
        limits: what is refused although it is intact.
    """

    def __init__(self, source: Readable, engines: EngineFinder, limits: Limits | None) -> None:
        self._source = source
        self._engines = engines
        self._limits = limits
        self._start = cast(io.BufferedIOBase, source).tell() if self.seekable() else 0
        self._left = memoryview(b"")
        self._position = 0
        self._begin()

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
        self._left = self._left[count:]
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if not self.seekable():
            raise io.UnsupportedOperation("the file under this archive cannot seek")
        if whence == io.SEEK_END:
            self._skip_to(None)
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._position}[whence]
        if target < self._position:
            cast(io.BufferedIOBase, self._source).seek(self._start)
            self._begin()
        self._skip_to(max(0, target))
        return self._position

    def tell(self) -> int:
        return self._position

    def _begin(self) -> None:
        self._blocks = iter(ArchiveDecoder(self._source, engines=self._engines, limits=self._limits))
        self._left, self._position = memoryview(b""), 0
        self._failure: BaseException | None = None

    def _next_block(self) -> bytes:
        """Return the next block; nothing at the end, which is reached only when all checks have passed."""
        if self._failure is not None:
            raise self._failure  # an iterator that has failed once would end silently the next time
        try:
            return next(self._blocks, b"")
        except BaseException as error:
            self._failure = error
            raise

    def _skip_to(self, target: int | None) -> None:
        """Read on to ``target``, or to the end."""
        while target is None or self._position < target:
            if not self._left:
                self._left = memoryview(self._next_block())
                if not self._left:
                    return
            count = len(self._left) if target is None else min(len(self._left), target - self._position)
            self._left = self._left[count:]
            self._position += count
