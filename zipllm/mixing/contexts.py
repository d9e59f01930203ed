"""What a lane knows when it predicts: its registers, and the contexts in which bits are remembered.

Families of contexts. ``TEXT``: orders 0 to 8, words, the line above, what came after the same bytes before. ``ROWS``:
orders 0 to 6, sparse contexts, and neighbors in rows of a fixed length, which the archive states. The full mixer has
more of both (``structure.py``, ``rows.py``), and ``CODE``: x86 programs (``machine_code.py``).

A new context is a line in both sets of a mixer and one more in its ``memory.Shape``. It changes bits: a new mixer
version (``container/block.py``), a new prior (``benchmarks/train_prior.py``), FORMAT.md section 12.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.mixing.hashing import hash_4, hash_pair
from zipllm.mixing.machine_code import follow_code, set_code_contexts
from zipllm.mixing.memory import (
    ABOVE,
    EARLIER,
    LAST_WORD,
    LENGTH,
    LINE,
    OPENING,
    PAIRS,
    POINTER,
    POSITION,
    RECENT,
    WORD,
    Memory,
    is_full,
)
from zipllm.mixing.rows import after_three, byte_before, follow_rows, set_full_row_contexts
from zipllm.mixing.structure import (
    ABOVE_2,
    CLOSING,
    FIELD,
    FIELD_ABOVE,
    FIELD_BEGIN,
    FIELD_ORDER,
    FIRST_WORD,
    INDENT,
    KEY,
    KINDS,
    KINDS_2,
    MARKUP,
    QUOTE_HASH,
    QUOTED,
    SHAPE,
    SHAPE_2,
    TAG,
    VALUE_ABOVE,
    VALUE_HASH,
    bracket,
    follow_structure,
    open_tag,
    outer_key,
)

TEXT, ROWS, CODE = 0, 1, 2
_WORD = 0xFFFFFFFF
_NEWLINE = 10
_COLUMNS = 255


class Style(NamedTuple):
    """Which contexts a block has.

    Attributes:
        family: ``TEXT``, ``ROWS`` or ``CODE``.
        row: length of a row in bytes; 1 but for ``ROWS``.
        sample: length of a number or pixel in bytes, 1 to 4; 1 but for ``ROWS`` of the full mixer.
    """

    family: int
    row: int = 1
    sample: int = 1


@part
def remember_byte(memory: Memory, lane: NDArray[np.int64], byte: Integer, style: Style) -> None:
    """Append a byte to what a lane has seen and update its registers, matches aside."""
    position, recent = lane[POSITION], lane[RECENT]
    memory.seen[position] = byte
    last, pair = recent & 0xFF, PAIRS + (recent & 0xFFFF)
    memory.successors[last] = (memory.successors[last] << 8 | byte) & 0xFFFFFF
    memory.successors[pair] = (memory.successors[pair] << 8 | byte) & 0xFFFFFF
    if is_full(memory):
        triple = after_three(recent)
        memory.successors[triple] = (memory.successors[triple] << 8 | byte) & 0xFFFFFF
    lane[POSITION] = position + 1
    lane[EARLIER] = (lane[EARLIER] << 8 | recent >> 24) & _WORD
    lane[RECENT] = (recent << 8 | byte) & _WORD
    _remember_word(memory, lane, byte)
    if byte == _NEWLINE:
        if is_full(memory):
            lane[ABOVE_2] = lane[ABOVE]
        lane[ABOVE] = lane[LINE]
        lane[LINE] = position + 1
        lane[OPENING] = 0
    elif position + 1 - lane[LINE] <= 3:
        lane[OPENING] = lane[OPENING] << 8 | byte
    if is_full(memory):
        if style.family == TEXT:
            follow_structure(memory, lane, byte, last)
        else:
            follow_rows(memory, lane, byte)
            if style.family == CODE:
                follow_code(memory, lane, byte)


@part
def _remember_word(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    """Words are runs of letters, in any case, and of bytes from 128 on."""
    letter = byte + 32 if 65 <= byte <= 90 else byte
    if 97 <= letter <= 122 or letter >= 128:
        lane[WORD] = hash_pair(lane[WORD] + 1, letter)
    elif lane[WORD] != 0:
        lane[LAST_WORD] = lane[WORD]
        lane[WORD] = 0
        if is_full(memory) and lane[FIRST_WORD] == 0:
            lane[FIRST_WORD] = lane[LAST_WORD]


@part
def set_contexts(memory: Memory, lane: NDArray[np.int64], style: Style) -> None:
    """Fill ``memory.contexts`` for the byte that comes next."""
    if is_full(memory):
        if style.family == TEXT:
            _set_full_text_contexts(memory, lane)
        elif style.family == ROWS:
            set_full_row_contexts(memory, lane, style.row, style.sample)
        else:
            set_code_contexts(memory, lane)
    else:
        _set_orders(memory, lane)
        if style.family == TEXT:
            _set_text_contexts(memory, lane)
        else:
            _set_row_contexts(memory, lane, style.row)


@inlined
def _set_orders(memory: Memory, lane: NDArray[np.int64]) -> None:
    recent, earlier, out = lane[RECENT], lane[EARLIER], memory.contexts
    out[0] = hash_pair(np.int64(0), np.int64(0))
    out[1] = hash_pair(np.int64(1), recent & 0xFF)
    out[2] = hash_pair(np.int64(2), recent & 0xFFFF)
    out[3] = hash_pair(np.int64(3), recent & 0xFFFFFF)
    out[4] = hash_pair(np.int64(4), recent)
    out[5] = hash_pair(hash_pair(np.int64(5), recent), earlier & 0xFF)
    out[6] = hash_pair(hash_pair(np.int64(6), recent), earlier & 0xFFFF)


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
    out[13] = hash_pair(hash_pair(np.int64(13), memory.successors[PAIRS + (recent & 0xFFFF)] & 0xFFFF), last)
    out[14] = hash_pair(hash_pair(np.int64(14), recent & 0xFFFF00), word & 0xFF)
    out[15] = hash_pair(hash_pair(np.int64(15), word), hash_pair(lane[OPENING], np.int64(1)))


@part
def _set_row_contexts(memory: Memory, lane: NDArray[np.int64], row: Integer) -> None:
    recent, position, out = lane[RECENT], lane[POSITION], memory.contexts
    last, phase = recent & 0xFF, position % row
    above = byte_before(memory, position, row)
    twice = byte_before(memory, position, 2 * row)
    left = byte_before(memory, position, row + 1)
    right = byte_before(memory, position, row - 1) if row > 1 else np.int64(0)
    out[7] = hash_pair(np.int64(7), recent & 0xFF00)
    out[8] = hash_pair(np.int64(8), recent & 0xFF0000)
    out[9] = hash_pair(np.int64(9), recent & 0xFF00FF00)
    out[10] = hash_pair(hash_pair(np.int64(10), above), twice)
    out[11] = hash_pair(hash_pair(np.int64(11), above), last)
    out[12] = hash_pair(hash_pair(np.int64(12), phase), above)
    out[13] = hash_pair(hash_pair(np.int64(13), above | twice << 8), last | left << 8)
    out[14] = hash_pair(hash_pair(np.int64(14), (above + last - left) & 0xFF), phase if row <= 16 else np.int64(0))
    out[15] = hash_pair(hash_pair(np.int64(15), recent & 0xFFFF), above | right << 8)


@inlined
def expected_byte(memory: Memory, lane: NDArray[np.int64], number: Integer) -> Integer:
    """Return the byte that a match expects, 256 without a match."""
    return np.int64(memory.seen[lane[POINTER + number]]) if lane[LENGTH + number] > 0 else np.int64(256)


@inlined
def byte_above(memory: Memory, lane: NDArray[np.int64]) -> Integer:
    """Return the byte in the same column of the line above, a newline if that is shorter."""
    over = lane[ABOVE] + lane[POSITION] - lane[LINE]
    return np.int64(memory.seen[over]) if over < lane[LINE] else np.int64(_NEWLINE)


@part
def _set_full_text_contexts(memory: Memory, lane: NDArray[np.int64]) -> None:
    _set_orders(memory, lane)
    recent, earlier, word, out = lane[RECENT], lane[EARLIER], lane[WORD], memory.contexts
    last, pair, column = recent & 0xFF, recent & 0xFFFF, lane[POSITION] - lane[LINE]
    over, over_2 = lane[ABOVE] + column, lane[ABOVE_2] + column
    above = byte_above(memory, lane)
    above_2 = np.int64(memory.seen[over_2]) if over_2 < lane[ABOVE] else np.int64(_NEWLINE)
    right = np.int64(memory.seen[over + 1]) if over + 1 < lane[LINE] else np.int64(_NEWLINE)
    left = np.int64(memory.seen[over - 1]) if 0 < over < lane[LINE] else np.int64(_NEWLINE)
    between = last if word == 0 else np.int64(0)
    field, inside = lane[FIELD], lane[POSITION] - lane[FIELD_BEGIN]
    field_above, field_next = np.int64(0), np.int64(0)
    if lane[FIELD_ABOVE] > 0:
        field_above = np.int64(memory.seen[lane[FIELD_ABOVE]])
        field_next = np.int64(memory.seen[lane[FIELD_ABOVE] + 1])
    value_above = np.int64(memory.seen[lane[VALUE_ABOVE]]) if lane[VALUE_ABOVE] > 0 else np.int64(256)
    markup = lane[MARKUP] * 2 + lane[CLOSING]
    first, second = expected_byte(memory, lane, 0), expected_byte(memory, lane, 1)
    out[6] = hash_pair(hash_pair(np.int64(7), recent), earlier)
    out[7] = hash_pair(hash_pair(np.int64(8), word), between)
    out[8] = hash_pair(hash_pair(np.int64(9), word), hash_pair(lane[LAST_WORD], between))
    out[9] = hash_pair(hash_pair(np.int64(10), min(column, np.int64(_COLUMNS))), above)
    out[10] = hash_pair(hash_pair(np.int64(11), memory.successors[PAIRS + pair] & 0xFFFF), last)
    out[11] = hash_pair(hash_pair(np.int64(12), memory.successors[after_three(recent)]), last)
    out[12] = hash_pair(hash_pair(np.int64(13), word), lane[OPENING])
    # Fields.
    place = field_above | lane[FIELD_ORDER] << 8 | min(field, np.int64(63)) << 10
    out[13] = hash_4(np.int64(14), place, last | field_next << 8, min(inside, np.int64(15)))
    out[14] = hash_4(np.int64(15), field_above, last, field)
    out[15] = hash_4(np.int64(16), field_above | field_next << 8, pair, np.int64(0))
    out[16] = hash_4(np.int64(17), lane[KINDS] & 0xFFFF, inside, field)
    out[17] = hash_4(np.int64(18), lane[FIRST_WORD], word, field)
    # Keys, brackets, quotes, tags.
    out[18] = hash_4(np.int64(19), lane[KEY], lane[VALUE_HASH], outer_key(lane))
    out[19] = hash_4(np.int64(20), value_above, last, lane[KEY])
    out[20] = hash_4(np.int64(21), bracket(lane), lane[QUOTED], pair)
    out[21] = hash_4(np.int64(22), lane[QUOTE_HASH], lane[QUOTED], between)
    out[22] = hash_4(np.int64(23), open_tag(lane, np.int64(0)), markup, word)
    inner = hash_pair(markup, lane[TAG] if lane[MARKUP] > 0 else word)
    out[23] = hash_4(np.int64(24), open_tag(lane, np.int64(0)), open_tag(lane, np.int64(1)), inner)
    # Lines and shapes.
    out[24] = hash_4(np.int64(25), lane[SHAPE], lane[SHAPE_2], np.int64(0))
    out[25] = hash_pair(hash_pair(np.int64(26), lane[KINDS]), last)
    out[26] = hash_4(np.int64(27), lane[KINDS], lane[KINDS_2], np.int64(0))
    out[27] = hash_4(np.int64(28), above, above_2, last)
    out[28] = hash_4(np.int64(29), above | right << 8 | left << 16, pair, np.int64(0))
    out[29] = hash_4(np.int64(30), lane[INDENT], lane[FIRST_WORD], last)
    # Matches.
    out[30] = hash_4(np.int64(31), first, min(lane[LENGTH], np.int64(31)), np.int64(0))
    out[31] = hash_4(np.int64(32), first, second, last)
