"""One block: from its bytes to a verified record."""

from collections.abc import Callable
from zlib import crc32

from zipllm.codec.block.predicted_block import check_with_draft
from zipllm.codec.block.transcoding import restore, transcode
from zipllm.codec.block_decoding import decode_block
from zipllm.codec.choose import choose
from zipllm.codec.options import EncodeOptions
from zipllm.codec.threads.side_by_side import Tick
from zipllm.container import Block, BlockHeader, Coding, check_block
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import VerificationFailed, ZipllmError
from zipllm.progress import Advance, Stage


class BlockEncoding:
    """The encoding and verification of one block: ``Work`` for any thread, with its progress.

    Arguments are those of ``choose``; ``options`` also say whether to verify.

    Attributes:
        block: the result.
        cost_counts: whether another ``model_cost`` may change the result; known with the result.
        stage: what is being done.
        done: raw bytes' worth of finished work; encoding counts half if verification follows.
        raw_bytes: bytes coded so far.
        coded_bytes: payload bytes for them; an estimate until the block is done.
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
        """Encode and verify; raises ``VerificationFailed``, ``ModelError`` and what ``tick`` raises."""
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
        header = BlockHeader(
            choice.coding,
            len(raw),
            len(choice.payload),
            crc32(raw),
            choice.parameters,
            choice.transcoding,
            choice.layout,
        )
        self.block = Block(header, choice.payload)
        self.done, self.raw_bytes, self.coded_bytes = worth * len(raw), len(raw), len(choice.payload)

    def _verify(self, tick: Tick) -> None:
        raw = self.raw
        self.stage = "verify"

        def advance(fraction: float, _coded: int) -> None:
            self.done = (1 + fraction) / 2 * len(raw)
            tick()

        verify_block(self.block, raw, self._engine, advance)


def verify_block(block: Block, raw: bytes, engine: Callable[[], Engine] | None, advance: Advance | None) -> None:
    """Require that a block, as it is about to be written, decodes to the original bytes.

    Where the model computes with integers, the known content serves as a draft, and many tokens are predicted at once.
    Other blocks are decoded as by ``decompress``.

    Raises:
        VerificationFailed: it does not decode, or decodes to other bytes.
    """
    header = block.header
    name = header.coding_name
    try:
        if header.coding is Coding.MODEL and engine is not None and engine().predictor.traits.exact:
            assert header.parameters is not None, "a model-coded block has parameters"
            text = raw if header.transcoding is None else transcode(raw, header.transcoding)
            check_block(header, raw if header.transcoding is None else restore(text, header.transcoding))
            check_with_draft(engine(), block.payload, text, header.parameters, advance)
            return
        decoded = decode_block(block, engine, advance)
    except ZipllmError as error:
        raise VerificationFailed(f"a {name} block that was just coded does not decode: {error}") from error
    if decoded != raw:
        raise VerificationFailed(f"a {name} block that was just coded decodes to other bytes")
