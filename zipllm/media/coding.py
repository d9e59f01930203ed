"""Samples of sound and pictures, and DNA (``dna.py``), to words of the range coder, and back.

Bytes are coded in order, except that a sample of sound comes highest byte first; its highest bit is inverted if it is
signed. Each bit is predicted, coded and learned before the next. Encoder and decoder run the same code; without numba
it runs as plain Python, slowly, with the same results.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import IMPOSSIBLE, Coder, FusedDecoder, FusedEncoder, decode_bit, encode_bit
from zipllm.coder.range_coder import WORD_BYTES, words_from_bytes, words_to_bytes
from zipllm.container.samples import BIG_ENDIAN, DNA, UNSIGNED, Layout
from zipllm.errors import CorruptData
from zipllm.jit.compiled import Integer, entry_from, inlined, long_part, part
from zipllm.media.beginning import new_memory
from zipllm.media.contexts import (
    context_inputs,
    find_contexts_outside,
    find_picture_contexts,
    find_slots,
    find_sound_context,
    learn_contexts,
)
from zipllm.media.curves import Constants, constants
from zipllm.media.dna import code_dna
from zipllm.media.dna_memory import DnaMemory, new_dna_memory
from zipllm.media.experts import expert_inputs, narrow
from zipllm.media.memory import (
    BEGIN,
    BYTE_NUMBER,
    FORM,
    HALF,
    INNER,
    INSIDE,
    LENGTH,
    PARTIAL,
    POSITION,
    SAMPLE,
    VALUE,
    Memory,
    PictureMemory,
    expert_count,
    is_picture,
)
from zipllm.media.mixer import choose_sets, choose_sets_outside, learn_mix, mix
from zipllm.media.picture import learn_picture, predict_picture
from zipllm.media.sound import learn_sound, predict_sound
from zipllm.mixing.tables import tables
from zipllm.progress import Advance

_CHUNK = 1 << 16
"""Bytes between two reports of progress, and how many a payload that is too short can ask for."""
_MOST_DECISIONS = 9
"""Of a byte."""
_DAMAGED = -1


@long_part
def _predict_bit(memory: Memory, tables: Constants) -> Integer:
    """Return the probability that the next bit is 1, in units of ``2**-24``."""
    if memory.now[INSIDE]:
        expert_inputs(memory, tables)
        choose_sets(memory)
    else:
        for index in range(1, 1 + expert_count(memory)):
            memory.inputs[index] = 0
        choose_sets_outside(memory)
    context_inputs(memory, tables)
    return mix(memory, tables.mixing)


@long_part
def _learn_bit(memory: Memory, tables: Constants, bit: Integer) -> None:
    learn_mix(memory, tables.mixing, bit)
    learn_contexts(memory, tables, bit)
    if memory.now[INSIDE]:
        narrow(memory, bit)


@long_part
def _code_byte(memory: Memory, tables: Constants, coder: Coder, wanted: Integer, encoding: bool) -> Integer:
    """Code the eight bits of a byte, ``wanted`` when encoding; returns it, or ``_DAMAGED``."""
    now = memory.now
    now[PARTIAL] = 1
    for shift in range(7, -1, -1):
        if shift == 7 or shift == 3:
            now[HALF] = now[PARTIAL] if shift == 3 else 0
            now[INNER] = 1
            find_slots(memory, tables)
        probability = _predict_bit(memory, tables)
        if encoding:
            bit = (wanted >> shift) & 1
            encode_bit(coder.state, coder.words, bit, probability)
        else:
            bit = np.int64(decode_bit(coder.state, coder.words, probability))
            if bit == IMPOSSIBLE:
                return np.int64(_DAMAGED)
        _learn_bit(memory, tables, bit)
        now[PARTIAL] = 2 * now[PARTIAL] + bit
        now[INNER] = 2 * now[INNER] + bit
    return np.int64(now[PARTIAL] & 255)


@inlined
def _begin_sound(memory: Memory) -> None:
    if memory.now[BYTE_NUMBER] == 0:
        predict_sound(memory)
    find_sound_context(memory)


@inlined
def _end_sound(memory: Memory, byte: Integer) -> None:
    now = memory.now
    now[VALUE] = now[VALUE] << 8 | byte
    now[BYTE_NUMBER] += 1
    if now[BYTE_NUMBER] == now[SAMPLE]:
        learn_sound(memory, now[VALUE])
        now[VALUE] = 0
        now[BYTE_NUMBER] = 0


@inlined
def _begin_picture(memory: Memory) -> None:
    predict_picture(memory)
    find_picture_contexts(memory)


@inlined
def _end_picture(memory: Memory, byte: Integer) -> None:
    learn_picture(memory, byte)


@part
def _place_of_byte(memory: Memory) -> tuple[Integer, Integer]:
    """Return where the next byte stands in the block, and which of its bits are inverted."""
    now = memory.now
    position, flipped = now[POSITION], np.int64(0)
    if now[INSIDE] and not is_picture(memory):
        number = now[BYTE_NUMBER]
        if not now[FORM] & BIG_ENDIAN:
            position += now[SAMPLE] - 1 - 2 * number
        if number == 0 and not now[FORM] & UNSIGNED:
            flipped = np.int64(128)
    return position, flipped


def _make_coder(
    begin: Callable[[Memory], None], end: Callable[[Memory, Integer], None]
) -> Callable[[Memory, Constants, Coder, bool, int], Integer]:
    """Return the loop over bytes for a family: ``begin`` predicts a byte of its samples, ``end`` learns it."""

    @inlined
    def code_bytes(memory: Memory, tables: Constants, coder: Coder, encoding: bool, count: int) -> Integer:
        now = memory.now
        for _ in range(count):
            relative = now[POSITION] - now[BEGIN]
            now[INSIDE] = 1 if 0 <= relative < now[LENGTH] else 0
            if now[INSIDE]:
                begin(memory)
            else:
                find_contexts_outside(memory)
            place, flipped = _place_of_byte(memory)
            byte = _code_byte(memory, tables, coder, np.int64(memory.seen[place]) ^ flipped, encoding)
            if byte < 0:
                return byte
            memory.seen[place] = np.uint8(byte ^ flipped)
            if now[INSIDE]:
                end(memory, byte)
            now[POSITION] += 1
        return np.int64(0)

    return code_bytes


_sound_bytes = _make_coder(_begin_sound, _end_sound)
_picture_bytes = _make_coder(_begin_picture, _end_picture)


@entry_from("zipllm.media", "zipllm.mixing", "zipllm.coder.fused")
def _code_sound(memory: Memory, tables: Constants, coder: Coder, encoding: bool, count: int) -> Integer:
    """Code the next ``count`` bytes; returns 0, or ``_DAMAGED``."""
    return _sound_bytes(memory, tables, coder, encoding, count)


@entry_from("zipllm.media", "zipllm.mixing", "zipllm.coder.fused")
def _code_picture(memory: Memory, tables: Constants, coder: Coder, encoding: bool, count: int) -> Integer:
    """Code the next ``count`` bytes; returns 0, or ``_DAMAGED``."""
    return _picture_bytes(memory, tables, coder, encoding, count)


def encode(raw: bytes, layout: Layout, advance: Advance | None = None) -> bytes:
    """Code a block.

    Args:
        raw: the block, samples and all.
        layout: where its samples lie, valid for this size.
        advance: told of progress about every 64 KiB.

    Returns:
        The payload: the range coder's words, little-endian.
    """
    memory, encoder = _memory(np.frombuffer(raw, dtype=np.uint8).copy(), layout), FusedEncoder()
    for begin in range(0, len(raw), _CHUNK):
        count = min(_CHUNK, len(raw) - begin)
        encoder.reserve(_MOST_DECISIONS * count)
        _run(memory, Coder(encoder.state, encoder.words), True, count)
        if advance is not None:
            advance((begin + count) / len(raw), WORD_BYTES * encoder.position())
    return words_to_bytes(encoder.finish())


def decode(payload: bytes, size: int, layout: Layout, advance: Advance | None = None) -> bytes:
    """Undo ``encode``; the payload may be damaged in any way.

    Returns:
        ``size`` bytes, the original ones if their checksum agrees.

    Raises:
        CorruptData: the payload does not decode to a block of this size, or no block has this layout.
    """
    memory, decoder = _memory(np.zeros(size, dtype=np.uint8), layout), FusedDecoder(words_from_bytes(payload))
    coder = Coder(decoder.state, decoder.words)
    for begin in range(0, size, _CHUNK):
        count = min(_CHUNK, size - begin)
        if _run(memory, coder, False, count):
            raise CorruptData("coded words are impossible: the payload is damaged")
        if decoder.position() - 1 > max(1, decoder.words.size):  # a decoder reads on in zeros
            raise CorruptData("the payload of a block is too short for its content")
        if advance is not None:
            advance((begin + count) / size, WORD_BYTES * decoder.position())
    if not decoder.at_end():
        raise CorruptData("the payload of a block of samples has other words than its content")
    return memory.seen.tobytes()


def _memory(seen: NDArray[np.uint8], layout: Layout) -> Memory | DnaMemory:
    if not layout.fits(seen.size):
        raise CorruptData(f"impossible layout of samples in a block of {seen.size} bytes: {layout}")
    return new_dna_memory(seen) if layout.kind == DNA else new_memory(seen, layout)


def _run(memory: Memory | DnaMemory, coder: Coder, encoding: bool, count: int) -> int:
    with np.errstate(over="ignore"):  # uncompiled, the coder's uint64 wraps on purpose; numpy would warn
        if isinstance(memory, DnaMemory):
            return int(code_dna(memory, tables(), coder, encoding, count))
        code = _code_picture if isinstance(memory, PictureMemory) else _code_sound
        return int(code(memory, constants(), coder, encoding, count))
