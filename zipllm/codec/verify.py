"""Every block is decoded by the real decoder and compared before it is written."""

from collections.abc import Callable

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.engine import Engine
from zipllm.codec.options import Advance
from zipllm.container import Block
from zipllm.errors import VerificationFailed, ZipllmError


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
        decoded = decode_block(block, engine, advance)
    except ZipllmError as error:
        raise VerificationFailed(f"a {_name(block)} block that was just coded does not decode: {error}") from error
    if decoded != raw:
        raise VerificationFailed(f"a {_name(block)} block that was just coded decodes to other bytes")


def _name(block: Block) -> str:
    return block.header.coding.name.lower()
