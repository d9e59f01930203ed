"""How weights, keys and values lie in memory for the tiles of ``tile.py``. Needs no numba.

A *panel* is 16 columns of a packed operand; its inputs (for values: the keys they belong to) are in groups of 4.
Keys and values of a lane lie in order of time in a buffer of *slots*. New tokens are appended; when the buffer is
full, the last window moves to its beginning. So no loop ever wraps around.
"""

from dataclasses import dataclass

from zipllm.model.transformer.config import TransformerConfig

PANEL = 16
"""Columns per vector instruction."""
GROUP = 4
"""Inputs that one vector instruction multiplies and adds up for each column."""
MIN_SPARE, MAX_SPARE = 64, 1024
"""Bounds on the slots for new tokens; within them there are as many as the window has."""


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is at least ``value``."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class CacheShape:
    """Sizes of the cache of one lane and head.

    Attributes:
        slots: tokens that fit, a multiple of ``PANEL``.
        spare: tokens that always fit at once.
        key_size: head size in whole groups.
        value_size: head size in whole panels.
    """

    slots: int
    spare: int
    key_size: int
    value_size: int

    @classmethod
    def of(cls, config: TransformerConfig) -> "CacheShape":
        """Return the sizes for a model of this shape."""
        spare = round_up(min(max(config.window, MIN_SPARE), MAX_SPARE), PANEL)
        kept = round_up(config.window - 1 + PANEL - 1, PANEL)  # whole panels are moved
        return cls(kept + spare, spare, round_up(config.head_size, GROUP), round_up(config.head_size, PANEL))


def lane_bytes(config: TransformerConfig) -> int:
    """Return the memory that the keys and values of one lane take."""
    shape = CacheShape.of(config)
    correction = 4  # see pack.py: an int32 for each key
    return config.layers * config.heads * shape.slots * (shape.key_size + shape.value_size + correction)
