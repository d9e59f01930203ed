"""The contexts that suit a block: those of text, or those of rows of a fixed length."""

import numpy as np
from numpy.typing import NDArray

from zipllm.mixing.contexts import ROWS, TEXT, Style

MAX_ROW = 4096
_LOOKED_AT = 1 << 17
_CLEARER = 0.01
"""A longer row must agree this much more often than a shorter one, of which it may be a multiple."""

TEXT_STYLE = Style(TEXT, 1)


def row_style(raw: bytes) -> Style:
    """Return the style of rows for a block: a row is as long as the distance at which most bytes are equal."""
    middle = max(0, (len(raw) - _LOOKED_AT) // 2)
    values = np.frombuffer(raw, dtype=np.uint8)[middle : middle + _LOOKED_AT]
    return Style(ROWS, _row_length(values))


def _row_length(values: NDArray[np.uint8]) -> int:
    best, agreement = 1, 0.0
    for distance in range(1, min(MAX_ROW, values.size // 4)):
        share = np.count_nonzero(values[distance:] == values[:-distance]) / (values.size - distance)
        if share > agreement + _CLEARER:
            best, agreement = distance, share
    return best
