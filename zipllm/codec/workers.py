"""How many blocks are worked on at a time, and how much memory they may take together; this changes no byte.

Coding by the history uses one thread per block, so several blocks are coded in parallel; so are blocks that share a
model on a GPU. A model on the processor already spreads one block over all threads (``codec.block.lane_groups``).
"""

from zipllm.codec.options import EncodeOptions
from zipllm.container import BlockHeader
from zipllm.machine import threads as usual_threads
from zipllm.mixing.memory import SLOT_BYTES

MOST_WORKERS = 16
"""Upper limit, regardless of the number of cores."""

MOST_MEMORY = 8 << 30
"""Approximate limit in bytes for all blocks in work; a single block is always allowed."""

_HISTORY_TABLES = 64 << 20
"""Bytes of a history besides its slots; measured: 190 to 240 MB for a block with 128 MiB of slots."""

_BLOCK_COPIES = 16
"""Multiple of its size that a block in work takes besides its history: bytes, tokens, tables of parallel codecs."""


def worker_count(threads: int = 0, *, one_block: bool = False) -> int:
    """Return how many blocks to work on at a time.

    Args:
        threads: number wanted; 0: as many as the kernels use, which is one per core or ``OMP_NUM_THREADS``.
        one_block: the model is on the processor, where all threads share one block.
    """
    return 1 if one_block else min(threads or usual_threads(), MOST_WORKERS)


def encoding_workers(options: EncodeOptions) -> int:
    """Return how many of the wanted workers fit in memory."""
    needed = _history_bytes(options.history_bits or 0) + _BLOCK_COPIES * options.block_size
    return max(1, min(options.workers, MOST_MEMORY // needed))


def decoding_memory(block: BlockHeader, lane_bytes: int = 0) -> int:
    """Estimate the bytes that decoding a block takes; ``lane_bytes`` is the model's state per lane."""
    parameters = block.parameters
    if parameters is None:
        return _BLOCK_COPIES * block.raw_size
    return _BLOCK_COPIES * block.raw_size + _history_bytes(parameters.history) + parameters.lanes * lane_bytes


def _history_bytes(bits: int) -> int:
    return (SLOT_BYTES << bits) + _HISTORY_TABLES if bits else 0
