"""One block from its bytes to a record that has been verified: a piece of work for any thread."""

from zipllm.codec.options import EncodeOptions
from zipllm.codec.select import choose
from zipllm.codec.threads.side_by_side import Tick
from zipllm.codec.verify import verify_block
from zipllm.container import Block, BlockHeader, crc32
from zipllm.engine.engine import LazyEngine
from zipllm.progress import Stage


class BlockEncoding:
    """Codes and verifies one block, and knows how far it is.

    Args:
        raw: the block, at least one byte.
        engine: the model, or None.
        options: how to code it, and whether to verify.
        model_cost: bytes that naming the model costs besides the block.

    Attributes:
        block: the result.
        cost_counts: whether another ``model_cost`` may give another one; known with the result.
        stage: what is being done.
        done: raw bytes' worth of finished work; encoding is half of it where verification follows.
        raw_bytes: coded so far.
        coded_bytes: that they take, about.
    """

    block: Block

    def __init__(self, raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int) -> None:
        self.raw = raw
        self.model_cost = model_cost
        self._engine = engine
        self._options = options
        self.cost_counts = False
        self.stage: Stage = "encode"
        self.done = 0.0
        self.raw_bytes = 0
        self.coded_bytes = 0

    def run(self, tick: Tick) -> None:
        """Do it; raises ``VerificationFailed``, ``ModelError`` and what ``tick`` raises."""
        self._encode(tick)
        if self._options.verify:
            self._verify(tick)
        self.done = float(len(self.raw))

    def _encode(self, tick: Tick) -> None:
        raw, worth = self.raw, 0.5 if self._options.verify else 1.0

        def advance(fraction: float, coded: int) -> None:
            done = fraction * len(raw)
            self.done, self.raw_bytes, self.coded_bytes = worth * done, int(done), coded
            tick()

        choice = choose(raw, self._engine, self._options, self.model_cost, advance)
        self.cost_counts = choice.cost_counts
        header = BlockHeader(choice.coding, len(raw), len(choice.payload), crc32(raw), choice.parameters)
        self.block = Block(header, choice.payload)
        self.done, self.raw_bytes, self.coded_bytes = worth * len(raw), len(raw), len(choice.payload)

    def _verify(self, tick: Tick) -> None:
        raw = self.raw
        self.stage = "verify"

        def advance(fraction: float, _coded: int) -> None:
            self.done = (1 + fraction) / 2 * len(raw)
            tick()

        verify_block(self.block, raw, self._engine, advance)
