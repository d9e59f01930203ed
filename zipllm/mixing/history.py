"""Bit histories by context: which bits came before at this place of the binary tree, and what that has meant so far.

Four bits (half a byte) of a context share a *slot*: a check of 16 bits and 15 bit histories. A history is a state
(``tables.py``); each context's map, which learns, turns it into a probability (an indirect model, as in Mahoney's PAQ6
and ZPAQ). Slots are found by hashing; of two candidates the one that has seen less is overwritten. The stops of tokens
have contexts of their own, with one history each instead of a slot.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.jit.prefetch import prefetch
from zipllm.mixing.hashing import HASH, hash_pair
from zipllm.mixing.memory import (
    BEFORE,
    EARLIER,
    FIRST,
    LAST_TOKEN,
    LAST_WORD,
    RECENT,
    STOP_SLOT_BITS,
    STOPS,
    WORD,
    Memory,
    context_count,
)
from zipllm.mixing.tables import MAP_BITS, Tables

MAP_COUNT = 1020
"""Number of observations of a state that a map averages over before it forgets the oldest."""
SLOT_ENTRIES = 16
"""A slot's uint16 entries: its check and 15 bit histories."""
_HALF = 1 << (MAP_BITS - 1)
_MOST = (1 << MAP_BITS) - 1


@inlined
def first_candidate(slots: NDArray[np.uint16], key: Integer) -> Integer:
    """Return the number of the first slot that may hold a context; the second is its neighbor, ``number ^ 1``."""
    return (key * HASH >> 22) & ((slots.size >> 4) - 1)


@inlined
def half_key(key: Integer, half: Integer) -> Integer:
    """Return the hash of a context for half a byte: 0 for the first, else the first half's bits behind a 1."""
    return hash_pair(key, 1 + half) if half else key


@part
def find_slot(slots: NDArray[np.uint16], seen: NDArray[np.uint8], key: Integer) -> Integer:
    """Return where the slot of a context begins, emptied if it was another's.

    ``slots`` is uint16 ``[2**n * SLOT_ENTRIES]``; ``key`` is the hash of the context, 32 bits.
    """
    index = first_candidate(slots, key)
    check = key & 0xFFFF
    if np.int64(slots[index * SLOT_ENTRIES]) == check:
        return index * SLOT_ENTRIES
    other = index ^ 1  # the same cache line
    if np.int64(slots[other * SLOT_ENTRIES]) == check:
        return other * SLOT_ENTRIES
    if seen[slots[other * SLOT_ENTRIES + 1]] < seen[slots[index * SLOT_ENTRIES + 1]]:
        index = other
    begin = index * SLOT_ENTRIES
    for entry in range(SLOT_ENTRIES):
        slots[begin + entry] = 0
    slots[begin] = check
    return begin


@inlined
def find_slots(memory: Memory, tables: Tables, half: Integer) -> None:
    """Fill ``memory.places`` for half a byte (``half_key``), after prefetching the slots of all contexts."""
    contexts = context_count(memory)
    for number in range(contexts):
        key = half_key(memory.contexts[number], half)
        memory.places[number] = key
        prefetch(memory.slots, first_candidate(memory.slots, key) * SLOT_ENTRIES)
    for number in range(contexts):
        memory.places[number] = find_slot(memory.slots, tables.seen, memory.places[number])


@inlined
def find_stops(memory: Memory, lane: NDArray[np.int64], node: Integer, depth: Integer) -> None:
    """Fill ``memory.places`` for a stop, by contexts that know the token so far and what surrounds it.

    The token's first ``depth`` bytes lead to ``node`` of the trie.
    """
    recent, keys = lane[RECENT], memory.contexts
    keys[0] = hash_pair(node, np.int64(1))
    keys[1] = hash_pair(hash_pair(node, np.int64(2)), memory.now[BEFORE])
    keys[2] = hash_pair(hash_pair(node, np.int64(3)), lane[LAST_TOKEN])
    keys[3] = hash_pair(hash_pair(recent, np.int64(4)), depth)
    keys[4] = hash_pair(hash_pair(recent, np.int64(5)), lane[EARLIER] & 0xFFFF)
    keys[5] = hash_pair(hash_pair(lane[WORD], np.int64(6)), lane[LAST_WORD])
    for number in range(STOPS):
        memory.places[number] = (keys[number] * HASH >> 26) & ((1 << STOP_SLOT_BITS) - 1)


@part
def history_inputs(
    memory: Memory,
    tables: Tables,
    slots: NDArray[np.uint16],
    maps: NDArray[np.uint32],
    contexts: Integer,
    node: Integer,
) -> Integer:
    """Fill two inputs of the mixer for each context, and the rest with 0.

    Args:
        memory: ``places`` says where the contexts' histories begin.
        tables: constants.
        slots: the histories: ``memory.slots`` or ``memory.stop_slots``.
        maps: what they mean: ``memory.maps`` or ``memory.stop_maps``.
        contexts: how many ``maps`` has; a constant, so that the compiler knows the loop's length.
        node: offset of the decision's history from each place.

    Returns:
        How many contexts were seen before.
    """
    inputs, known = memory.inputs, np.int64(0)
    for number in range(contexts):
        state = np.int64(slots[memory.places[number] + node])
        probability = np.int64(maps[number, state]) >> 10
        at = FIRST + 2 * number
        if state == 0:
            inputs[at] = 0
            inputs[at + 1] = 0
        else:
            known += 1
            inputs[at] = tables.stretch[probability >> 10]
            inputs[at + 1] = (probability - _HALF) >> 12
    for index in range(FIRST + 2 * contexts, inputs.size):
        inputs[index] = 0
    return known


@inlined
def learn_history(
    memory: Memory,
    tables: Tables,
    slots: NDArray[np.uint16],
    maps: NDArray[np.uint32],
    contexts: Integer,
    node: Integer,
    bit: Integer,
) -> None:
    """Learn a bit in every context; arguments as for ``history_inputs``."""
    for number in range(contexts):
        place = memory.places[number] + node
        state = slots[place]
        maps[number, state] = learn_map(tables.reciprocal, maps[number, state], bit, MAP_COUNT)
        slots[place] = tables.following[state, bit]


@part
def learn_map(reciprocal: NDArray[np.int64], entry: Integer, bit: Integer, most: Integer) -> Integer:
    """Return a map's entry (probability << 10 | count) after one more bit: a mean over up to ``most`` bits."""
    old = np.int64(entry)
    probability, count = old >> 10, old & 1023
    probability += (((np.int64(bit) << MAP_BITS) - probability) * reciprocal[count]) >> 16
    probability = min(max(probability, np.int64(1)), np.int64(_MOST))
    if count < most:
        count += 1
    return np.uint32((probability << 10) | count)
