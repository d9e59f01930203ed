"""What a lane knows when it predicts: its registers, and the contexts in which bits are remembered.

Two sets of contexts. ``TEXT``: orders 0 to 8, words, the line above, what came after the same bytes before.
``ROWS``: orders 0 to 6, sparse contexts, and neighbors in rows of a fixed length, which the archive states.

A new context is a line in both sets and one more in ``memory.CONTEXTS``. It changes bits: a new mixer version
(``container/block.py``), a new prior (``benchmarks/train_prior.py``), FORMAT.md section 12.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, part
from zipllm.mixing.memory import ABOVE, EARLIER, LAST_WORD, LINE, OPENING, POSITION, RECENT, WORD, Memory

TEXT, ROWS = 0, 1
HASH = 0x2545F491
"""Spreads hashes of 32 bits; the product of two such numbers fits 63 bits, so nothing here overflows."""
_WORD = 0xFFFFFFFF
_NEWLINE = 10
_COLUMNS = 255


class Style(NamedTuple):
    """Attributes: ``family`` of contexts, ``TEXT`` or ``ROWS``; length of a ``row`` in bytes, 1 for text."""

    family: int
    row: int


@part
def hash_pair(first: Integer, second: Integer) -> Integer:
    """Return a hash of two integers, of which the low 32 bits count: 0 to ``2**32 - 1``."""
    mixed = (np.int64(first) & _WORD) * 0x2C9277B5 + (np.int64(second) & _WORD) * 0x1E35A7BD
    return (mixed ^ (mixed >> 29)) & _WORD


@part
def remember_byte(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    """Append a byte to what a lane has seen and update its registers, matches aside."""
    position, recent = lane[POSITION], lane[RECENT]
    memory.seen[position] = byte
    last, pair = recent & 0xFF, 256 + (recent & 0xFFFF)
    memory.successors[last] = (memory.successors[last] << 8 | byte) & 0xFFFFFF
    memory.successors[pair] = (memory.successors[pair] << 8 | byte) & 0xFFFFFF
    lane[POSITION] = position + 1
    lane[EARLIER] = (lane[EARLIER] << 8 | recent >> 24) & _WORD
    lane[RECENT] = (recent << 8 | byte) & _WORD
    _remember_word(lane, byte)
    if byte == _NEWLINE:
        lane[ABOVE] = lane[LINE]
        lane[LINE] = position + 1
        lane[OPENING] = 0
    elif position + 1 - lane[LINE] <= 3:
        lane[OPENING] = lane[OPENING] << 8 | byte


@part
def _remember_word(lane: NDArray[np.int64], byte: Integer) -> None:
    """Words are runs of letters, in any case, and of bytes from 128 on."""
    letter = byte + 32 if 65 <= byte <= 90 else byte
    if 97 <= letter <= 122 or letter >= 128:
        lane[WORD] = hash_pair(lane[WORD] + 1, letter)
    elif lane[WORD] != 0:
        lane[LAST_WORD] = lane[WORD]
        lane[WORD] = 0


@part
def set_contexts(memory: Memory, lane: NDArray[np.int64], style: Style) -> None:
    """Fill ``memory.contexts`` for the byte that comes next."""
    recent, earlier, out = lane[RECENT], lane[EARLIER], memory.contexts
    out[0] = hash_pair(np.int64(0), np.int64(0))
    out[1] = hash_pair(np.int64(1), recent & 0xFF)
    out[2] = hash_pair(np.int64(2), recent & 0xFFFF)
    out[3] = hash_pair(np.int64(3), recent & 0xFFFFFF)
    out[4] = hash_pair(np.int64(4), recent)
    out[5] = hash_pair(hash_pair(np.int64(5), recent), earlier & 0xFF)
    out[6] = hash_pair(hash_pair(np.int64(6), recent), earlier & 0xFFFF)
    if style.family == TEXT:
        _set_text_contexts(memory, lane)
    else:
        _set_row_contexts(memory, lane, style.row)


@part
def _set_text_contexts(memory: Memory, lane: NDArray[np.int64]) -> None:
    recent, earlier, word, out = lane[RECENT], lane[EARLIER], lane[WORD], memory.contexts
    last = recent & 0xFF
    column = lane[POSITION] - lane[LINE]
    over = lane[ABOVE] + column
    above = np.int64(memory.seen[over]) if over < lane[LINE] else np.int64(_NEWLINE)
    between = last if word == 0 else np.int64(0)
    out[7] = hash_pair(hash_pair(np.int64(7), recent), earlier)
    out[8] = hash_pair(hash_pair(np.int64(8), word), between)
    out[9] = hash_pair(hash_pair(np.int64(9), word), hash_pair(lane[LAST_WORD], between))
    out[10] = hash_pair(hash_pair(np.int64(10), above), last)
    out[11] = hash_pair(hash_pair(np.int64(11), min(column, np.int64(_COLUMNS))), above)
    out[12] = hash_pair(hash_pair(np.int64(12), memory.successors[last]), last)
    out[13] = hash_pair(hash_pair(np.int64(13), memory.successors[256 + (recent & 0xFFFF)] & 0xFFFF), last)
    out[14] = hash_pair(hash_pair(np.int64(14), recent & 0xFFFF00), word & 0xFF)
    out[15] = hash_pair(hash_pair(np.int64(15), word), hash_pair(lane[OPENING], np.int64(1)))


@part
def _set_row_contexts(memory: Memory, lane: NDArray[np.int64], row: Integer) -> None:
    recent, position, out = lane[RECENT], lane[POSITION], memory.contexts
    last, phase = recent & 0xFF, position % row
    above = _seen(memory, position - row)
    twice = _seen(memory, position - 2 * row)
    left = _seen(memory, position - row - 1)
    right = _seen(memory, position - row + 1) if row > 1 else np.int64(0)
    out[7] = hash_pair(np.int64(7), recent & 0xFF00)
    out[8] = hash_pair(np.int64(8), recent & 0xFF0000)
    out[9] = hash_pair(np.int64(9), recent & 0xFF00FF00)
    out[10] = hash_pair(hash_pair(np.int64(10), above), twice)
    out[11] = hash_pair(hash_pair(np.int64(11), above), last)
    out[12] = hash_pair(hash_pair(np.int64(12), phase), above)
    out[13] = hash_pair(hash_pair(np.int64(13), above | twice << 8), last | left << 8)
    out[14] = hash_pair(hash_pair(np.int64(14), (above + last - left) & 0xFF), phase if row <= 16 else np.int64(0))
    out[15] = hash_pair(hash_pair(np.int64(15), recent & 0xFFFF), above | right << 8)


@part
def _seen(memory: Memory, position: Integer) -> Integer:
    return np.int64(memory.seen[position]) if position >= 0 else np.int64(0)
