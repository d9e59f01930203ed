"""Every block is decoded and compared before it is written.

Where the model computes with integers, the decoder is told what should come out (``draft``) and asks the model about
many tokens at once; elsewhere it is the one that decompresses.
"""

from collections.abc import Callable

from zipllm.codec.block.draft import check_with_draft
from zipllm.codec.block_decoding import decode_block
from zipllm.container import Block, Coding, check_block
from zipllm.engine.engine import Engine
from zipllm.errors import VerificationFailed, ZipllmError
from zipllm.progress import Advance


def verify_block(block: Block, raw: bytes, engine: Callable[[], Engine] | None, advance: Advance | None) -> None:
    """Require that a coded block gives the original bytes back.

    Args:
        block: as it is about to be written.
        raw: the original bytes.
        engine: the model it was coded with, if any.
        advance: told about progress, if given.

    Raises:
        VerificationFailed: it does not decode, or to something else.
    """
    try:
        if block.header.coding is Coding.MODEL and engine is not None and engine().predictor.traits.exact:
            _check_with_draft(block, raw, engine(), advance)
            return
        decoded = decode_block(block, engine, advance)
    except ZipllmError as error:
        raise VerificationFailed(f"a {_name(block)} block that was just coded does not decode: {error}") from error
    if decoded != raw:
        raise VerificationFailed(f"a {_name(block)} block that was just coded decodes to other bytes")


def _check_with_draft(block: Block, raw: bytes, engine: Engine, advance: Advance | None) -> None:
    assert block.header.parameters is not None, "a model-coded block has them"
    check_block(block.header, raw)
    check_with_draft(engine, block.payload, raw, block.header.parameters, advance)


def _name(block: Block) -> str:
    return block.header.coding.name.lower()
