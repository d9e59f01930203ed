"""What the full mixer knows of x86 programs: where in an instruction the next byte stands, and what came before.

A small automaton follows opcodes, ModRM and SIB bytes, displacements and immediates; prefixes, of 64-bit code too, are
instructions of their own. In data it is lost, which costs bits and never bytes. Blocks with these contexts have their
call targets made absolute beforehand (``make_absolute``), as in the BCJ filters of 7-Zip and in PAQ's exe models: calls
of one function then look alike.
"""

import re

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, inlined, long_part, part
from zipllm.mixing.hashing import hash_3, hash_4, hash_pair
from zipllm.mixing.memory import EARLIER, FULL_STARTS, LAST_WORD, OTHER, RECENT, WORD, Memory
from zipllm.mixing.rows import USED as _USED_BY_ROWS
from zipllm.mixing.rows import set_sparse_contexts, top_bits

(
    PHASE,  # what comes next: 0 an opcode, 1 its second byte, 2 ModRM, 3 SIB, 4 a displacement, 5 an immediate
    LEFT,  # bytes of the displacement or immediate to come
    IMMEDIATE,  # bytes of the immediate behind the displacement
    SHORT,  # 1 behind a prefix that makes operands short
    OPCODE,  # 256 more behind 0F
    MODRM,
    FORM,  # opcode, ModRM and SIB of this instruction, and of the two before
    FORM_1,
    FORM_2,
    OPERAND,  # bytes of the displacement or immediate so far
    OPCODES,  # of the last four instructions
) = range(OTHER + _USED_BY_ROWS, OTHER + _USED_BY_ROWS + 11)
_BASES = OPCODES + 1  # the last operand behind each base register
USED = _BASES + 8 - OTHER
_OPCODE, _SECOND, _MODRM, _SIB, _DISPLACEMENT, _IMMEDIATE = range(6)
_WORD, _SMALL_WORD = 0xFFFFFFFF, 0x7FFFFFFF

# What follows an opcode: 0 nothing, 1 to 4 an immediate of as many bytes, 5 ModRM, 6 ModRM and an immediate of one
# byte, 7 ModRM and one of four, 8 another instruction (this was a prefix), 9 a second opcode. Sixty-four a line.
_KINDS = """
5555140055551409 5555140055551400 5555148055551480 5555148055551480
0000000000000000 0000000000000000 0055888847160000 1111111111111111
6766555555555555 0000000000400000 4444000014000000 1111111144444444
6620556730200100 5555110055555555 1111111144410000 8088005500000055
"""
_AFTER = np.array([int(digit) for digit in _KINDS if digit.isdigit()], dtype=np.uint8)
# Behind 0F: jumps have four bytes, some opcodes nothing, some ModRM and a byte, the others ModRM.
_AFTER_0F = np.full(256, 5, dtype=np.uint8)
_AFTER_0F[0x80:0x90] = 4
_AFTER_0F[[*range(0xC8, 0xD0), 0x05, 0x06, 0x08, 0x09, 0x0B, 0x31, 0x77, 0xA0, 0xA1, 0xA2, 0xA8, 0xA9]] = 0
_AFTER_0F[[0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6]] = 6


@part
def follow_code(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    """Update the registers by the byte just remembered."""
    phase = lane[PHASE]
    if phase in (_OPCODE, _SECOND):
        _begin_instruction(memory, lane, byte)
        return
    if phase == _MODRM:
        _read_modrm(lane, byte)
        if byte >> 6 != 3 and byte & 7 == 4:
            lane[PHASE] = _SIB
            return
    elif phase == _SIB:
        lane[FORM] |= byte << 24
        if lane[MODRM] >> 6 == 0 and byte & 7 == 5:
            lane[LEFT] = 4
    else:
        lane[OPERAND] = (lane[OPERAND] << 8 | byte) & _WORD
        lane[LEFT] -= 1
        if lane[LEFT] > 0:
            return
        if phase == _IMMEDIATE:
            _end_instruction(memory, lane)
            return
    if phase != _DISPLACEMENT and lane[LEFT] > 0:
        lane[PHASE] = _DISPLACEMENT
        lane[OPERAND] = 0
    elif lane[IMMEDIATE] > 0:
        lane[PHASE] = _IMMEDIATE
        lane[LEFT] = lane[IMMEDIATE]
        lane[IMMEDIATE] = 0
        lane[OPERAND] = 0
    else:
        _end_instruction(memory, lane)


@inlined
def _read_modrm(lane: NDArray[np.int64], byte: Integer) -> None:
    mode = byte >> 6
    lane[MODRM] = byte
    lane[FORM] = lane[OPCODE] | byte << 16
    if lane[OPCODE] in (0xF6, 0xF7) and byte & 0x38 < 0x10:  # TEST, of all that share this opcode
        lane[IMMEDIATE] = 1 if lane[OPCODE] == 0xF6 else 4
    lane[LEFT] = 1 if mode == 1 else 4 if mode == 2 or (mode == 0 and byte & 7 == 5) else 0


@part
def _begin_instruction(memory: Memory, lane: NDArray[np.int64], byte: Integer) -> None:
    second = lane[PHASE] == _SECOND
    what = np.int64(_AFTER_0F[byte]) if second else np.int64(_AFTER[byte])
    lane[OPCODE] = byte + 256 if second else byte
    lane[FORM] = lane[OPCODE]
    lane[MODRM] = 0
    lane[IMMEDIATE] = 0
    lane[OPERAND] = 0
    if what == 8:
        if byte == 0x66:
            lane[SHORT] = 1
        _end_instruction(memory, lane)
    elif what == 9:
        lane[PHASE] = _SECOND
    else:
        if what <= 4:
            lane[LEFT] = 2 if what == 4 and lane[SHORT] else what
            lane[PHASE] = _IMMEDIATE
            if what == 0:
                _end_instruction(memory, lane)
        else:
            lane[IMMEDIATE] = 0 if what == 5 else 1 if what == 6 else 2 if lane[SHORT] else 4
            lane[PHASE] = _MODRM
        lane[SHORT] = 0


@part
def _end_instruction(memory: Memory, lane: NDArray[np.int64]) -> None:
    memory.keys[_place_of_form(memory, lane)] = lane[OPERAND] & _SMALL_WORD
    if lane[OPERAND] != 0 and lane[FORM] >> 16 != 0:
        lane[_BASES + (lane[MODRM] & 7)] = lane[OPERAND]
    lane[OPCODES] = (lane[OPCODES] << 8 | lane[OPCODE] & 0xFF) & _WORD
    lane[FORM_2] = lane[FORM_1]
    lane[FORM_1] = lane[FORM]
    lane[PHASE] = _OPCODE
    lane[OPCODE] = 0


@inlined
def _place_of_form(memory: Memory, lane: NDArray[np.int64]) -> Integer:
    """Return where the table of keys keeps the last operand of an instruction of the same form."""
    place: Integer = hash_pair(lane[FORM], np.int64(7)) & (memory.keys.size - 1)
    return place


@inlined
def _state(lane: NDArray[np.int64]) -> Integer:
    """Return where in its instruction the next byte stands: less than 48."""
    return np.int64(lane[PHASE] * 8 + lane[LEFT])


@long_part
def set_code_contexts(memory: Memory, lane: NDArray[np.int64]) -> None:
    """Fill all contexts of programs."""
    set_sparse_contexts(memory, lane)
    recent, earlier, word, out = lane[RECENT], lane[EARLIER], lane[WORD], memory.contexts
    last, state = recent & 0xFF, lane[PHASE] | lane[LEFT] << 3 | lane[IMMEDIATE] << 6
    opcode, modrm, operand, opcodes = lane[OPCODE], lane[MODRM], lane[OPERAND], lane[OPCODES]
    form, form_1, form_2 = lane[FORM], lane[FORM_1], lane[FORM_2]
    known = np.int64(memory.keys[_place_of_form(memory, lane)])
    out[13] = hash_3(np.int64(5), recent, earlier & 0xFF)
    out[14] = hash_pair(np.int64(19), recent & 0xFF0000FF)
    out[15] = hash_pair(np.int64(20), recent & 0x00FF00FF)
    out[16] = hash_4(np.int64(47), word, lane[LAST_WORD], last if word == 0 else np.int64(0))
    out[17] = hash_4(np.int64(49), state, form, operand)
    out[18] = hash_4(np.int64(50), state, opcode, opcodes & 0xFFFF)
    out[19] = hash_4(np.int64(51), state, form, hash_pair(form_1, operand))
    out[20] = hash_4(np.int64(52), state, hash_pair(opcode, modrm), hash_pair(opcodes, operand))
    out[21] = hash_4(np.int64(53), state, hash_pair(form, operand), hash_pair(form_1, form_2))
    out[22] = hash_4(np.int64(54), state, last, opcode)
    out[23] = hash_4(np.int64(55), state, opcode | (modrm & 0xC7) << 16, hash_pair(operand, opcodes & 0xFF))
    out[24] = hash_4(np.int64(56), state, recent & 0xFFFF, opcodes & 0xFFFF)
    registers = modrm & 0x38 | (form_1 >> 16 & 0xF8) << 8
    out[25] = hash_4(np.int64(57), state, registers, hash_pair(opcode, operand))
    out[26] = hash_4(np.int64(84), state, known, operand)
    out[27] = hash_4(np.int64(85), state, hash_pair(form_2, form_1), opcode)
    out[28] = hash_4(np.int64(86), state, opcodes, opcode)
    out[29] = hash_4(np.int64(87), state, hash_pair(opcodes, opcode), operand)
    out[30] = hash_4(np.int64(88), state, form_1, form)
    out[31] = hash_4(np.int64(89), state, lane[_BASES + (modrm & 7)], hash_pair(operand, opcode))


@part
def choose_code_sets(
    memory: Memory, lane: NDArray[np.int64], bit_number: Integer, matched: Integer, long: Integer
) -> None:
    """Choose the weight sets 2 to 7, and the second of the second layer; arguments as for ``rows.choose_row_sets``."""
    sets = memory.sets
    sets[2] = FULL_STARTS[2] + (lane[RECENT] & 0xFF)
    sets[3] = FULL_STARTS[3] + (lane[OPCODE] & 0xFF)
    sets[4] = FULL_STARTS[4] + matched
    sets[5] = FULL_STARTS[5] + code_place(lane, bit_number)
    sets[6] = FULL_STARTS[6] + top_bits(lane[RECENT])
    sets[7] = FULL_STARTS[7] + 2 * bit_number + min(long, np.int64(1))


@inlined
def code_place(lane: NDArray[np.int64], bit_number: Integer) -> Integer:
    """Return where in its instruction a bit stands: less than 384."""
    return _state(lane) * 8 + bit_number


_CALL = re.compile(rb"[\xe8\xe9](?s:...)[\x00\xff]")
"""A call or a jump by 32 bits whose target is near: less than 16 MiB away."""
_LEAST_CALLS = 64


def make_absolute(raw: bytes) -> bytes:
    """Return the block with the targets of calls and jumps counted from its beginning instead of from the call.

    Only bytes behind opcodes change, and the last of each stays 00 or FF, so ``make_relative`` finds the same places.
    """
    return _shifted(raw, 1)


def make_relative(absolute: bytes) -> bytes:
    """Undo ``make_absolute``."""
    return _shifted(absolute, -1)


def calls_repeat(raw: bytes) -> bool:
    """Return whether the block has calls, and markedly fewer different targets when they are made absolute."""
    starts, targets = _targets(raw)
    absolute, relative = (len(np.unique(found)) for found in (_near(targets + starts + 5), targets))
    return len(starts) >= _LEAST_CALLS and 10 * absolute < 8 * relative


def _targets(raw: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where calls begin, and the four bytes behind each as a number: int64 ``[calls]``."""
    starts = np.fromiter((call.start() for call in _CALL.finditer(raw)), dtype=np.int64)
    words = np.frombuffer(raw, dtype=np.uint8)[_words(starts)]
    return starts, words.view("<u4")[:, 0].astype(np.int64)


def _words(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of the four bytes behind each start: int64 ``[calls, 4]``."""
    return starts[:, None] + np.arange(1, 5)


def _near(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return targets modulo 2**25, as signed numbers: the last of their four bytes is 00 or FF."""
    return ((targets & 0x1FFFFFF) ^ 0x1000000) - 0x1000000


def _shifted(raw: bytes, sign: int) -> bytes:
    starts, targets = _targets(raw)
    out = np.frombuffer(raw, dtype=np.uint8).copy()
    shifted = _near(targets + sign * (starts + 5)) & _WORD
    out[_words(starts)] = shifted.astype("<u4").view(np.uint8).reshape(-1, 4)
    return out.tobytes()
