"""Archives written record by record to any sink; nothing is ever rewritten, so the sink may be a pipe."""

from zipllm.container.block import BlockHeader, Coding
from zipllm.container.header import ArchiveHeader, End
from zipllm.container.model_record import ModelRecord
from zipllm.container.streams import Writable, write_all
from zipllm.errors import FileError, UsageError


class ArchiveWriter:
    """Writes one archive, or several one after another: ``begin``, then ``block`` and once ``model``, then ``end``.

    The sink's own errors pass through; a sink that takes no bytes raises FileError.

    Attributes:
        size: bytes written so far, all archives together.
    """

    def __init__(self, sink: Writable) -> None:
        self._sink = sink
        self._header: ArchiveHeader | None = None
        self._output = 0
        self._has_model = False
        self.size = 0

    def begin(self, header: ArchiveHeader) -> None:
        """Write the header of a new archive; ``UsageError`` if the archive before has not ended."""
        if self._header is not None:
            raise UsageError("an archive begins before the one before has ended")
        self._header, self._output, self._has_model = header, 0, False
        self._write(header.encode())

    def model(self, record: ModelRecord) -> None:
        """Name the model of the model-coded blocks that follow, right before the first of them.

        Raises:
            UsageError: it is the archive's second model, or contradicts itself; see ``ModelRecord.header``.
        """
        self._begun()
        if self._has_model:
            raise UsageError("an archive names one model only")
        self._write(record.header().encode())
        self._write(record.embedded or record.numerics or b"")
        self._has_model = True

    def block(self, header: BlockHeader, payload: bytes) -> None:
        """Write one block; ``UsageError`` if header, payload and archive contradict each other."""
        archive = self._begun()
        if header.payload_size != len(payload):
            raise UsageError(f"a payload of {len(payload)} bytes is declared as {header.payload_size} bytes")
        if header.raw_size > archive.block_size:
            raise UsageError(f"a block of {header.raw_size} bytes, the header allows {archive.block_size}")
        if header.coding == Coding.MODEL and not self._has_model:
            raise UsageError("a model-coded block needs its model named before")
        self._output += header.raw_size
        self._write(header.encode())
        self._write(payload)

    def end(self, sha256: bytes) -> None:
        """Write the totals.

        Args:
            sha256: SHA-256 of all original bytes, 32 bytes.

        Raises:
            FileError: the header declared another original size: the input changed while it was read.
            UsageError: no archive was begun, or the SHA-256 does not have 32 bytes.
        """
        archive = self._begun()
        if archive.original_size is not None and archive.original_size != self._output:
            raise FileError(
                f"the input was {archive.original_size} bytes long at first, then {self._output} bytes were read; "
                "did it change meanwhile?"
            )
        self._write(End(self._output, sha256).encode(header_has_size=archive.original_size is not None))
        self._header = None

    def _begun(self) -> ArchiveHeader:
        if self._header is None:
            raise UsageError("no archive has been begun")
        return self._header

    def _write(self, data: bytes) -> None:
        write_all(self._sink, data)
        self.size += len(data)
