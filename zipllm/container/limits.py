"""How large an archive may be before it is refused; the one place with these numbers.

A reader compares every declared size with its limit before it allocates, and the output so far after every block. The
caller can raise each limit; what the format itself cannot express has no limit here.
"""

from dataclasses import dataclass, fields

from zipllm.container.block import BlockHeader
from zipllm.container.header import ArchiveHeader
from zipllm.container.model_record import ModelHeader
from zipllm.errors import LimitExceeded, UsageError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for everything that reads an archive.

    Attributes:
        block_raw: original bytes of one block.
        block_payload: coded bytes of one block.
        blocks: blocks of all concatenated archives together.
        lanes: lanes of one block; each costs the predictor one context window of memory.
        model_file: bytes of an embedded model file.
        memory: bytes that decoding one block may take, by estimate: history and the model's state for all lanes; None
            allows whatever the other limits allow, about 2.3 GB.
        output: original bytes of all concatenated archives together; None allows ``output_floor`` bytes or
            ``output_ratio`` times the compressed bytes read so far, whichever is more.
        output_floor: bytes, see ``output``.
        output_ratio: a pure number, see ``output``.

    Raises:
        UsageError: a limit is negative.
    """

    block_raw: int = 16 * MIB
    block_payload: int = 32 * MIB
    blocks: int = 1 << 24
    lanes: int = 4096
    model_file: int = 4 * GIB
    memory: int | None = None
    output: int | None = None
    output_floor: int = GIB
    output_ratio: int = 1000

    def __post_init__(self) -> None:
        """Refuse negative limits."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 0:
                raise UsageError(f"the limit {field.name} is {value}; it must not be negative")

    def check(self, record: ArchiveHeader | BlockHeader | ModelHeader, blocks: int = 0) -> None:
        """Raise ``LimitExceeded`` for a record that declares too much, or block number ``blocks`` if too many."""
        match record:
            case ArchiveHeader():
                self._check("block_raw", record.block_size, "the block size in the header")
            case ModelHeader():
                self._check("model_file", record.payload_size, "the size of the embedded model file")
            case BlockHeader(parameters=parameters):
                self._check("block_raw", record.raw_size, "the size of a block")
                self._check("block_payload", record.payload_size, "the payload size of a block")
                self._check("blocks", blocks, "the number of blocks")
                self._check("lanes", parameters.lanes if parameters else 0, "the number of lanes of a block")

    def check_memory(self, needed: int) -> None:
        """Raise ``LimitExceeded`` if decoding a block takes more than ``memory`` allows."""
        if self.memory is not None:
            self._check("memory", needed, "the memory for decoding a block, in bytes,")

    def check_output(self, total: int, compressed: int) -> None:
        """Raise ``LimitExceeded`` if ``total`` original bytes are too many for ``compressed`` bytes of archive."""
        bound = self.output
        if bound is None:
            bound = max(self.output_floor, self.output_ratio * compressed)
        if total > bound:
            raise LimitExceeded(
                f"the output has at least {total} bytes, over the output limit of {bound} bytes", "output"
            )

    def _check(self, name: str, value: int, what: str) -> None:
        bound: int = getattr(self, name)
        if value > bound:
            raise LimitExceeded(f"{what} is {value}, over the limit {name} = {bound}", name)
