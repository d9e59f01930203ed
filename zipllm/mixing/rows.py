"""What the full mixer knows of binary data: records, tables of numbers, pictures, sound, in rows of a stated length.

A row is the distance at which bytes are alike, a sample the distance at which numbers are: 1 to 4 bytes. Both stand in
the archive. Where numbers have 16 bits, whole numbers to the left and above predict the next one; which byte comes
first shows while coding. ``machine_code.py`` shares the contexts that need no row.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, long_part, part
from zipllm.mixing.hashing import HASH, hash_3, hash_4, hash_pair
from zipllm.mixing.memory import (
    EARLIER,
    FULL_STARTS,
    LENGTH,
    OTHER,
    PAIRS,
    POINTER,
    POSITION,
    RECENT,
    TRIPLES,
    Memory,
)

LAST_ZERO, CHANGES = OTHER, OTHER + 1
"""Registers: the place behind the last byte of 0; how much bytes at even places differ from those two before, and those
at odd places."""
USED = 3
_FORGET, _UNIT = 10, 16
_WIDE_ROWS = 32
"""Shorter rows hold numbers, not pixels."""
_MOST = (1 << 16) - 1


@inlined
def byte_before(memory: Memory, position: Integer, distance: Integer) -> Integer:
    """Return the byte at a distance before a position, 0 before the block."""
    return np.int64(memory.seen[position - distance]) if position >= distance else np.int64(0)


@inlined
def after_three(recent: Integer) -> Integer:
    """Return where the table of successors keeps what followed the last three bytes: by a hash of 18 bits."""
    return TRIPLES + ((recent & 0xFFFFFF) * HASH >> 20 & 0x3FFFF)


@inlined
def _clamp(value: Integer) -> Integer:
    return min(max(np.int64(value), np.int64(0)), np.int64(255))


@inlined
def _distance(first: Integer, second: Integer) -> Integer:
    return max(first - second, second - first)


@part
def follow_rows(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    """Update the registers by the byte just remembered."""
    position = lane[POSITION]
    if byte == 0:
        lane[LAST_ZERO] = position
    before = (byte - byte_before(memory, position - 1, np.int64(2))) & 0xFF
    at = CHANGES + (position - 1 & 1)
    lane[at] += _UNIT * min(before, 256 - before) - (lane[at] >> _FORGET)


@inlined
def since_zero(lane: NDArray[np.int64], most: Integer) -> Integer:
    """Return how many bytes came since the last 0, at most ``most``."""
    return min(np.int64(lane[POSITION] - lane[LAST_ZERO]), most)


@part
def set_sparse_contexts(memory: Memory, lane: NDArray[np.int64]) -> None:
    """Fill contexts 0 to 12: orders 0 to 4, sparse ones, what followed the same bytes, and the distance to a 0."""
    recent, earlier, out = lane[RECENT], lane[EARLIER], memory.contexts
    last, pair = recent & 0xFF, recent & 0xFFFF
    out[0] = hash_pair(np.int64(0), np.int64(0))
    out[1] = hash_pair(np.int64(2), pair)
    out[2] = hash_pair(np.int64(3), recent & 0xFFFFFF)
    out[3] = hash_pair(np.int64(4), recent)
    out[4] = hash_pair(np.int64(7), recent & 0xFF00)
    out[5] = hash_pair(np.int64(17), recent & 0xFFFF00)
    out[6] = hash_pair(np.int64(18), recent & 0xFFFF0000)
    out[7] = hash_pair(np.int64(21), earlier & 0xFFFF)
    out[8] = hash_3(np.int64(22), recent & 0xF0F0F0F0, earlier & 0xF0F0F0F0)
    out[9] = hash_pair(np.int64(23), recent & 0xE0E0E0E0)
    out[10] = hash_3(np.int64(42), memory.successors[PAIRS + pair] & 0xFFFF, last)
    out[11] = hash_3(np.int64(43), memory.successors[after_three(recent)], last)
    out[12] = hash_3(np.int64(45), since_zero(lane, np.int64(255)), last)


@long_part
def set_full_row_contexts(memory: Memory, lane: NDArray[np.int64], row: Integer, sample: Integer) -> None:
    """Fill all contexts of rows; ``sample`` is 1 to 4 bytes."""
    set_sparse_contexts(memory, lane)
    recent, earlier, position, out = lane[RECENT], lane[EARLIER], lane[POSITION], memory.contexts
    last, phase, inner = recent & 0xFF, position % row, position % sample
    four, eight = recent >> 24, earlier >> 24
    twelve = byte_before(memory, position, np.int64(12))
    before = last if inner > 0 else np.int64(0)  # of the same sample
    left, above = byte_before(memory, position, sample), byte_before(memory, position, row)
    above_2, above_3 = byte_before(memory, position, 2 * row), byte_before(memory, position, 3 * row)
    left_above = byte_before(memory, position, row + sample)
    right_above = byte_before(memory, position, row - sample) if row > sample else np.int64(0)
    next_left = byte_before(memory, position, row + 1)
    next_right = byte_before(memory, position, row - 1) if row > 1 else np.int64(0)
    # Numbers of four bytes, and bytes further back.
    out[13] = hash_4(np.int64(24), position & 3, four, eight)
    out[14] = hash_4(np.int64(25), position & 3, four, last)
    out[15] = hash_4(np.int64(26), position & 1, recent >> 8 & 0xFF, four)
    out[16] = hash_4(np.int64(90), last, four | eight << 8, twelve | (position & 3) << 8)
    out[17] = hash_3(np.int64(92), earlier & 0xFF0000FF, last)
    out[18] = hash_4(np.int64(93), recent & 0xFFFF, earlier & 0xFF, np.int64(0))
    out[19] = hash_3(np.int64(94), recent & 0xFFF0, np.int64(0))
    # Rows.
    out[20] = hash_3(np.int64(10), above, above_2)
    out[21] = hash_3(np.int64(12), phase, above)
    out[22] = hash_3(np.int64(37), phase, last)
    out[23] = hash_4(np.int64(74), above | above_2 << 8, above_3, last)
    out[24] = hash_4(np.int64(66), above | next_right << 8, next_left, last)
    out[25] = hash_4(np.int64(33), (left + right_above + 1) >> 1, (above + above_2 + 1) >> 2, inner)
    out[26] = hash_4(np.int64(35), _clamp(2 * above - above_2), before, inner)
    if sample == 2 or row < _WIDE_ROWS:
        _set_number_contexts(memory, lane, row)
        return
    # Pixels.
    gradient = _clamp(left + right_above - above)
    further = byte_before(memory, position, 2 * row - sample)
    mean = (left + above + right_above + left_above + 2) >> 2
    edges = hash_pair(inner, _distance(above, left_above) >> 3)
    out[27] = hash_4(np.int64(73), mean, _distance(left, left_above) >> 3, edges)
    out[28] = hash_4(np.int64(70), above + right_above - further, gradient >> 3, inner)
    out[29] = hash_4(np.int64(71), gradient, inner, before)
    out[30] = hash_4(np.int64(29), left | above << 8, left_above, inner)
    out[31] = hash_4(np.int64(69), (3 * left + 3 * above - 2 * left_above + 2) >> 2, inner, before)
    if inner > 0:  # as the last channel changed
        further = _clamp(above + last - next_left)
        beside = _clamp(left + last - byte_before(memory, position, sample + 1))
        out[28] = hash_4(np.int64(95), further, inner, np.int64(0))
        out[31] = hash_4(np.int64(96), beside, inner, further >> 3)


@part
def _set_number_contexts(memory: Memory, lane: NDArray[np.int64], row: Integer) -> None:
    """Fill contexts 27 to 31: what whole numbers of 16 bits say of the next byte."""
    second, out = lane[POSITION] & 1, memory.contexts
    left, left_2 = _number(memory, lane, np.int64(2)), _number(memory, lane, np.int64(4))
    above, expected, mean = left_2, 2 * left - left_2, _half(3 * left - left_2)
    if row > 2:
        even = row + (row & 1)
        above = _number(memory, lane, even)
        expected = left + above - _number(memory, lane, even + 2)
        mean = (left + _number(memory, lane, even - 2)) >> 1
    expected = min(max(expected, np.int64(0)), np.int64(_MOST))
    both = _byte_of(lane, (left + above) >> 1, np.int64(4))
    out[27] = hash_3(np.int64(58), _byte_of(lane, expected, np.int64(0)), second)
    out[28] = hash_3(np.int64(59), _byte_of(lane, mean, np.int64(1)), second)
    out[29] = hash_4(np.int64(60), _byte_of(lane, expected, np.int64(3)), both, second)
    out[30] = hash_4(np.int64(62), _byte_of(lane, left, np.int64(0)), second, np.int64(0))
    out[31] = hash_4(np.int64(63), _byte_of(lane, above, np.int64(0)), second, np.int64(0))


@inlined
def _half(number: Integer) -> Integer:
    """Return half of a number, rounded towards 0."""
    return number >> 1 if number >= 0 else -(-number >> 1)


@inlined
def _little(lane: NDArray[np.int64]) -> bool:
    """Whether the second byte of a number changes less than its first."""
    little: bool = lane[CHANGES + 1] <= lane[CHANGES]
    return little


@part
def _number(memory: Memory, lane: NDArray[np.int64], distance: Integer) -> Integer:
    """Return the number of 16 bits at an even distance before the one at hand, 0 before the block."""
    place = lane[POSITION] - (lane[POSITION] & 1) - distance
    if place < 0:
        return np.int64(0)
    first, second = np.int64(memory.seen[place]), np.int64(memory.seen[place + 1])
    return first | second << 8 if _little(lane) else first << 8 | second


@part
def _byte_of(lane: NDArray[np.int64], number: Integer, drop: Integer) -> Integer:
    """Return what a predicted number says of the next byte, given the first byte of the number if that is known.

    ``drop`` is how many low bits are left out, so that like numbers share a context.
    """
    last = lane[RECENT] & 0xFF
    if lane[POSITION] & 1 == 0:
        return hash_pair(number >> drop if _little(lane) else number >> 8, np.int64(0))
    if _little(lane):
        rest = number - last
        return hash_pair(rest >> 8 & 0xFF, 1 | (-rest & 0xFF) >> 5 << 4)
    rest = min(max(number - (last << 8), np.int64(-256)), np.int64(511))
    return hash_pair(rest >> drop, np.int64(2))


@part
def choose_row_sets(
    memory: Memory, lane: NDArray[np.int64], row: Integer, sample: Integer, bit_number: Integer, matched: Integer
) -> None:
    """Choose the weight sets 2 to 7; ``matched`` is the partial byte, or 256 plus the byte that a match expects."""
    sets, recent, position = memory.sets, lane[RECENT], lane[POSITION]
    other = lane[LENGTH + 1]
    short = min(1 + (other >> 2), np.int64(7)) if other > 0 else np.int64(0)
    lengths = min(lane[LENGTH], np.int64(15)) * 8 + short
    sets[2] = FULL_STARTS[2] + byte_before(memory, position, sample)
    sets[3] = FULL_STARTS[3] + since_zero(lane, np.int64(31)) * 8 + bit_number
    sets[4] = FULL_STARTS[4] + lengths * 8 + bit_number
    sets[5] = FULL_STARTS[5] + matched
    sets[6] = FULL_STARTS[6] + top_bits(recent)
    sets[7] = FULL_STARTS[7] + position % min(row, np.int64(16)) * 8 + bit_number


@inlined
def top_bits(recent: Integer) -> Integer:
    """Return the three top bits of each of the last three bytes."""
    return (recent & 0xFF) >> 5 | (recent >> 13 & 7) << 3 | (recent >> 21 & 7) << 6


@inlined
def matched_byte(memory: Memory, lane: NDArray[np.int64], long: Integer, partial: Integer) -> Integer:
    """Return 256 plus the byte that the first match expects while it is right, else the bits of this byte."""
    return 256 + np.int64(memory.seen[lane[POINTER]]) if long > 0 else partial
