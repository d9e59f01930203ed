"""An archive as a Python file object, shaped like ``gzip.GzipFile`` and ``lzma.LZMAFile``."""

import atexit
import builtins
import codecs
import gc
import io
import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast
from weakref import WeakSet

from zipllm.codec.decoder import DecodeOptions
from zipllm.codec.encoder import ArchiveEncoder
from zipllm.codec.options import EncodeOptions
from zipllm.codec.reading.decoded_bytes import DecodedBytes
from zipllm.container import BlockHeader, scan
from zipllm.container.streams import byte_view
from zipllm.engine.engine import EngineSource, load_engine
from zipllm.errors import UsageError, ZipllmError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MODES = ("r", "w", "x", "a")


class ZipllmFile(io.BufferedIOBase):
    """Reads or writes the original bytes of an archive.

    Reading returns a block's bytes once the block has been decoded and its CRC-32 checked; the SHA-256 of the whole is
    checked at the end, so read to the end before trusting the content. After a seek only blocks that are read from are
    decoded, checked by their CRC-32 alone.
    Writing codes a block whenever one is full; bytes of a block that is not full yet stay in memory. Appending adds a
    second archive, whose content continues the first's. An instance belongs to one thread at a time.

    Leaving a ``with`` block by an error ends writing without the archive's END record: readers refuse the file, and
    ``zipllm decompress --salvage`` gives its whole blocks. In mode "a" with a path, the file is as it was before.
    A writer that is still open when it is freed, or when the program ends, is closed with a ``ResourceWarning``.

    Args:
        file: a path, or a binary file object, which stays open when this one is closed.
        mode: "r", "w", "x" (must not exist) or "a", with or without "b".
        engine: the model for writing; None codes without a model.
        encode: options for writing.
        decode: options for reading; after a seek one block is decoded at a time.

    Raises:
        UsageError: an unknown mode.
        OSError: the file cannot be opened, read or written.
        ZipllmError: while reading and writing, as ``decompress_stream`` and ``compress_stream``.
    """

    def __init__(
        self,
        file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes],
        mode: str = "r",
        *,
        engine: EngineSource = load_engine,
        encode: EncodeOptions | None = None,
        decode: DecodeOptions | None = None,
    ) -> None:
        self._closed = True  # until everything is open, so that a failed __init__ leaves nothing to close
        kind = mode.removesuffix("b")
        if kind not in _MODES:
            raise UsageError(f"mode {mode!r} is none of r, w, x and a, with or without b")
        self.mode = kind + "b"
        self._process = os.getpid()
        self._owned = isinstance(file, str | bytes | os.PathLike)
        self._file = cast(IO[bytes], builtins.open(file, self.mode) if self._owned else file)  # type: ignore[arg-type]  # noqa: SIM115
        self._written = 0
        self._start: int | None = None
        self._encoder: ArchiveEncoder | None = None
        self._reader: io.BufferedReader | None = None
        try:
            if kind == "r":
                self._reader = io.BufferedReader(DecodedBytes(self._file, decode))
            else:
                self._start = self._file.tell() if kind == "a" and self._owned else None
                self._encoder = ArchiveEncoder(self._file, engine=engine, options=encode)
                _writers.add(self)
        except BaseException:
            self._close_file()
            raise
        self._closed = False

    @property
    def name(self) -> Any:
        """Name of the underlying file; empty if it has none."""
        return getattr(self._file, "name", "")

    @property
    def closed(self) -> bool:
        """Whether ``close`` has been called."""
        return self._closed

    def close(self) -> None:
        """End the archive when writing, unless a block could not be coded; close a file that was opened here."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._encoder is not None and self._process == os.getpid():
                self._encoder.finish()
            if self._reader is not None:
                self._reader.close()
        finally:
            self._encoder = self._reader = None
            self._close_file()

    def abandon(self) -> None:
        """Stop writing: ``close`` then leaves an archive without an end, or none where one was added to a file."""
        if self._closed:
            return
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
        if self._start is not None:
            self._file.truncate(self._start)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()
        self.close()

    def __del__(self) -> None:
        self._warn_unclosed()
        super().__del__()

    def _warn_unclosed(self) -> None:
        if not getattr(self, "_closed", True) and self._encoder is not None:
            warnings.warn(f"nobody closed the archive {self.name!r}", ResourceWarning, source=self, stacklevel=2)

    def write(self, data: "ReadableBuffer", /) -> int:
        self._check_open()
        if self._reader is not None:
            raise io.UnsupportedOperation("write on an archive opened for reading")
        if self._encoder is None:
            raise ValueError("write on an archive after a block of it could not be coded")
        if self._process != os.getpid():
            raise ValueError("write on an archive that another process began")
        encoder, view = self._encoder, byte_view(data)
        self._encoder = None  # a block that fails must not be followed by the end of a seemingly whole archive
        encoder.write(view)
        self._encoder = encoder
        self._written += view.nbytes
        return view.nbytes

    def writelines(self, lines: "Iterable[ReadableBuffer]", /) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._check_open()
        if self._encoder is not None and hasattr(self._file, "flush"):
            self._file.flush()

    def read(self, size: int | None = -1, /) -> bytes:
        return self._reading().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._reading().read1(size)

    def peek(self, size: int = 0, /) -> bytes:
        """Return some of the next bytes without moving on; none only at the end."""
        return self._reading().peek(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._reading().readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._reading("seek").seek(offset, whence)

    def tell(self) -> int:
        self._check_open()
        return self._written if self._reader is None else self._reader.tell()

    def readable(self) -> bool:
        self._check_open()
        return self._reader is not None

    def writable(self) -> bool:
        return not self.readable()

    def seekable(self) -> bool:
        return self.readable() and self._reading().seekable()

    def fileno(self) -> int:
        self._check_open()
        return self._file.fileno()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed file")

    def _reading(self, what: str = "read") -> io.BufferedReader:
        self._check_open()
        if self._reader is None:
            raise io.UnsupportedOperation(f"{what} on an archive opened for writing")
        return self._reader

    def _close_file(self) -> None:
        if self._owned:
            self._file.close()


class TextFile(io.TextIOWrapper):
    """The text of an archive; a ``with`` block left by an error ends writing as in ``ZipllmFile``."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        cast(ZipllmFile, self.buffer).abandon()
        with suppress(ValueError):  # text that was not written yet
            self.close()


def text_file(
    binary: ZipllmFile, encoding: str | None, errors: str | None, newline: str | None, *, begins: bool
) -> TextFile:
    """Read or write text; ``TextIOWrapper`` leaves the byte order mark out where it cannot seek.

    Args:
        binary: the bytes.
        encoding: see ``io.TextIOWrapper``, as ``errors`` and ``newline``.
        errors: see ``encoding``.
        newline: see ``encoding``.
        begins: whether writing begins the content, with a mark if the encoding has one.
    """
    text = TextFile(binary, encoding, errors, newline)
    codec = codecs.lookup(text.encoding).name
    if begins and codec in ("utf-16", "utf-32"):
        binary.write("".encode(codec))
    elif not begins and codec == "utf-8-sig" and binary.writable():
        return TextFile(text.detach(), "utf-8", errors, newline)
    return text


def holds_content(file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | IO[bytes]) -> bool:
    """Whether bytes that are appended to a file continue others; yes where nobody knows."""
    if not isinstance(file, str | bytes | os.PathLike):
        return not file.seekable() or file.tell() > 0
    if not os.path.exists(file):
        return False
    try:
        with builtins.open(file, "rb") as archive:
            return os.path.getsize(file) > 0 and any(isinstance(item.record, BlockHeader) for item in scan(archive))
    except ZipllmError:
        return True


_writers: WeakSet[ZipllmFile] = WeakSet()


@atexit.register
def _close_writers() -> None:
    """Close the open writers while modules can still be imported; first those that hold bytes back for them."""
    errors = []
    for writer in list(_writers):
        writer._warn_unclosed()
        holders = (held for held in gc.get_referrers(writer) if isinstance(held, io.TextIOWrapper | io.BufferedWriter))
        for file in (*holders, writer):
            try:
                file.close()
            except Exception as error:
                errors.append(error)
    if errors:
        raise ExceptionGroup("archives that nobody had closed could not be ended", errors)
