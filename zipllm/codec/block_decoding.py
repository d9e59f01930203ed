"""One block: from its record to checked bytes."""

from collections.abc import Callable

from zipllm.codec.block.conventional_block import decode_conventional_block
from zipllm.codec.block.predicted_block import decode_history_block, decode_model_block
from zipllm.codec.block.setup import block_memory, lane_memory
from zipllm.codec.block.transcoding import restore
from zipllm.codec.threads.side_by_side import Tick
from zipllm.container import Block, BlockHeader, Coding, Limits, check_block
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import CorruptData
from zipllm.media.beginning import memory_bytes
from zipllm.media.coding import decode as decode_samples
from zipllm.progress import Advance


class BlockDecoding:
    """The decoding of one block: ``Work`` for any thread, with its progress.

    Args:
        block: as read from an archive.
        engine: the archive's model, if it names one.
        begin: offset of the block's record, counted over all archives; ``end`` is that of the first byte after it.
        limits: see ``decode_block``.

    Attributes:
        raw: the result.
        raw_bytes: bytes decoded so far.
        coded_bytes: archive bytes that hold them; an estimate until the block is done.
    """

    raw: bytes

    def __init__(
        self, block: Block, engine: LazyEngine | None, begin: int, end: int, limits: Limits | None = None
    ) -> None:
        self.block = block
        self._limits = limits
        self.end = end
        self._engine = engine
        self._header_bytes = end - begin - len(block.payload)
        self.raw_bytes = 0
        self.coded_bytes = 0

    @property
    def by_model(self) -> bool:
        """Whether decoding needs the archive's model."""
        return self.block.header.coding is Coding.MODEL

    def memory(self, lane_bytes: int) -> int:
        """Estimate the bytes that decoding takes; ``lane_bytes`` is the model's state per lane."""
        return _memory(self.block.header, lane_bytes)

    def run(self, tick: Tick) -> None:
        """Decode; raises what ``decode_block`` and ``tick`` raise."""

        def advance(fraction: float, coded: int) -> None:
            self.raw_bytes, self.coded_bytes = int(fraction * self.block.header.raw_size), self._header_bytes + coded
            tick()

        self.raw = decode_block(self.block, self._engine, advance, self._limits)
        self.raw_bytes, self.coded_bytes = len(self.raw), self._header_bytes + len(self.block.payload)


def _memory(header: BlockHeader, lane_bytes: int) -> int:
    if header.layout is not None:
        return block_memory(header.raw_size, 0) + memory_bytes(header.layout, header.raw_size)
    if header.parameters is None:
        return block_memory(header.raw_size, 0)
    return block_memory(header.coded_size, header.parameters.history, header.parameters.lanes, lane_bytes)


def decode_block(
    block: Block, engine: Callable[[], Engine] | None, advance: Advance | None, limits: Limits | None = None
) -> bytes:
    """Decode one block by itself and check its size and CRC-32.

    ``engine`` is called only for a model-coded block. ``limits`` bounds the memory of a predicted block.

    Raises:
        CorruptData: the payload does not decode to what the header says.
        UnsupportedData: coded with parameters unknown to this version.
        LimitExceeded: needs too much memory.
        ModelError: the model cannot be loaded.
    """
    header = block.header
    if limits is not None and (header.parameters is not None or header.layout is not None):
        limits.check_memory(_memory(header, 0))
    if header.layout is not None:
        raw = decode_samples(block.payload, header.raw_size, header.layout, advance)
    elif header.parameters is None:
        raw = decode_conventional_block(header.coding, block.payload, header.raw_size)
    elif header.coding is Coding.HISTORY:
        raw = decode_history_block(block.payload, header.coded_size, header.parameters, advance)
    elif engine is None:
        raise CorruptData("a model-coded block stands before the record that names its model")
    else:
        if limits is not None:
            limits.check_memory(_memory(header, lane_memory(engine())))
        raw = decode_model_block(engine(), block.payload, header.coded_size, header.parameters, advance)
    if header.transcoding is not None:
        raw = restore(raw, header.transcoding)
    check_block(header, raw)
    return raw
