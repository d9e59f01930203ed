"""Whether a token ends here: bit histories of stops, by contexts that know the token so far and what is around it."""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined
from zipllm.mixing.contexts import HASH, hash_pair
from zipllm.mixing.history import MAP_COUNT, learn_map
from zipllm.mixing.memory import (
    BEFORE,
    EARLIER,
    FIRST,
    INPUTS,
    LAST_TOKEN,
    LAST_WORD,
    RECENT,
    STOP_SLOT_BITS,
    STOPS,
    WORD,
    Memory,
)
from zipllm.mixing.tables import MAP_BITS, Tables


@inlined
def find_stops(memory: Memory, lane: NDArray[np.int64], node: Integer, depth: Integer) -> None:
    """Fill ``memory.places``. A node of the trie is a token's beginning; ``depth`` is how many bytes that has."""
    recent, keys = lane[RECENT], memory.contexts
    keys[0] = hash_pair(node, np.int64(1))
    keys[1] = hash_pair(hash_pair(node, np.int64(2)), memory.now[BEFORE])
    keys[2] = hash_pair(hash_pair(node, np.int64(3)), lane[LAST_TOKEN])
    keys[3] = hash_pair(hash_pair(recent, np.int64(4)), depth)
    keys[4] = hash_pair(hash_pair(recent, np.int64(5)), lane[EARLIER] & 0xFFFF)
    keys[5] = hash_pair(hash_pair(lane[WORD], np.int64(6)), lane[LAST_WORD])
    for number in range(STOPS):
        memory.places[number] = (keys[number] * HASH >> 26) & ((1 << STOP_SLOT_BITS) - 1)


@inlined
def stop_inputs(memory: Memory, constants: Tables) -> Integer:
    """Fill the mixer's inputs; returns in how many contexts something was seen before."""
    known = np.int64(0)
    for number in range(STOPS):
        state = np.int64(memory.stop_slots[memory.places[number]])
        probability = np.int64(memory.stop_maps[number, state]) >> 10
        at = FIRST + 2 * number
        if state == 0:
            memory.inputs[at] = 0
            memory.inputs[at + 1] = 0
        else:
            known += 1
            memory.inputs[at] = constants.stretch[probability >> 10]
            memory.inputs[at + 1] = (probability - (1 << (MAP_BITS - 1))) >> 12
    for index in range(FIRST + 2 * STOPS, INPUTS):
        memory.inputs[index] = 0
    return known


@inlined
def learn_stop(memory: Memory, constants: Tables, bit: Integer) -> None:
    """Learn a stop in every context."""
    for number in range(STOPS):
        place = memory.places[number]
        state = memory.stop_slots[place]
        old = memory.stop_maps[number, state]
        memory.stop_maps[number, state] = learn_map(constants.reciprocal, old, bit, MAP_COUNT)
        memory.stop_slots[place] = constants.following[state, bit]
