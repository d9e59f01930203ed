"""What a caller may choose when compressing."""

from dataclasses import dataclass
from typing import Literal

from zipllm.codec.block.lanes import DEFAULT_MAX_LANES
from zipllm.errors import UsageError

DEFAULT_BLOCK_SIZE = 16 << 20
"""16 MiB: a block learns its own history, so that a larger one is predicted better."""

DEFAULT_HISTORY_BITS = 22
"""128 MiB of bit histories for a block of 256 KiB and more, less for smaller ones."""

HISTORY_BITS = range(12, 25)

MAX_BLOCK_SIZE = 16 << 20
"""What a reader accepts by default; a larger block would need its limits raised."""

MOST_EXPLAINED = 256 << 10
"""Bytes; nobody reads a longer explanation of what each token cost."""

MAX_LANES = 4096
"""More lanes than any device profits from."""


@dataclass(frozen=True)
class EncodeOptions:
    """How to compress. Every choice gives an archive that any decoder reads without being told.

    Args:
        block_size: bytes coded together, 1 to 16 MiB. Bounds memory; a block decodes by itself.
        lanes: streams coded side by side in a block: more are faster and cost size. None: from the block's size.
        sample: look at a sample first and spare the model on blocks it cannot win. False tries it everywhere.
        fallback: take the smallest coding of each block. False model-codes every block even where it loses,
            which is for measuring a model.
        verify: decode every block and compare it before it is written; see ``block_encoding.verify_block``.
        embed_model: the archive carries the model file and decodes with nothing else.
        history_bits: predictions learn from the block, with up to ``2**history_bits`` slots of 32 bytes, 12 to 24;
            None codes with the model's own predictions.
        max_lanes: where ``lanes`` is None, a block's size gives no more than these.
        same_machine: the archive may be one that decodes on this machine only, if the model is one of floats.
        workers: blocks coded at the same time, each by a thread, as far as memory allows; changes no byte. 1: by the
            caller's.

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
        if self.workers < 1:
            raise UsageError(f"workers must be at least 1, not {self.workers}")
        if self.history_bits is not None and self.history_bits not in HISTORY_BITS:
            raise UsageError(f"history_bits must be {HISTORY_BITS[0]} to {HISTORY_BITS[-1]}, not {self.history_bits}")


By = Literal["auto", "model", "history"]
"""Whose costs are explained; see ``explanation.explain_bytes``."""
