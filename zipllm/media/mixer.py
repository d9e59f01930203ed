"""All opinions on one bit become one probability: two layers of mixing on the logistic scale.

First layer: weight sets side by side, each chosen by a small context, each learning from its own error. Second layer:
a weighted sum of theirs (Mattern, "Linear and geometric mixtures", 2013; Mahoney's PAQ8).
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, part
from zipllm.media.bits import bit_length
from zipllm.media.curves import octaves
from zipllm.media.experts import edge_of_halves
from zipllm.media.memory import (
    BITS,
    CHANNEL,
    DECIDED,
    FINAL_SET,
    GRADIENT,
    INVERSE,
    LEVEL,
    MEAN,
    MIXTURE,
    OUTSIDE_FINAL,
    OUTSIDE_SETS,
    PARTIAL,
    PICTURE_EXPERTS,
    POSITION,
    SETS,
    SOUND_EXPERTS,
    SPAN,
    WEIGHT_BITS,
    Memory,
    expert_count,
    input_count,
    is_picture,
    selector_count,
)
from zipllm.media.sound import FAST, SLOW
from zipllm.mixing.tables import LIMIT, ONE_BITS, Tables
from zipllm.mixing.vectors import make_dot, make_move

_RATE_START, _RATE_END = 80, 14
_FINAL_RATE = 5
_MOST_WEIGHT = 1 << (WEIGHT_BITS + 6)
_MOST_FINAL = 1 << (WEIGHT_BITS + 4)
_LEAST = 32
_COMPARED = (0, 1, 14, 4, 5, 7, 3)  # experts of a picture
_dot_sound, _dot_picture = make_dot(input_count(SOUND_EXPERTS)), make_dot(input_count(PICTURE_EXPERTS))
_move_sound, _move_picture = make_move(input_count(SOUND_EXPERTS)), make_move(input_count(PICTURE_EXPERTS))


@part
def _within(number: Integer, low: Integer, high: Integer) -> Integer:
    return min(max(number, np.int64(low)), np.int64(high))


@part
def _sides(means: NDArray[np.int64], blended: Integer) -> Integer:
    """Return which of seven experts say more than the blend of all, a bit for each."""
    sides = np.int64(0)
    for expert in _COMPARED:
        sides = 2 * sides + (1 if means[expert] > blended else 0)
    return np.int64(sides)


@part
def choose_sets(memory: Memory) -> None:
    """Fill ``Memory.sets``: by where the bit divides the blend's distribution, by how sure that is, and more."""
    now, sets, experts = memory.now, memory.sets, memory.experts
    blended = expert_count(memory) - 1
    left = bit_length(now[SPAN]) - 1
    number, level, inverse = now[BITS] - left, now[LEVEL], experts[INVERSE, blended]
    distance = ((edge_of_halves(now) - experts[MEAN, blended]) * inverse) >> 16
    where = _within((distance >> 14) + 12, 0, 24)
    wide = _within(2 * left - level + 22, 0, 15)
    apart = ((experts[MEAN, 0] - experts[MEAN, 2]) * inverse) >> 16
    sets[0] = where * 16 + wide
    sets[1] = number * 4 + now[CHANNEL]
    sets[2] = min(level, np.int64(63)) + 64 * min(number, np.int64(7))
    if is_picture(memory):
        sets[3] = now[PARTIAL] + 256 * now[CHANNEL]
        sets[4] = min(octaves(now[GRADIENT], np.int64(2)), np.int64(15)) * 16 + wide
        sets[5] = (_within(apart >> 14, -8, 7) + 8) * 16 + wide
        sets[6] = number * 128 + _sides(experts[MEAN], experts[MEAN, blended])
    else:
        errors = memory.errors[now[CHANNEL]]
        trend = octaves(errors[FAST, blended], np.int64(2)) - octaves(errors[SLOW, blended], np.int64(2))
        sets[3] = (_within(trend, -7, 8) + 7) * 8 + (wide >> 1)
        sets[4] = (_within(apart >> 13, -8, 7) + 8) * 16 + wide
    now[FINAL_SET] = number
    for selector in range(selector_count(memory)):
        sets[selector] += selector * (SETS + OUTSIDE_SETS)


@part
def choose_sets_outside(memory: Memory) -> None:
    """Fill ``Memory.sets`` for a byte outside of the samples: by its bits so far and by the bytes before."""
    now, sets = memory.now, memory.sets
    for selector in range(selector_count(memory)):
        sets[selector] = selector * (SETS + OUTSIDE_SETS) + SETS
    sets[0] += now[PARTIAL]
    for selector in range(1, 3):
        if now[POSITION] >= selector:
            sets[selector] += np.int64(memory.seen[now[POSITION] - selector])
    now[FINAL_SET] = OUTSIDE_FINAL + bit_length(now[PARTIAL]) - 1


@part
def mix(memory: Memory, tables: Tables) -> Integer:
    """Return the probability of a 1 in units of ``2**-24``; note the mixture and what each mixer says."""
    now = memory.now
    total = np.int64(0)
    for number in range(selector_count(memory)):
        row = memory.weights[memory.sets[number]]
        if is_picture(memory):
            output = np.int64(_dot_picture(row, memory.inputs)) >> WEIGHT_BITS
        else:
            output = np.int64(_dot_sound(row, memory.inputs)) >> WEIGHT_BITS
        memory.outputs[number] = _within(output, -LIMIT, LIMIT)
        total += memory.outputs[number] * np.int64(memory.final_weights[now[FINAL_SET], number])
    now[MIXTURE] = _within(total >> WEIGHT_BITS, -LIMIT, LIMIT)
    return _within(np.int64(tables.squash[now[MIXTURE] + LIMIT]), _LEAST, (1 << ONE_BITS) - _LEAST)


@part
def learn_mix(memory: Memory, tables: Tables, bit: Integer) -> None:
    """Move the weights of the last mixture along the gradient of the coding cost, those of each mixer by its own."""
    now, target = memory.now, bit << ONE_BITS
    rate = max(_RATE_START - (now[DECIDED] >> 10), np.int64(_RATE_END))
    error = (target - np.int64(tables.squash[now[MIXTURE] + LIMIT])) >> 8
    for number in range(selector_count(memory)):
        change = (memory.outputs[number] * error * _FINAL_RATE + (1 << 19)) >> 20
        weight = np.int64(memory.final_weights[now[FINAL_SET], number]) + change
        memory.final_weights[now[FINAL_SET], number] = np.int32(_within(weight, -_MOST_FINAL, _MOST_FINAL))
        own = ((target - np.int64(tables.squash[memory.outputs[number] + LIMIT])) >> 8) * rate >> 6
        row = memory.weights[memory.sets[number]]
        if is_picture(memory):
            _move_picture(row, memory.inputs, own, np.int64(_MOST_WEIGHT))
        else:
            _move_sound(row, memory.inputs, own, np.int64(_MOST_WEIGHT))
    now[DECIDED] += 1
