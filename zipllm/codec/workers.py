"""How many blocks are worked on at a time, and the memory they may take together; no choice here changes a byte.

Coding a block by its history is one thread's work, so blocks are coded side by side. So they are where the model is on
a GPU, which they share. On a processor the model's own threads share one block already (``codec.lane_groups``).
"""

from zipllm.codec.options import EncodeOptions
from zipllm.container import BlockHeader
from zipllm.machine import threads as usual_threads
from zipllm.mixing.memory import SLOT_BYTES

MOST_WORKERS = 16
"""Blocks at a time, however many cores there are."""

MOST_MEMORY = 8 << 30
"""Bytes for all blocks in work, about; a single block is always allowed."""

_HISTORY_TABLES = 64 << 20
"""Bytes that a history takes besides its slots: measured, 190 to 240 MB for a block with 128 MiB of slots."""

_BLOCK_COPIES = 16
"""A block in work takes so many times its size besides its history: bytes, tokens, codecs' tables side by side."""


def worker_count(threads: int = 0, *, one_block: bool = False) -> int:
    """Return how many blocks to work on at a time.

    Args:
        threads: wanted; 0 is as many as the kernels use: one for each core, or what ``OMP_NUM_THREADS`` says.
        one_block: all threads share one block, since the model is on the processor.
    """
    return 1 if one_block else min(threads or usual_threads(), MOST_WORKERS)


def encoding_workers(options: EncodeOptions) -> int:
    """Return how many of the workers that were wanted memory has room for."""
    bits = options.history_bits
    needed = _history_bytes(bits or 0) + _BLOCK_COPIES * options.block_size
    return max(1, min(options.workers, MOST_MEMORY // needed))


def decoding_memory(block: BlockHeader, lane_bytes: int = 0) -> int:
    """Return about how many bytes a block takes while it is decoded; ``lane_bytes`` are those of the model's state."""
    parameters = block.parameters
    if parameters is None:
        return _BLOCK_COPIES * block.raw_size
    return _BLOCK_COPIES * block.raw_size + _history_bytes(parameters.history) + parameters.lanes * lane_bytes


def _history_bytes(bits: int) -> int:
    return (SLOT_BYTES << bits) + _HISTORY_TABLES if bits else 0
