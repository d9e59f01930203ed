"""Hashed contexts: what came before where the same surroundings were seen.

A context finds a slot for each half of a byte: a check, 15 bit histories and, 16 entries on, as many probabilities.
Bytes outside of the samples have contexts too: the last one to six bytes.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.media.curves import Constants
from zipllm.media.memory import (
    BEGIN,
    BITS,
    BYTE_NUMBER,
    CHANNEL,
    CONTEXT_COUNT,
    CONTEXTS,
    FIRST_MAP,
    FRONT,
    HALF,
    INNER,
    MEAN,
    POSITION,
    ROW,
    SAMPLE,
    SLOT_BITS,
    SLOT_ENTRIES,
    VALUE,
    Memory,
    expert_count,
)
from zipllm.media.picture import back
from zipllm.mixing.hashing import HASH, hash_4, hash_pair
from zipllm.mixing.history import learn_map

_MAP_COUNT = 1020
_PROBABILITIES = 16
_EVEN = 1 << 15


@long_part
def find_sound_context(memory: Memory) -> None:
    """Fill ``Memory.contexts`` for the next byte of a sample of sound."""
    now = memory.now
    now[CONTEXT_COUNT], now[FIRST_MAP] = 1, 0
    blended = memory.experts[MEAN, expert_count(memory) - 1] >> now[BITS]
    key = hash_4(now[CHANNEL], now[BYTE_NUMBER], now[VALUE], blended)
    memory.contexts[0] = hash_pair(key, np.int64(1000))


@long_part
def find_contexts_outside(memory: Memory) -> None:
    """Fill ``Memory.contexts`` for the next byte, which is not a sample's."""
    now = memory.now
    now[CONTEXT_COUNT], now[FIRST_MAP] = CONTEXTS, CONTEXTS
    key: Integer = np.int64(0)
    for number in range(CONTEXTS):
        place = now[POSITION] - 1 - number
        key = hash_pair(key, np.int64(memory.seen[place]) if place >= 0 else np.int64(256))
        memory.contexts[number] = hash_pair(key, np.int64(2000 + number))


@long_part
def find_picture_contexts(memory: Memory) -> None:
    """Fill ``Memory.contexts`` for the next byte of a pixel."""
    now, means, keys = memory.now, memory.experts[MEAN], memory.contexts
    now[CONTEXT_COUNT], now[FIRST_MAP] = CONTEXTS, 0
    at = now[POSITION] - now[BEGIN] + now[FRONT]
    pixel, row, channel = now[SAMPLE], now[ROW], now[CHANNEL]
    west, north, corner = (
        back(memory.pixels, at, pixel),
        back(memory.pixels, at, row),
        back(memory.pixels, at, row + pixel),
    )
    other = back(memory.pixels, at, np.int64(1)) if channel > 0 else np.int64(0)
    another = back(memory.pixels, at, np.int64(2)) if channel > 1 else np.int64(0)
    before, blended, zero = other | another << 8 | channel << 16, means[expert_count(memory) - 1], np.int64(0)
    above = north + back(memory.pixels, at, row - pixel) - back(memory.pixels, at, 2 * row - pixel)
    keys[0] = hash_pair(hash_4(west, north, before, zero), np.int64(1000))
    keys[1] = hash_pair(hash_4(west + north - corner, before, zero, np.int64(6)), np.int64(1006))
    keys[2] = hash_pair(hash_4(above, before, zero, np.int64(7)), np.int64(1007))
    keys[3] = hash_pair(hash_4(blended >> 6, before >> 8, zero, np.int64(8)), np.int64(1008))
    keys[4] = hash_pair(hash_4(blended >> 8, north, other, np.int64(17)), np.int64(1017))
    last = hash_pair(channel, np.int64(19))
    keys[5] = hash_pair(hash_4(means[0] >> 8, means[2] >> 8, means[3] >> 8, last), np.int64(1019))


@long_part
def find_slots(memory: Memory, constants: Constants) -> None:
    """Fill ``Memory.places`` for a half of the byte: the first, or the one behind the half that is known."""
    half = memory.now[HALF]
    for number in range(memory.now[CONTEXT_COUNT]):
        key: Integer = memory.contexts[number]
        if half:
            key = hash_pair(key, 1 + half)
        memory.places[number] = _find_slot(memory.slots, constants.mixing.seen, key)


@part
def _find_slot(slots: NDArray[np.uint16], seen: NDArray[np.uint8], key: Integer) -> Integer:
    """Return where the slot of a context begins; of two that may hold it, the one that has seen less is emptied."""
    begin = ((key * HASH >> 22) & ((1 << SLOT_BITS) - 1)) * SLOT_ENTRIES
    check = key & 0xFFFF
    if np.int64(slots[begin]) == check:
        return begin
    other = begin ^ SLOT_ENTRIES
    if np.int64(slots[other]) == check:
        return other
    if seen[slots[other + 1]] < seen[slots[begin + 1]]:
        begin = other
    slots[begin] = check
    for entry in range(1, _PROBABILITIES):
        slots[begin + entry] = 0
    for entry in range(_PROBABILITIES, SLOT_ENTRIES):
        slots[begin + entry] = _EVEN
    return begin


@part
def context_inputs(memory: Memory, constants: Constants) -> None:
    """Fill three inputs of the mixer for each context: its map's probability in two forms, and its own."""
    now, inputs, stretch = memory.now, memory.inputs, constants.mixing.stretch
    at = 1 + expert_count(memory)
    for number in range(now[CONTEXT_COUNT]):
        place = memory.places[number] + now[INNER]
        state = np.int64(memory.slots[place])
        if state == 0:
            inputs[at] = 0
            inputs[at + 1] = 0
            inputs[at + 2] = 0
        else:
            probability = np.int64(memory.maps[now[FIRST_MAP] + number, state]) >> 10
            inputs[at] = stretch[probability >> 10]
            inputs[at + 1] = (probability - (1 << 21)) >> 12
            inputs[at + 2] = stretch[np.int64(memory.slots[place + _PROBABILITIES]) >> 4]
        at += 3
    for index in range(at, inputs.size):
        inputs[index] = 0


@part
def learn_contexts(memory: Memory, constants: Constants, bit: Integer) -> None:
    """Learn a bit in every context."""
    now, slots, maps = memory.now, memory.slots, memory.maps
    for number in range(now[CONTEXT_COUNT]):
        place = memory.places[number] + now[INNER]
        state, row = slots[place], now[FIRST_MAP] + number
        maps[row, state] = learn_map(constants.mixing.reciprocal, maps[row, state], bit, np.int64(_MAP_COUNT))
        slots[place] = constants.mixing.following[state, bit]
        old = np.int64(slots[place + _PROBABILITIES])
        if state == 0:
            new = np.int64(3 << 14 if bit else 1 << 14)
        else:
            new = old + (((bit << 16) - bit - old) >> 4)
        slots[place + _PROBABILITIES] = np.uint16(new)
