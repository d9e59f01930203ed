"""Programs: the filter of call targets, and the automaton that follows instructions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.mixing.programs import program
from tests.mixing.test_adaptive import BYTES, NOTHING, vocabulary
from zipllm.coder.fused import FusedEncoder
from zipllm.mixing import machine_code, structure
from zipllm.mixing.adaptive import Chunk, encode_chunk
from zipllm.mixing.contexts import CODE, Style
from zipllm.mixing.machine_code import (
    FORM_1,
    IMMEDIATE,
    LEFT,
    OPERAND,
    PHASE,
    calls_repeat,
    make_absolute,
    make_relative,
)
from zipllm.mixing.memory import FULL, OTHER, STRUCTURE, STRUCTURE_REGISTERS, new_memory

CALLS = st.lists(
    st.sampled_from([b"\xe8", b"\xe9", b"\x00", b"\xff", b"\x01", b"\xe8\x10\x00\x00\x00", b"\xe9\xff\xff\xff\xff"])
    | st.binary(max_size=5)
).map(b"".join)


def registers(code: bytes) -> NDArray[np.int64]:
    """Registers of one lane after some code: int64 ``[registers]``."""
    memory = new_memory(np.array([len(code)]), 12, None, FULL)
    chunk = Chunk(np.zeros(1, np.int64), np.array([len(code)]), np.array([list(code)], np.int32), NOTHING)
    encode_chunk(memory, vocabulary(BYTES), chunk, Style(CODE), FusedEncoder())
    lane: NDArray[np.int64] = memory.registers[0]
    return lane


def test_there_is_room_for_the_registers_behind_those_that_stops_read() -> None:
    assert OTHER + machine_code.USED <= STRUCTURE + STRUCTURE_REGISTERS
    assert max(structure.FIELD, structure.FIELD_BEGIN, structure.ABOVE_2) < OTHER


@given(CALLS)
def test_the_filter_is_undone(raw: bytes) -> None:
    absolute = make_absolute(raw)
    assert len(absolute) == len(raw)
    assert make_relative(absolute) == raw
    assert make_absolute(make_relative(raw)) == raw


def test_what_the_filter_does() -> None:
    """Two calls of the function at 16, and a jump beyond 16 MiB, which stays."""
    code = b"\xe8\x0b\x00\x00\x00" + b"\xe8\x06\x00\x00\x00" + b"\xe9\x00\x00\x00\x01"
    assert make_absolute(code) == b"\xe8\x10\x00\x00\x00" * 2 + b"\xe9\x00\x00\x00\x01"
    assert make_absolute(b"\x90\xe8\xfa\xff\xff\xff") == b"\x90\xe8\x00\x00\x00\x00"
    assert make_absolute(b"\xe8\xfa\xff\xff\xff") == b"\xe8\xff\xff\xff\xff"
    assert make_absolute(b"\xe8\x00\x00\x00") == b"\xe8\x00\x00\x00"


def test_calls_that_repeat_are_found() -> None:
    assert calls_repeat(program(20_000))
    assert not calls_repeat(program(600))
    assert not calls_repeat(make_absolute(program(20_000)))
    assert not calls_repeat(np.random.default_rng(1).bytes(200_000))
    assert not calls_repeat(b"")


@pytest.mark.parametrize(
    ("code", "phase", "left", "immediate"),
    [
        ("", 0, 0, 0),
        ("90", 0, 0, 0),
        ("0f", 1, 0, 0),
        ("0f84", 5, 4, 0),
        ("8b", 2, 0, 0),
        ("8b44", 3, 1, 0),  # SIB and a byte
        ("8b4424", 4, 1, 0),
        ("8b442408", 0, 0, 0),
        ("8b05", 4, 4, 0),
        ("8b0425", 4, 4, 0),
        ("c745fc", 5, 4, 0),
        ("c745", 4, 1, 4),
        ("66c745", 4, 1, 2),
        ("f6c3", 5, 1, 0),  # TEST has an immediate
        ("f6d8", 0, 0, 0),  # NEG has none
        ("f7c3", 5, 4, 0),
        ("c8", 5, 3, 0),
        ("c3", 0, 0, 0),
        ("e800000000", 0, 0, 0),
    ],
)
def test_where_an_instruction_stands(code: str, phase: int, left: int, immediate: int) -> None:
    lane = registers(b"\x90" + bytes.fromhex(code))
    assert (lane[PHASE], lane[LEFT], lane[IMMEDIATE]) == (phase, left, immediate)


def test_operands_and_forms() -> None:
    lane = registers(b"\xb8\x01\x02\x03")
    assert lane[OPERAND] == 0x010203
    lane = registers(b"\x8b\x44\x24\x08\x90")
    assert (lane[FORM_1], lane[machine_code.FORM_2]) == (0x90, 0x24_44_008B)
