"""Match models: what followed the last place with the same context may follow again.

Two places are followed at a time, found by hashes of the last six and of the last four bytes and verified backwards.
How far a match is trusted is learned by its length. It predicts bits, and stops: whether a token began there. The full
mixer keeps a long match that fails, since a changed number often stands in what is otherwise repeated; how often it has
failed then counts beside its length.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.mixing.hashing import HASH, hash_pair
from zipllm.mixing.history import learn_map
from zipllm.mixing.memory import (
    EARLIER,
    FAILURES,
    LENGTH,
    MATCH,
    MATCHES,
    PARTIAL,
    POINTER,
    POSITION,
    RECENT,
    Memory,
    is_full,
)
from zipllm.mixing.tables import Tables

_MOST = 65_535
_VERIFIED = 40
"""Bytes compared when a match is found."""
_LEAST_LONG, _LEAST_SHORT = 5, 3
_TRUST_COUNT = 1023
_WORTH_KEEPING = 20
"""Length from which on a match that fails is kept."""
_MOST_FAILURES = 8


@inlined
def match_place(memory: Memory, lane: NDArray[np.int64], number: Integer) -> Integer:
    """Return where the index of a match model keeps the last place of the context at hand."""
    key = hash_pair(lane[RECENT], 77 + (lane[EARLIER] & 0xFFFF) if number == 0 else np.int64(99))
    place: Integer = (key * HASH >> 25) & (memory.match_index.shape[1] - 1)
    return place


@part
def follow_matches(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    """Move on by the byte that was just remembered, and look for new places where one has failed."""
    position = lane[POSITION]
    for number in range(MATCHES):
        length, pointer = lane[LENGTH + number], lane[POINTER + number]
        kept: Any = False
        if length > 0 and np.int64(memory.seen[pointer]) == byte:
            length, pointer = min(length + 1, np.int64(_MOST)), pointer + 1
            if length & 15 == 0:
                lane[FAILURES + number] = max(lane[FAILURES + number] - 1, np.int64(0))
        else:
            kept = is_full(memory) and length >= _WORTH_KEEPING and lane[FAILURES + number] < _MOST_FAILURES
            length = np.int64(0)
        index = match_place(memory, lane, number)
        if length == 0:
            found = np.int64(memory.match_index[number, index])
            length = _common_length(memory, found, position)
            if length >= (_LEAST_LONG if number == 0 else _LEAST_SHORT):
                pointer = found
                lane[FAILURES + number] = 0
            elif kept:
                length, pointer = np.int64(1), pointer + 1
                lane[FAILURES + number] += 1
            else:
                length, pointer = np.int64(0), found
        memory.match_index[number, index] = position
        lane[LENGTH + number] = length if pointer < memory.seen.size else np.int64(0)
        lane[POINTER + number] = pointer


@part
def _common_length(memory: Memory, place: Integer, position: Integer) -> Integer:
    """Return how many bytes before two places are the same, up to a bound; 0 if it is one place or none."""
    if place == 0 or place == position:
        return np.int64(0)
    length = np.int64(0)
    while length < min(np.int64(_VERIFIED), place, position) and (
        memory.seen[place - length - 1] == memory.seen[position - length - 1]
    ):
        length += 1
    return length


@part
def _state(lane: NDArray[np.int64], number: Integer) -> Integer:
    length = lane[LENGTH + number]
    known = length if length < 32 else min(32 + (length >> 5), np.int64(63))
    return np.int64(64 * min(lane[FAILURES + number], np.int64(3)) + known)


@inlined
def _agrees(byte: Integer, bit_number: Integer, partial: Integer) -> bool:
    """Whether the bits of a byte before the one at hand are those that have come."""
    return (byte | 256) >> (8 - bit_number) == partial


@part
def _stop_state(memory: Memory, length: Integer, pointer: Integer) -> Integer:
    return 2 * min(length, np.int64(15)) + np.int64(memory.begins[pointer])


@inlined
def match_bit_inputs(
    memory: Memory, tables: Tables, lane: NDArray[np.int64], bit_number: Integer, partial: Integer
) -> Integer:
    """Fill the mixer's inputs for a bit; a place that has been wrong in this byte is given up.

    ``partial`` holds the bits of this byte before it, behind a leading 1. Returns the length class of the first match,
    0 to 15.
    """
    found = np.int64(0)
    for number in range(MATCHES):
        at, length = MATCH + 2 * number, lane[LENGTH + number]
        memory.inputs[at] = 0
        memory.inputs[at + 1] = 0
        if length == 0:
            continue
        byte = np.int64(memory.seen[lane[POINTER + number]])
        if not _agrees(byte, bit_number, partial):
            if not is_full(memory):
                lane[LENGTH + number] = 0
            continue
        trust = np.int64(memory.match_maps[number, _state(lane, number)])
        sign = 2 * ((byte >> (7 - bit_number)) & 1) - 1
        memory.inputs[at] = sign * np.int64(tables.stretch[trust >> 20])
        memory.inputs[at + 1] = sign * (((trust >> 10) - (1 << 21)) >> 12)
        if number == 0:
            found = min(1 + (length >> 2), np.int64(15))
    return found


@inlined
def learn_match_bit(memory: Memory, tables: Tables, lane: NDArray[np.int64], bit_number: Integer, bit: Integer) -> None:
    """Learn whether the matches were right about a bit."""
    for number in range(MATCHES):
        if lane[LENGTH + number] == 0:
            continue
        byte = np.int64(memory.seen[lane[POINTER + number]])
        if _agrees(byte, bit_number, memory.now[PARTIAL]):
            right = 1 if (byte >> (7 - bit_number)) & 1 == bit else 0
            state = _state(lane, number)
            old = memory.match_maps[number, state]
            memory.match_maps[number, state] = learn_map(tables.reciprocal, old, right, _TRUST_COUNT)
            if not (right or is_full(memory)):
                lane[LENGTH + number] = 0


@inlined
def match_stop_inputs(memory: Memory, tables: Tables, lane: NDArray[np.int64]) -> Integer:
    """Fill the mixer's inputs for a stop; returns the length class of the first match, 0 to 15."""
    for number in range(MATCHES):
        at, length = MATCH + 2 * number, lane[LENGTH + number]
        memory.inputs[at] = 0
        memory.inputs[at + 1] = 0
        if length > 0:
            state = _stop_state(memory, length, lane[POINTER + number])
            trust = np.int64(memory.match_maps[MATCHES + number, state])
            memory.inputs[at] = tables.stretch[trust >> 20]
            memory.inputs[at + 1] = ((trust >> 10) - (1 << 21)) >> 12
    return min(np.int64(lane[LENGTH]), np.int64(15))


@inlined
def learn_match_stop(memory: Memory, tables: Tables, lane: NDArray[np.int64], bit: Integer) -> None:
    """Learn what the matches say about stops."""
    for number in range(MATCHES):
        length = lane[LENGTH + number]
        if length > 0:
            state = _stop_state(memory, length, lane[POINTER + number])
            old = memory.match_maps[MATCHES + number, state]
            memory.match_maps[MATCHES + number, state] = learn_map(tables.reciprocal, old, bit, _TRUST_COUNT)
