"""Blocks that learn: both directions, every option, and the memory of encoder and decoder."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.engines import TEXT, bpe_engine, byte_engine, codings, compress, decompress
from tests.mixing.programs import program
from zipllm.codec.block import setup
from zipllm.codec.block.row_search import binary_style
from zipllm.codec.encoder import compress_stream
from zipllm.codec.levels import LEVELS, encode_options, level_of, levels_help
from zipllm.codec.options import EncodeOptions
from zipllm.container import Coding
from zipllm.container.block import FULL_MIXER, LEAN_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import UsageError
from zipllm.mixing.contexts import CODE, ROWS, Style
from zipllm.mixing.memory import Memory, memory_digest, new_memory

ENGINES = {"byte": byte_engine, "bpe": bpe_engine}


@pytest.fixture
def memories(monkeypatch: pytest.MonkeyPatch) -> list[Memory]:
    """Every memory that a block was coded with, in order."""
    made: list[Memory] = []

    def make(*arguments: Any) -> Memory:
        made.append(new_memory(*arguments))
        return made[-1]

    monkeypatch.setattr(setup, "new_memory", make)
    return made


@pytest.mark.parametrize("lanes", [1, 2, 7])
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_encoder_and_decoder_remember_the_same(
    engine: Callable[[], Engine], lanes: int, memories: list[Memory]
) -> None:
    archive = compress(TEXT, engine(), history_bits=14, lanes=lanes, verify=False)
    assert codings(archive) == [Coding.MODEL]
    assert decompress(archive, engine()) == TEXT
    encoder, decoder = memories
    assert memory_digest(encoder) == memory_digest(decoder)
    assert decoder.decided[0] > 0


def test_so_do_they_without_a_model(memories: list[Memory]) -> None:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(TEXT), sink, engine=None, options=EncodeOptions(verify=False))
    assert codings(sink.getvalue()) == [Coding.HISTORY]
    assert decompress(sink.getvalue()) == TEXT
    digests = [memory_digest(memory) for memory in memories]
    assert digests[-1] in digests[:-1]


def test_the_model_with_history_beats_both(memories: list[Memory]) -> None:
    text = TEXT * 3
    joined = len(compress(text, bpe_engine(), history_bits=16, lanes=1))
    assert joined < len(compress(text, bpe_engine(), lanes=1))


@given(
    st.binary(min_size=1, max_size=600), st.integers(1, 5), st.integers(12, 16), st.sampled_from(list(ENGINES.values()))
)
def test_any_bytes(data: bytes, lanes: int, bits: int, engine: Callable[[], Engine]) -> None:
    archive = compress(data, engine(), history_bits=bits, lanes=min(lanes, len(data)), verify=False)
    assert decompress(archive, engine()) == data


@given(st.binary(max_size=3000), st.integers(500, 3000))
def test_any_bytes_without_a_model(data: bytes, block_size: int) -> None:
    sink = io.BytesIO()
    options = EncodeOptions(block_size=block_size, sample=False, verify=False)
    compress_stream(io.BytesIO(data), sink, engine=None, options=options)
    assert decompress(sink.getvalue()) == data


def test_blocks_decode_alone() -> None:
    """The second of two equal blocks has learned nothing from the first."""
    data = TEXT * 2
    once = compress(TEXT, history_bits=14, block_size=len(TEXT))
    twice = compress(data, history_bits=14, block_size=len(TEXT))
    assert len(twice) - len(once) > 0.8 * (len(once) - 150)


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_every_level_comes_back(level: int) -> None:
    engine = byte_engine() if level_of(level).model else None
    sink = io.BytesIO()
    compress_stream(io.BytesIO(TEXT * 3), sink, engine=engine, options=encode_options(level))
    assert decompress(sink.getvalue()) == TEXT * 3


def test_what_a_caller_wants_goes_before_the_level() -> None:
    options = encode_options(6, history=False, block_size=77, lanes=3)
    assert (options.history_bits, options.block_size, options.lanes) == (None, 77, 3)
    assert encode_options(9).history_bits == 24
    for wrong in (0, 10):
        with pytest.raises(UsageError, match="level must be 1 to 9"):
            encode_options(wrong)


def test_more_memory_with_every_level() -> None:
    for model in {level.model for level in LEVELS.values()}:
        bits = [level.history_bits for level in LEVELS.values() if level.model == model]
        assert bits == sorted(bits)


def test_help_names_every_level() -> None:
    told = levels_help()
    assert told.startswith("1 to 3: history alone")
    assert all(f"with {model}" in told or f"with model {model}" in told for model in ("nano", "small", "base"))


@pytest.mark.parametrize("options", [{"history_bits": 11}, {"history_bits": 25}, {"max_lanes": 0}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        EncodeOptions(**options)


@pytest.mark.parametrize("period", [1, 2, 3, 12, 216, 1000])
def test_the_length_of_rows(period: int) -> None:
    generator = np.random.default_rng(period)
    row = generator.integers(0, 256, period, dtype=np.uint8)
    table = np.tile(row, 20_000 // period)
    table[generator.random(table.size) < 0.2] = 7
    assert binary_style(table.tobytes(), LEAN_MIXER) == Style(ROWS, period)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_too_short_for_a_period(size: int) -> None:
    assert binary_style(bytes(size), LEAN_MIXER) == binary_style(bytes(size), FULL_MIXER) == Style(ROWS)


@pytest.mark.parametrize(("kind", "columns"), [("<i2", 1), (">i2", 30), ("<i4", 1), ("u1", 200), ("u1", 3)])
def test_rows_and_samples_by_differences(kind: str, columns: int) -> None:
    """Columns that go their own ways, each slowly."""
    size, generator = int(kind[-1]), np.random.default_rng(columns)
    rows, most = max(300, 16_000 // (columns * size)), 200 if size == 1 else 30_000
    steps = generator.integers(-3, 4, (rows, columns)) * (1 if size == 1 else 20)
    table = (generator.integers(0, most, columns) + steps.cumsum(0)) % most
    found = binary_style(table.astype(kind).tobytes(), FULL_MIXER)
    assert found.family == ROWS
    assert found.row * found.sample > 1
    assert found.row % size == 0
    if columns * size >= 8:
        assert found.row == columns * size


def test_a_row_is_not_taken_for_two() -> None:
    """Lines that are alike, and every other one a little more."""
    generator = np.random.default_rng(1)
    lines = np.tile(generator.integers(0, 256, 216, dtype=np.uint8), (200, 1))
    lines[::2, 100] ^= 255
    lines[generator.random(lines.shape) < 0.05] = 7
    assert binary_style(lines.tobytes(), FULL_MIXER).row == 216


def test_a_smooth_picture_has_rows() -> None:
    """Pixels differ little from their neighbors, and less from those above."""
    y, x = np.mgrid[:90, :400]
    noise = np.random.default_rng(1).integers(0, 3, (90, 400))
    shades = (100 + 60 * np.sin(x / 40) + 20 * np.cos(y / 30) + noise).astype(np.uint8)
    assert binary_style(shades.tobytes(), FULL_MIXER) == Style(ROWS, 400)


def test_programs_are_found() -> None:
    code = program(30_000)
    assert binary_style(code, FULL_MIXER) == Style(CODE)
    assert binary_style(code, LEAN_MIXER).family == ROWS
