"""What the full mixer knows of lines, fields, keys, brackets, quotes and tags, after some text."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mixing.test_adaptive import BYTES, NOTHING, vocabulary
from zipllm.coder.fused import FusedEncoder
from zipllm.mixing import structure
from zipllm.mixing.adaptive import Chunk, encode_chunk
from zipllm.mixing.contexts import TEXT, Style
from zipllm.mixing.memory import FULL, STRUCTURE_REGISTERS, new_memory
from zipllm.mixing.structure import (
    DEPTH,
    FIELD,
    FIELD_ABOVE,
    FIELD_ORDER,
    FIRST_WORD,
    INDENT,
    KEY,
    MARKUP,
    QUOTED,
    TAGS_OPEN,
    VALUE_ABOVE,
)


def registers(*lanes: bytes) -> NDArray[np.int64]:
    """Registers of some lanes of equal length after their text: int64 ``[lanes, registers]``."""
    tokens = np.array([list(lane) for lane in lanes], dtype=np.int32)
    count, steps = tokens.shape
    memory = new_memory(np.full(count, steps), 12, None, FULL)
    chunk = Chunk(np.arange(count), np.full(count, steps), tokens, NOTHING)
    encode_chunk(memory, vocabulary(BYTES), chunk, Style(TEXT, 1), FusedEncoder())
    return memory.registers


def test_there_is_room_for_all_of_them() -> None:
    assert structure.USED <= STRUCTURE_REGISTERS


@pytest.mark.parametrize(
    ("text", "depth", "quoted"),
    [(b'{"a": [1, {"b": "x', 3, 1), (b'{"a": [1, {"b": "x"}]', 1, 0), (b"}]) and (", 1, 0), (b'"(', 1, 0)],
)
def test_brackets_and_quotes(text: bytes, depth: int, quoted: int) -> None:
    lane = registers(text)[0]
    assert (lane[DEPTH], lane[QUOTED]) == (depth, quoted)


def test_a_key_comes_back_behind_a_bracket() -> None:
    outer, inner, closed = (registers(text)[0][KEY] for text in (b'"ab": ', b'"ab": [{"c": 1', b'"ab": [{"c": 1}]'))
    assert outer == closed != inner


@pytest.mark.parametrize(
    ("text", "open_tags", "markup"),
    [
        (b"<a><b x='1'>text", 2, 0),
        (b"<a><b x='1'>t</b><c/>", 1, 0),
        (b"<a><b", 1, 1),
        (b"<a><b x", 1, 2),
        (b"</a>", 0, 0),
    ],
)
def test_tags(text: bytes, open_tags: int, markup: int) -> None:
    lane = registers(text)[0]
    assert (lane[TAGS_OPEN], lane[MARKUP]) == (open_tags, markup)


@pytest.mark.parametrize(
    ("text", "above", "order"),
    [
        (b"one,two\nsix,", 4, 0),
        (b"one,two\nsix,tw", 6, 0),
        (b"one,two\nsix,tx", 6, 1),
        (b"one,two\nsix,a", 5, 2),
        (b"one\nsix,a", 0, 0),
    ],
)
def test_the_field_above(text: bytes, above: int, order: int) -> None:
    lane = registers(text)[0]
    assert (lane[FIELD], lane[FIELD_ABOVE], lane[FIELD_ORDER]) == (1, above, order)


def test_the_last_value_of_a_key_is_followed() -> None:
    text = b'{"id": 17},{"id": 1'
    assert registers(text)[0][VALUE_ABOVE] == text.index(b"17") + 1


def test_a_value_at_the_end_of_the_block_is_not_followed() -> None:
    """The last lane ends behind a colon; another lane then looks the same key up, and may not read beyond the block."""
    sizes, text = np.array([7, 3]), [list(b"1234ab:"), list(b"ab:") + [0] * 4]
    memory = new_memory(sizes, 12, None, FULL)
    chunk = Chunk(np.arange(2), sizes, np.array(text, dtype=np.int32), NOTHING)
    encode_chunk(memory, vocabulary(BYTES), chunk, Style(TEXT, 1), FusedEncoder())
    assert memory.registers[0, VALUE_ABOVE] == 0


def test_first_word_and_indent() -> None:
    one, two, three = (registers(text)[0] for text in (b"\n  if x", b"\n  if yy zz", b"\n   or x"))
    assert one[FIRST_WORD] == two[FIRST_WORD] != three[FIRST_WORD]
    assert (one[INDENT], three[INDENT]) == (2, 3)


@pytest.mark.parametrize(
    "text", [b"[" * 400, b"," * 199 + b"\n" + b"," * 200, b"<a>" * 133 + b".", b"]>}" * 133 + b"."]
)
def test_a_lane_of_too_much_leaves_the_next_alone(text: bytes) -> None:
    """No stack grows into other registers: the second lane is as if the first were other text."""
    plain = b"a" * len(text)
    alone, beside = registers(plain, plain)[1], registers(text, plain)[1]
    places = slice(structure.ABOVE_2, None)
    assert (alone[places] == beside[places]).all()
    assert registers(text)[0][DEPTH] <= 32
    assert registers(text)[0][TAGS_OPEN] <= 32
