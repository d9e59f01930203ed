"""DNA: two bits a base, predicted by what followed the same bases before, on this strand and on the other.

A byte is first said to be a base (A, C, G or T, in the case of the last one) or not; a base then takes two decisions,
any other byte eight. Counters in contexts of 2 to 20 bases learn each base twice: as it is read, and as the complement
that stands before the reverse complement of the bases behind it ("inverted repeats": Pinho et al., "On the
representability of complete genomes by multiple competing finite-context (Markov) models", 2011; GeCo). Two matches of
20 bases and more follow earlier places forwards, and backwards on the other strand.
"""

import numpy as np

from zipllm.coder.fused import IMPOSSIBLE, Coder, decode_bit, encode_bit
from zipllm.jit.compiled import Integer, entry_from, inlined, long_part, part
from zipllm.media.dna_memory import (
    BACK_FAILURES,
    BACK_MATCH,
    BACKWARD,
    BASES,
    BIAS,
    CASE,
    COLUMN,
    COUNT,
    EARLIER,
    EXPECTED,
    FAILURES,
    FIRST,
    INPUTS,
    KINDS,
    LINE,
    MATCH,
    MATCHED,
    ORDERS,
    OTHERS,
    POINTER,
    POSITION,
    RECENT,
    REVERSED,
    SELECTORS,
    SETS,
    DnaMemory,
)
from zipllm.mixing.hashing import hash_pair
from zipllm.mixing.history import learn_map
from zipllm.mixing.tables import LIMIT, ONE_BITS, UNIT, Tables
from zipllm.mixing.vectors import make_dot, make_move

_LONG = 12
"""From this order on, counters forget fast."""
_SLOW, _FAST = 7, 2
_LEAST_MATCH, _VERIFIED, _MOST_FAILURES = 20, 32, 8
_RATE = 5
_LEAST = 32
_HALF = 1 << 15
_MOST_WEIGHT = 1 << 22
_WINDOW_BITS = 48
_WINDOW = (1 << _WINDOW_BITS) - 1
_DAMAGED = -1
_FLAG_COUNT = 1020
_dot, _move = make_dot(INPUTS), make_move(INPUTS)


@inlined
def _base_of(byte: Integer, case: Integer) -> Integer:
    """Return 0 to 3 for A, C, G and T of a case (0 capitals, 32 small letters), else -1."""
    letter, base = byte - case, -1
    if letter == 65:
        base = 0
    elif letter == 67:
        base = 1
    elif letter == 71:
        base = 2
    elif letter == 84:
        base = 3
    return np.int64(base)


@inlined
def _letter_of(base: Integer, case: Integer) -> Integer:
    """Undo ``_base_of``: 65, 67, 71 or 84 plus the case."""
    return (0x54474341 >> 8 * base & 0xFF) + case


@inlined
def _slot(bases: Integer, order: Integer, size: Integer) -> Integer:
    """Return where the three counters of a context begin, in a table of ``size`` entries."""
    context: Integer = bases & ((np.int64(1) << 2 * order) - 1)
    if 4 << 2 * order > size:
        context = hash_pair(context, context >> 32) & (size // 4 - 1)
    return context * 4


@inlined
def _order(number: Integer) -> Integer:
    """Return ``ORDERS[number]``, from a constant."""
    return np.int64(_ORDER_CODES >> 5 * number & 31)


_ORDER_CODES = sum(order << 5 * number for number, order in enumerate(ORDERS))


@long_part
def _mix(memory: DnaMemory, tables: Tables) -> Integer:
    """Return the probability of a 1 by ``inputs`` and ``sets``, in units of ``2**-24``."""
    total = np.int64(0)
    for number in range(SELECTORS):
        said = np.int64(_dot(memory.weights[memory.sets[number]], memory.inputs)) >> 16
        memory.outputs[number] = min(max(said, np.int64(-LIMIT)), np.int64(LIMIT))
        total += memory.outputs[number]
    probability = np.int64(tables.squash[total // SELECTORS + LIMIT])
    return min(max(probability, np.int64(_LEAST)), np.int64((1 << ONE_BITS) - _LEAST))


@long_part
def _learn_mix(memory: DnaMemory, tables: Tables, bit: Integer) -> None:
    for number in range(SELECTORS):
        error = ((bit << ONE_BITS) - np.int64(tables.squash[memory.outputs[number] + LIMIT])) >> 8
        _move(memory.weights[memory.sets[number]], memory.inputs, error * _RATE >> 4, np.int64(_MOST_WEIGHT))


@inlined
def _hear(memory: DnaMemory, tables: Tables, at: Integer, counter: Integer) -> None:
    """Fill two inputs by a counter: its probability on the logistic scale, and its distance from one half."""
    memory.inputs[at] = tables.stretch[(counter + _HALF) >> 4]
    memory.inputs[at + 1] = counter >> 7


@inlined
def _moved(counter: Integer, bit: Integer, shift: Integer) -> Integer:
    """Return a counter after a bit."""
    target = np.int64(_HALF - 1) if bit else np.int64(-_HALF)
    return np.int16(counter + ((target - counter) >> shift))


@inlined
def _code(coder: Coder, bit: Integer, probability: Integer, encoding: bool) -> Integer:
    if encoding:
        encode_bit(coder.state, coder.words, bit, probability)
        return bit
    return np.int64(decode_bit(coder.state, coder.words, probability))


@inlined
def _class_of(length: Integer) -> Integer:
    if length < 16:
        found = length >> 1
    elif length < 32:
        found = 8 + (length - 16 >> 2)
    else:
        found = 12 + min(length - 32 >> 5, 3)
    return np.int64(found)


@part
def _match_input(
    memory: DnaMemory, tables: Tables, number: Integer, expected: Integer, node: Integer, bit_number: Integer
) -> Integer:
    """Fill the input of a match; returns its class from 1 on, 0 if it says nothing.

    ``now[EXPECTED]`` or ``now[BACK_EXPECTED]`` notes where the trust in it stands, and the bit that it expects.
    """
    now, at = memory.now, MATCHED + number
    memory.inputs[at] = 0
    now[EXPECTED + number] = -1
    if expected < 0 or (bit_number == 1 and expected >> 1 != node - 2):
        return np.int64(0)
    length_class = _class_of(np.int64(now[MATCH + number]))
    place = (length_class * 4 + min(now[FAILURES + number], np.int64(3))) * 2 + bit_number
    bit = expected >> (1 - bit_number) & 1
    trust = np.int64(tables.stretch[memory.trust[number, place] >> 4])
    memory.inputs[at] = trust if bit else -trust
    now[EXPECTED + number] = place * 2 + bit
    return 1 + min(length_class // 3, np.int64(6))


@part
def _learn_match(memory: DnaMemory, number: Integer, bit: Integer) -> None:
    noted = memory.now[EXPECTED + number]
    if noted >= 0:
        old = np.int64(memory.trust[number, noted >> 1])
        target = np.int64(65_535) if noted & 1 == bit else np.int64(0)
        memory.trust[number, noted >> 1] = min(max(old + ((target - old) >> 8), np.int64(19_660)), np.int64(65_529))


@long_part
def _code_base(memory: DnaMemory, tables: Tables, coder: Coder, wanted: Integer, encoding: bool) -> Integer:
    """Code a base, ``wanted`` when encoding; returns it, or ``_DAMAGED``."""
    now, counters, inputs = memory.now, memory.counters, memory.inputs
    size = np.int64(counters.shape[1])
    for number in range(len(ORDERS)):
        memory.places[number] = _slot(now[BASES], _order(number), size)
    forward, backward = _expected(memory, np.int64(0)), _expected(memory, np.int64(1))
    node = np.int64(1)
    for bit_number in range(2):
        inputs[BIAS] = UNIT
        for number in range(len(ORDERS)):
            _hear(memory, tables, FIRST + 2 * number, np.int64(counters[number, memory.places[number] + node]))
        first = _match_input(memory, tables, np.int64(0), forward, node, np.int64(bit_number))
        second = _match_input(memory, tables, np.int64(1), backward, node, np.int64(bit_number))
        inputs[INPUTS - 1] = 0
        memory.sets[0] = 256 + first * 2 + bit_number
        memory.sets[1] = SETS + 256 + (now[BASES] & 15) * 4 + node
        memory.sets[2] = 2 * SETS + 256 + second * 2 + bit_number
        bit = _code(coder, wanted >> (1 - bit_number) & 1, _mix(memory, tables), encoding)
        if bit == IMPOSSIBLE:
            return np.int64(_DAMAGED)
        _learn_mix(memory, tables, bit)
        _learn_match(memory, np.int64(0), bit)
        _learn_match(memory, np.int64(1), bit)
        for number in range(len(ORDERS)):
            place, shift = memory.places[number] + node, _FAST if _order(number) >= _LONG else _SLOW
            counters[number, place] = _moved(np.int64(counters[number, place]), bit, np.int64(shift))
        node = 2 * node + bit
    return node & 3


@long_part
def _remember_base(memory: DnaMemory, base: Integer) -> None:
    now, counters = memory.now, memory.counters
    count = now[COUNT]
    memory.sequence[count] = base
    now[COUNT] = count + 1
    now[BASES] = (now[BASES] << 2 | base) & _WINDOW
    now[REVERSED] = now[REVERSED] >> 2 | (3 - base) << (_WINDOW_BITS - 2)
    size = np.int64(counters.shape[1])
    for number in range(len(ORDERS)):
        order = _order(number)
        if count >= order:  # on the other strand the bases behind come first
            place = _slot(now[REVERSED] >> (_WINDOW_BITS - 2 * order), order, size)
            shift = np.int64(_FAST if order >= _LONG else _SLOW)
            other = 3 - (now[BASES] >> 2 * order & 3)
            high, node = other >> 1, place + 2 + (other >> 1)
            counters[number, place + 1] = _moved(np.int64(counters[number, place + 1]), high, shift)
            counters[number, node] = _moved(np.int64(counters[number, node]), other & 1, shift)
    _follow_match(memory, np.int64(0), _expected(memory, np.int64(0)), base, np.int64(1))
    _follow_match(memory, np.int64(1), _expected(memory, np.int64(1)), base, np.int64(-1))
    if count + 1 >= _LEAST_MATCH:
        _find_matches(memory)


@part
def _expected(memory: DnaMemory, number: Integer) -> Integer:
    """Return the base that a match expects, the complement if it goes backwards; -1 without a match."""
    place = memory.now[POINTER + number]
    if place < 0:
        return np.int64(-1)
    base = np.int64(memory.sequence[place])
    return 3 - base if number else base


@inlined
def _follow_match(memory: DnaMemory, number: Integer, expected: Integer, base: Integer, step: Integer) -> None:
    now = memory.now
    if expected >= 0:
        if expected == base:
            now[MATCH + number] += 1
            if now[MATCH + number] & 15 == 0 and now[FAILURES + number] > 0:
                now[FAILURES + number] -= 1
        else:
            now[FAILURES + number] += 1
            now[MATCH + number] = 0
        now[POINTER + number] += step
        if now[FAILURES + number] > _MOST_FAILURES:
            now[POINTER + number] = -1


@part
def _find_matches(memory: DnaMemory) -> None:
    """Look for the last 20 bases, and for their reverse complement, if no match is followed."""
    now, sequence, last = memory.now, memory.sequence, memory.last
    count = now[COUNT]
    mask = last.size - 1
    bases = now[BASES] & ((np.int64(1) << 2 * _LEAST_MATCH) - 1)
    place = hash_pair(bases, bases >> 32) & mask
    if now[POINTER] < 0 and last[place] > 0:
        found, length = np.int64(last[place]), np.int64(0)
        while length < min(np.int64(_VERIFIED), found) and sequence[found - 1 - length] == sequence[count - 1 - length]:
            length += 1
        if length >= _LEAST_MATCH:
            now[POINTER], now[MATCH], now[FAILURES] = found, length, 0
    other = now[REVERSED] >> (_WINDOW_BITS - 2 * _LEAST_MATCH)
    turned = np.int64(last[hash_pair(other, other >> 32) & mask])
    if now[BACKWARD] < 0 and turned > _LEAST_MATCH:
        length = np.int64(0)
        while length < _LEAST_MATCH and sequence[turned - _LEAST_MATCH + length] == 3 - sequence[count - 1 - length]:
            length += 1
        if length == _LEAST_MATCH:
            now[BACKWARD], now[BACK_MATCH], now[BACK_FAILURES] = turned - _LEAST_MATCH - 1, length, 0
    last[place] = count


@long_part
def _code_other(memory: DnaMemory, tables: Tables, coder: Coder, wanted: Integer, encoding: bool) -> Integer:
    """Code the eight bits of a byte that is no base, ``wanted`` when encoding; returns it, or ``_DAMAGED``."""
    now, others, inputs = memory.now, memory.others, memory.inputs
    memory.places[0] = hash_pair(now[RECENT] & 0xFF, np.int64(1))
    memory.places[1] = hash_pair(now[RECENT] & 0xFFFF, np.int64(2))
    memory.places[2] = hash_pair(now[RECENT], np.int64(3))
    memory.places[3] = hash_pair(now[RECENT], now[EARLIER] & 0xFFFF)
    for index in range(INPUTS):
        inputs[index] = 0
    inputs[BIAS] = UNIT
    node = np.int64(1)
    for shift in range(7, -1, -1):
        for number in range(OTHERS):
            place = hash_pair(memory.places[number], node) & (others.shape[1] - 1)
            _hear(memory, tables, FIRST + 2 * number, np.int64(others[number, place]))
        for number in range(SELECTORS):
            memory.sets[number] = number * SETS + node
        bit = _code(coder, wanted >> shift & 1, _mix(memory, tables), encoding)
        if bit == IMPOSSIBLE:
            return np.int64(_DAMAGED)
        _learn_mix(memory, tables, bit)
        for number in range(OTHERS):
            place = hash_pair(memory.places[number], node) & (others.shape[1] - 1)
            others[number, place] = _moved(np.int64(others[number, place]), bit, np.int64(_FAST))
        node = 2 * node + bit
    return node & 0xFF


@part
def _code_byte(memory: DnaMemory, tables: Tables, coder: Coder, wanted: Integer, encoding: bool) -> Integer:
    now = memory.now
    at_end = np.int64(1) if now[COLUMN] == now[LINE] else np.int64(0)
    flag = now[KINDS] << 1 | at_end
    chance = min(max((np.int64(memory.flags[flag]) >> 10) << 2, np.int64(_LEAST)), np.int64((1 << ONE_BITS) - _LEAST))
    base = _base_of(wanted, now[CASE])
    is_base = _code(coder, np.int64(1) if base >= 0 else np.int64(0), chance, encoding)
    if is_base == IMPOSSIBLE:
        return np.int64(_DAMAGED)
    memory.flags[flag] = learn_map(tables.reciprocal, memory.flags[flag], is_base, np.int64(_FLAG_COUNT))
    if is_base:
        base = _code_base(memory, tables, coder, base, encoding)
        byte = _letter_of(base, now[CASE]) if base >= 0 else base
    else:
        byte = _code_other(memory, tables, coder, wanted, encoding)
        for case in (0, 32):
            if _base_of(byte, np.int64(case)) >= 0:
                base, now[CASE] = _base_of(byte, np.int64(case)), case
    if byte < 0:
        return byte
    if base >= 0:
        _remember_base(memory, base)
    now[KINDS] = (now[KINDS] << 1 | is_base) & 3
    if not is_base:
        now[EARLIER] = (now[EARLIER] << 8 | now[RECENT] >> 24) & 0xFFFFFFFF
        now[RECENT] = (now[RECENT] << 8 | byte) & 0xFFFFFFFF
    now[COLUMN] += 1
    if byte == 10:
        now[LINE], now[COLUMN] = now[COLUMN] - 1, 0
    return byte


@entry_from("zipllm.media", "zipllm.mixing", "zipllm.coder.fused")
def code_dna(memory: DnaMemory, tables: Tables, coder: Coder, encoding: bool, count: int) -> Integer:
    """Code the next ``count`` bytes; returns 0, or a negative number for impossible words."""
    now = memory.now
    if now[POSITION] == 0:
        now[POINTER], now[BACKWARD] = -1, -1
    for _ in range(count):
        byte = _code_byte(memory, tables, coder, np.int64(memory.seen[now[POSITION]]), encoding)
        if byte < 0:
            return byte
        memory.seen[now[POSITION]] = byte
        now[POSITION] += 1
    return np.int64(0)
