"""Rows of numbers and pixels: registers, and contexts that find what a row or a number above says."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mixing.test_adaptive import BYTES, NOTHING, vocabulary
from zipllm.coder.fused import FusedEncoder
from zipllm.mixing import rows
from zipllm.mixing.adaptive import Chunk, encode_chunk
from zipllm.mixing.contexts import ROWS, TEXT, Style
from zipllm.mixing.memory import FULL, LEAN, Memory, Shape, new_memory


def coded(raw: bytes, style: Style, shape: Shape = FULL) -> tuple[int, Memory]:
    """Bytes of some data in one lane, and the memory afterwards."""
    memory, encoder = new_memory(np.array([len(raw)]), 16, None, shape), FusedEncoder()
    tokens = np.frombuffer(raw, dtype=np.uint8).astype(np.int32)[None]
    encode_chunk(
        memory, vocabulary(BYTES), Chunk(np.zeros(1, np.int64), np.array([len(raw)]), tokens, NOTHING), style, encoder
    )
    return 4 * len(encoder.finish()), memory


def walk(steps: int, columns: int, kind: str) -> NDArray[np.generic]:
    return np.random.default_rng(steps).integers(-40, 41, (steps, columns)).cumsum(0).astype(kind)


@pytest.mark.parametrize("kind", ["<i2", ">i2"])
def test_which_byte_of_a_number_comes_first_shows_while_coding(kind: str) -> None:
    _, memory = coded(walk(3000, 1, kind).tobytes(), Style(ROWS, 2, 2))
    even, odd = memory.registers[0][rows.CHANGES : rows.CHANGES + 2]
    assert bool(odd < even) == (kind == "<i2")


def test_the_last_zero() -> None:
    _, memory = coded(b"ab\0cde", Style(ROWS))
    assert memory.registers[0][rows.LAST_ZERO] == 3


@pytest.mark.parametrize(("kind", "columns"), [("<i2", 1), (">i2", 1), ("<i2", 60), (">i2", 3), ("<i4", 4)])
def test_numbers_are_predicted_better_than_as_text_and_by_the_lean_mixer(kind: str, columns: int) -> None:
    raw = walk(6000 // columns, columns, kind).tobytes()
    row, sample = columns * int(kind[2]), int(kind[2])
    size, _ = coded(raw, Style(ROWS, max(row, sample), 1 if row == sample else sample))
    assert size < 0.97 * coded(raw, Style(TEXT))[0]
    assert size < coded(raw, Style(ROWS, row), LEAN)[0]


def test_pixels() -> None:
    """Waves with noise that is much alike in all three channels."""
    generator, y, x = np.random.default_rng(3), np.arange(60)[:, None, None], np.arange(80)[:, None]
    noise = generator.normal(0, 6, (60, 80, 1)) + generator.normal(0, 1, (60, 80, 3))
    picture = np.clip(128 + 50 * np.sin(x / 9) * np.cos(y / 7) + noise, 0, 255).astype(np.uint8)
    size, _ = coded(picture.tobytes(), Style(ROWS, 240, 3))
    assert size < coded(picture.tobytes(), Style(ROWS, 240), LEAN)[0]
    assert size < coded(picture.tobytes(), Style(ROWS, 240, 1))[0]
