"""How weights, keys and values lie in memory for the tiles of ``tile.py``. Needs no numba.

A *panel* is 16 columns of a packed operand; the inputs (or, for values, the keys they belong to) are in groups of 4.
Keys and values of a lane lie in order of time in a buffer of *slots*: new tokens are appended, and when it
is full the last window is moved to its beginning, so no loop ever meets the end of a ring.
"""

from dataclasses import dataclass

from zipllm.model.transformer.config import TransformerConfig

PANEL = 16
"""Columns that one vector instruction computes."""
GROUP = 4
"""Inputs that one vector instruction multiplies and adds."""
MIN_SPARE, MAX_SPARE = 64, 1024
"""Slots for new tokens, besides those of the window: as many as the window, within these bounds."""


def round_up(value: int, multiple: int) -> int:
    """Return the next multiple, ``value`` itself if it is one."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class CacheShape:
    """Sizes of what one lane remembers of one head.

    Attributes:
        slots: tokens that fit, a multiple of ``PANEL``.
        spare: tokens that fit at once, however full it was before.
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
