"""What kind of data a block is, as far as its history is concerned: text, or records of so many bytes."""

import numpy as np
from numpy.typing import NDArray

from zipllm.mixing.adaptive import Style
from zipllm.mixing.contexts import RECORDS, TEXT

MAX_PERIOD = 4096
_LOOKED_AT = 1 << 17
_CLEARER = 0.01
"""A longer period must agree this much more often than a shorter one, of which it may be a multiple."""

TEXT_STYLE = Style(TEXT, 1)


def record_style(raw: bytes) -> Style:
    """Return the style of records for a block: its period is the distance at which bytes are equal most often."""
    middle = max(0, (len(raw) - _LOOKED_AT) // 2)
    values = np.frombuffer(raw, dtype=np.uint8)[middle : middle + _LOOKED_AT]
    return Style(RECORDS, _period(values))


def _period(values: NDArray[np.uint8]) -> int:
    best, agreement = 1, 0.0
    for distance in range(1, min(MAX_PERIOD, values.size // 4)):
        share = np.count_nonzero(values[distance:] == values[:-distance]) / (values.size - distance)
        if share > agreement + _CLEARER:
            best, agreement = distance, share
    return best
