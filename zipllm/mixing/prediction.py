"""One decision: all opinions on it, one probability, and what is learned when the bit is known."""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, part
from zipllm.mixing.contexts import ROWS, TEXT, Style, byte_above, set_contexts
from zipllm.mixing.decision_tree import STOP
from zipllm.mixing.hashing import HASH, hash_pair
from zipllm.mixing.history import find_slots, find_stops, history_inputs, learn_history
from zipllm.mixing.machine_code import choose_code_sets, code_place
from zipllm.mixing.matches import learn_match_bit, learn_match_stop, match_bit_inputs, match_stop_inputs
from zipllm.mixing.memory import (
    BIAS,
    BIT_NUMBER,
    FINAL_SET,
    FINAL_SETS,
    FULL_STARTS,
    HALF,
    INNER,
    LEAN_STARTS,
    LINE,
    MIXTURE,
    MODEL,
    PARTIAL,
    POSITION,
    RECENT,
    REFINER_BITS,
    ROW_1,
    ROW_2,
    STOPS,
    SURE,
    Memory,
    context_count,
    is_full,
    mixer_count,
)
from zipllm.mixing.mixer import LEAST, fetch_refiner, learn_mix, learn_refined, mix, refined, stretch_fine
from zipllm.mixing.predictions import BROKEN
from zipllm.mixing.rows import choose_row_sets, matched_byte
from zipllm.mixing.structure import FIELD, FIELD_BEGIN, kind
from zipllm.mixing.tables import LIMIT, ONE_BITS, UNIT, Tables

_ONE = 1 << ONE_BITS


@inlined
def hear_model(
    memory: Memory, constants: Tables, cumulative: NDArray[np.int32], column: Integer, low: Integer, high: Integer
) -> Integer:
    """Fill the model's inputs of the mixer; without a model (``cumulative`` is empty) with 0.

    Returns:
        The cumulative frequency in the middle, ``cumulative[column]``, or ``BROKEN`` if it is not between ``low`` and
        ``high``; 0 without a model.
    """
    memory.inputs[BIAS] = UNIT
    memory.inputs[MODEL] = 0
    memory.inputs[MODEL + 1] = 0
    memory.now[SURE] = 0
    if cumulative.size == 0:
        return np.int64(0)
    middle = np.int64(cumulative[column])
    if not low < middle < high:
        return np.int64(BROKEN)
    share = (np.int64(high - middle) << ONE_BITS) // np.int64(high - low)
    chance = min(max(share, np.int64(1)), np.int64(_ONE - 1))
    number = stretch_fine(constants.fine, chance)
    memory.inputs[MODEL] = number
    memory.inputs[MODEL + 1] = (chance - (_ONE >> 1)) >> 14
    memory.now[SURE] = min(max(np.int64(number), np.int64(-number)) >> 7, np.int64(15))
    return middle


@inlined
def predict_stop(memory: Memory, constants: Tables, lane: NDArray[np.int64], node: Integer, depth: Integer) -> Integer:
    """Return the probability that a token goes on, in units of ``2**-24``."""
    long = match_stop_inputs(memory, constants, lane)
    find_stops(memory, lane, node, depth)
    known = history_inputs(memory, constants, memory.stop_slots, memory.stop_maps, STOPS, np.int64(0))
    now, place, last = memory.now, min(depth, np.int64(15)) * 16 + memory.now[SURE], lane[RECENT] & 0xFF
    if is_full(memory):
        _choose_full_sets(memory, lane, place, long * 16 + known, now[SURE] * 16 + known, min(depth, np.int64(7)))
        for number in range(mixer_count(memory)):
            memory.sets[number] += FULL_STARTS[8]
        now[FINAL_SET + 1] = FINAL_SETS + place
        now[FINAL_SET + 2] = FINAL_SETS + last
    else:
        _choose_lean_sets(memory, place, long * 16 + known, now[SURE] * 16 + known, last)
        for number in range(mixer_count(memory)):
            memory.sets[number] += LEAN_STARTS[4]
    now[FINAL_SET] = FINAL_SETS + now[SURE] * 16 + long
    return _bounded(np.int64(constants.squash[mix(memory) + LIMIT]))


@inlined
def _choose_lean_sets(memory: Memory, first: Integer, second: Integer, third: Integer, last: Integer) -> None:
    sets = memory.sets
    sets[0] = first
    sets[1] = LEAN_STARTS[1] + second
    sets[2] = LEAN_STARTS[2] + third
    sets[3] = LEAN_STARTS[3] + last


@part
def _choose_full_sets(
    memory: Memory, lane: NDArray[np.int64], first: Integer, second: Integer, third: Integer, place: Integer
) -> None:
    """Choose by three numbers, and by column and field with the ``place`` in the byte, kinds, and the byte above."""
    sets, recent = memory.sets, lane[RECENT]
    column, inside = lane[POSITION] - lane[LINE], lane[POSITION] - lane[FIELD_BEGIN]
    field = min(lane[FIELD], np.int64(15)) * 8 + min(inside, np.int64(7))
    kinds = kind(recent & 0xFF) & 7 | (kind(recent >> 8 & 0xFF) & 7) << 3 | (kind(recent >> 16 & 0xFF) & 7) << 6
    sets[0] = first
    sets[1] = FULL_STARTS[1] + second
    sets[2] = FULL_STARTS[2] + third
    sets[3] = FULL_STARTS[3] + (recent & 0xFF)
    sets[4] = FULL_STARTS[4] + min(column, np.int64(127)) * 8 + place
    sets[5] = FULL_STARTS[5] + field * 8 + place
    sets[6] = FULL_STARTS[6] + kinds
    sets[7] = FULL_STARTS[7] + byte_above(memory, lane)


@part
def _choose_sets_by_family(
    memory: Memory, lane: NDArray[np.int64], style: Style, second: Integer, third: Integer, long: Integer
) -> None:
    """Choose the sets for a bit, and the second of the second layer; ``second`` and ``third`` are those of text."""
    sets, now = memory.sets, memory.now
    number, partial = now[BIT_NUMBER], now[PARTIAL]
    now[FINAL_SET + 1] = partial
    if style.family == TEXT:
        _choose_full_sets(memory, lane, partial, second, third, number)
        return
    sets[0] = partial
    sets[1] = FULL_STARTS[1] + second
    matched = matched_byte(memory, lane, long, partial)
    if style.family == ROWS:
        choose_row_sets(memory, lane, style.row, style.sample, number, matched)
    else:
        choose_code_sets(memory, lane, number, matched, long)
        now[FINAL_SET + 1] = code_place(lane, number)


@inlined
def predict_bit(memory: Memory, constants: Tables, lane: NDArray[np.int64], letter: Integer, style: Style) -> Integer:
    """Return the probability of a 1 in the bit at hand, in units of ``2**-24``.

    ``memory.now[BIT_NUMBER]`` is the number of the bit, ``now[HALF]`` is -1 at the beginning of a byte. ``letter`` is a
    byte whose bits before this one are those that are known.
    """
    _look_up(memory, constants, lane, letter, style)
    now, last = memory.now, lane[RECENT] & 0xFF
    now[ROW_1] = now[PARTIAL] | last << 8
    pair = hash_pair(lane[RECENT] & 0xFFFF, now[PARTIAL])
    now[ROW_2] = (1 << REFINER_BITS) + ((pair * HASH >> 27) & ((1 << REFINER_BITS) - 1))
    fetch_refiner(memory.refiners, now[ROW_1])
    fetch_refiner(memory.refiners, now[ROW_2])
    known = history_inputs(memory, constants, memory.slots, memory.maps, context_count(memory), now[INNER])
    long = match_bit_inputs(memory, constants, lane, now[BIT_NUMBER], now[PARTIAL])
    third = now[SURE] * 16 + 2 * now[BIT_NUMBER] + min(long, np.int64(1))
    if is_full(memory):
        share = known * 16 // (context_count(memory) + 1)
        _choose_sets_by_family(memory, lane, style, long * 16 + share, third, long)
        now[FINAL_SET + 2] = last
    else:
        _choose_lean_sets(memory, now[PARTIAL], long * 16 + min(known, np.int64(15)), third, last)
    now[FINAL_SET] = now[SURE] * 16 + long
    mixture = mix(memory)
    first = refined(memory.refiners, mixture, now[ROW_1])
    second = refined(memory.refiners, mixture, now[ROW_2])
    return _bounded((2 * np.int64(constants.squash[mixture + LIMIT]) + first + second) >> 2)


@inlined
def learn(memory: Memory, constants: Tables, lane: NDArray[np.int64], bit: Integer) -> None:
    """Learn the bit of the decision that was predicted last."""
    now = memory.now
    learn_mix(memory, constants.squash, bit)
    if now[BIT_NUMBER] == STOP:
        learn_match_stop(memory, constants, lane, bit)
        learn_history(memory, constants, memory.stop_slots, memory.stop_maps, STOPS, np.int64(0), bit)
    else:
        learn_match_bit(memory, constants, lane, now[BIT_NUMBER], bit)
        learn_history(memory, constants, memory.slots, memory.maps, context_count(memory), now[INNER], bit)
        learn_refined(memory.refiners, now[MIXTURE], now[ROW_1], bit)
        learn_refined(memory.refiners, now[MIXTURE], now[ROW_2], bit)


@inlined
def _look_up(memory: Memory, constants: Tables, lane: NDArray[np.int64], letter: Integer, style: Style) -> None:
    """Find the bit histories: contexts at the beginning of a byte, slots at that of each half."""
    now, number = memory.now, memory.now[BIT_NUMBER]
    partial = np.int64(1) << number | letter >> (8 - number)
    half, inner = np.int64(0), partial
    if number >= 4:
        half = partial >> (number - 4)
        inner = np.int64(1) << (number - 4) | partial & ((np.int64(1) << (number - 4)) - 1)
    if now[HALF] < 0:
        set_contexts(memory, lane, style)
    if now[HALF] != half:
        find_slots(memory, constants, half)
    now[PARTIAL], now[INNER], now[HALF] = partial, inner, half


@inlined
def _bounded(probability: Integer) -> Integer:
    return min(max(np.int64(probability), np.int64(LEAST)), np.int64(_ONE - LEAST))
