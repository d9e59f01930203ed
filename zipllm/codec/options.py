"""The options of an encoder."""

from dataclasses import dataclass
from typing import Literal

from zipllm.container.block import FULL_MIXER, MIXERS
from zipllm.errors import UsageError
from zipllm.machine import threads as usual_threads

DEFAULT_BLOCK_SIZE = 16 << 20
"""16 MiB: each block learns its own history, so larger blocks are predicted better."""

DEFAULT_HISTORY_BITS = 22
"""128 MiB of bit histories for blocks of 64 KiB or more (128 with the lean mixer), less for smaller ones."""

HISTORY_BITS = range(12, 25)

MAX_BLOCK_SIZE = 16 << 20
"""Readers refuse larger blocks by default."""

MOST_EXPLAINED = 256 << 10
"""Limit on the bytes to explain; nobody reads a longer table of tokens."""

MAX_LANES = 4096
"""More than any device profits from."""

DEFAULT_MAX_LANES = 16
"""Enough rows for the matrix products, few enough for a decoder's keys and values to stay in 32 MB of cache: with the
default model 16 lanes decode a tenth faster than 64 (benchmarks/LOG.md, 2026-11-26)."""

LANE_BYTES = 16 * 1024
"""A lane starts without context, which costs 4 to 8 bytes with the default model: 0.15 % at this length."""

MOST_WORKERS = 16
"""Upper limit, regardless of the number of cores."""


@dataclass(frozen=True)
class EncodeOptions:
    """How to compress. The archive tells the decoder everything it needs.

    Args:
        block_size: bytes coded together, 1 to 16 MiB. Bounds memory; a block decodes by itself.
        lanes: streams coded side by side in a block: more are faster and cost size. None: one where a sample shows
            that more cost much, else from the block's size.
        sample: test a sample first, and skip the model on blocks it cannot win. False tries it on every block.
        fallback: take the smallest coding of each block. False codes every block by the model, to measure it.
        verify: decode every block and compare it before it is written; see ``block_encoding.verify_block``.
        embed_model: put the model file into the archive, which then decodes with nothing else.
        history_bits: predictions learn from the block, in up to ``2**history_bits`` slots of 32 bytes, 12 to 24;
            None codes with the model's own predictions.
        mixer: 1 predicts by the lean history, 2 by the full one: smaller, and at half the speed or less.
        max_lanes: upper limit on the lanes that a block's size gives.
        same_machine: allow float models, whose archives decode on this machine only.
        workers: threads that each code whole blocks, as far as memory allows; changes no byte. 1: everything happens in
            the caller's thread.

    Raises:
        UsageError: a value is out of range, or two contradict each other.
    """

    block_size: int = DEFAULT_BLOCK_SIZE
    lanes: int | None = None
    sample: bool = True
    fallback: bool = True
    verify: bool = True
    embed_model: bool = False
    history_bits: int | None = DEFAULT_HISTORY_BITS
    mixer: int = FULL_MIXER
    max_lanes: int = DEFAULT_MAX_LANES
    same_machine: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.block_size <= MAX_BLOCK_SIZE:
            raise UsageError(f"block_size must be 1 to {MAX_BLOCK_SIZE} bytes, not {self.block_size}")
        if self.lanes is not None and not 1 <= self.lanes <= MAX_LANES:
            raise UsageError(f"lanes must be 1 to {MAX_LANES}, not {self.lanes}")
        if not 1 <= self.max_lanes <= MAX_LANES:
            raise UsageError(f"max_lanes must be 1 to {MAX_LANES}, not {self.max_lanes}")
        if self.mixer not in MIXERS:
            raise UsageError(f"mixer must be {MIXERS[0]} or {MIXERS[-1]}, not {self.mixer}")
        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, not {self.workers}")
        if self.history_bits is not None and self.history_bits not in HISTORY_BITS:
            raise UsageError(f"history_bits must be {HISTORY_BITS[0]} to {HISTORY_BITS[-1]}, not {self.history_bits}")


def worker_count(threads: int = 0, *, one_block: bool = False) -> int:
    """Return how many blocks to work on at a time; this changes no byte.

    Coding by the history uses one thread per block, so several blocks are coded in parallel; so are blocks that share
    a model on a GPU. A model on the processor already spreads one block over all threads.

    Args:
        threads: number wanted; 0: as many as the kernels use, which is one per core or ``OMP_NUM_THREADS``.
        one_block: the model is on the processor, where all threads share one block.
    """
    return 1 if one_block else min(threads or usual_threads(), MOST_WORKERS)


By = Literal["auto", "model", "history"]
"""The coding to explain; see ``explanation.explain_bytes``."""
