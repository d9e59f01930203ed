"""The range coder as compiled loops: the same words as ``range_coder``, without a call per batch of decisions.

Decoding with few lanes asks for one or two decisions at a time, and the next probability depends on the bit
just decoded. A call into constriction costs microseconds each time; here a whole step of decisions runs
inside one kernel, which calls ``decode_bit``. The algorithm is that of ``range_coder``, on 64-bit state: the decoder
keeps only ``offset = number - lower`` for its decisions, and ``lower`` to check the end; the encoder adds a carry into
the words already written. Equality with constriction is tested word for word.

Kernels need numba (``COMPILES``); ``open_encoder`` and ``open_decoder`` choose what works here.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.range_coder import (
    PROBABILITY_BITS,
    BitDecoder,
    BitEncoder,
    RangeDecoder,
    RangeEncoder,
    check_bits,
    check_probabilities,
    check_words,
)
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES, Integer, compiled, part

# Every operand in a kernel must be uint64: numba turns a mix of signed and unsigned into float64.
_WORD = np.uint64(32)
_PRECISION = np.uint64(PROBABILITY_BITS)
_ONE = np.uint64(1 << PROBABILITY_BITS)
_LOW_WORD = np.uint64(0xFFFFFFFF)
_UNIT = np.uint64(1)
_ZERO = np.uint64(0)
_FULL_RANGE = _STATE_MASK = 2**64 - 1

IMPOSSIBLE = 2  # decode_bit: the words cannot come from an encoder

# Slots of the state arrays, uint64 [4].
_LOWER, _RANGE, _OFFSET, _POSITION = 0, 1, 2, 3


@part
def decoded(
    words: NDArray[np.uint32], lower: Integer, width: Integer, offset: Integer, position: Integer, probability: Integer
) -> tuple[int, Integer, Integer, Integer, Integer]:
    """Return the next bit, or ``IMPOSSIBLE``, and what becomes of the state; for loops that keep it in registers.

    It computes both halves of the interval and chooses one, since a processor cannot predict the bit.

    The state is a ``FusedDecoder``'s, uint64; ``probability`` is that of bit 1, in ``1..2**24 - 1``.
    """
    chance = np.uint64(probability)
    scale = width >> _PRECISION
    if offset >= scale << _PRECISION:
        return IMPOSSIBLE, lower, width, offset, position
    split = scale * (_ONE - chance)
    one = offset >= split
    passed = split if one else _ZERO
    lower += passed
    offset -= passed
    width = scale * chance if one else split
    if width <= _LOW_WORD:
        width <<= _WORD
        offset <<= _WORD
        lower <<= _WORD
        if position < np.uint64(words.size):
            offset |= np.uint64(words[position])
        position += _UNIT
    return (1 if one else 0), lower, width, offset, position


@compiled
def decode_bit(state: NDArray[np.uint64], words: NDArray[np.uint32], probability: Integer) -> int:
    """Do what ``decoded`` does with a ``FusedDecoder``'s state, uint64 ``[4]``, changed in place."""
    bit, state[_LOWER], state[_RANGE], state[_OFFSET], state[_POSITION] = decoded(
        words, state[_LOWER], state[_RANGE], state[_OFFSET], state[_POSITION], probability
    )
    return bit


@compiled
def _decode_bits(
    state: NDArray[np.uint64], words: NDArray[np.uint32], probabilities: NDArray[np.uint32], bits: NDArray[np.uint8]
) -> bool:
    for index in range(probabilities.size):
        bit = decode_bit(state, words, probabilities[index])
        if bit == IMPOSSIBLE:
            return False
        bits[index] = bit
    return True


@compiled
def _add_carry(words: NDArray[np.uint32], written: Integer) -> None:
    index = written - 1
    while words[index] == 0xFFFFFFFF:
        words[index] = 0
        index -= 1
    words[index] += 1


@part
def _encoded(
    words: NDArray[np.uint32], lower: Integer, width: Integer, position: Integer, bit: Integer, probability: Integer
) -> tuple[Integer, Integer, Integer]:
    """Append one decision and return what becomes of the state; chooses between two halves as ``decoded`` does."""
    chance = np.uint64(probability)
    scale = width >> _PRECISION
    split = scale * (_ONE - chance)
    begin = lower
    lower += split if bit else _ZERO
    width = scale * chance if bit else split
    if lower < begin:
        _add_carry(words, np.int64(position))
    if width <= _LOW_WORD:
        words[position] = np.uint32(lower >> _WORD)
        position += _UNIT
        lower <<= _WORD
        width <<= _WORD
    return lower, width, position


@compiled
def encode_bit(state: NDArray[np.uint64], words: NDArray[np.uint32], bit: Integer, probability: Integer) -> None:
    """Append one decision; for use inside kernels.

    ``state`` is a ``FusedEncoder``'s, uint64 ``[4]``, changed in place; ``words`` has room for one more word.
    """
    state[_LOWER], state[_RANGE], state[_POSITION] = _encoded(
        words, state[_LOWER], state[_RANGE], state[_POSITION], bit, probability
    )


@compiled
def _encode_bits(
    state: NDArray[np.uint64], words: NDArray[np.uint32], bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]
) -> None:
    lower, width, position = state[_LOWER], state[_RANGE], state[_POSITION]
    for index in range(bits.size):
        lower, width, position = _encoded(words, lower, width, position, bits[index], probabilities[index])
    state[_LOWER], state[_RANGE], state[_POSITION] = lower, width, position


class Coder(NamedTuple):
    """A ``FusedEncoder``'s or a ``FusedDecoder``'s state and words, as compiled code takes them."""

    state: NDArray[np.uint64]
    words: NDArray[np.uint32]


class FusedEncoder:
    """A ``BitEncoder`` with a compiled loop. ``state`` and ``words`` are there for kernels that call ``encode_bit``."""

    def __init__(self) -> None:
        self.state = np.array([0, _FULL_RANGE, 0, 0], dtype=np.uint64)
        self.words = np.empty(1024, dtype=np.uint32)
        self._finished = False

    def reserve(self, decisions: int) -> None:
        """Make room in ``words`` for a number of decisions and the closing words."""
        if self._finished:
            raise ValueError("encode() after finish()")
        needed = int(self.state[_POSITION]) + decisions + 2
        if needed > self.words.size:
            grown = np.empty(max(needed, 2 * self.words.size), dtype=np.uint32)
            grown[: self.words.size] = self.words
            self.words = grown

    def encode(self, bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> None:
        """Append decisions; errors as in ``RangeEncoder.encode``."""
        check_bits(bits, probabilities)
        self.reserve(bits.size)
        _encode_bits(self.state, self.words, np.ascontiguousarray(bits), np.ascontiguousarray(probabilities))

    def position(self) -> int:
        """Words written so far."""
        return int(self.state[_POSITION])

    def spent(self) -> float:
        """Bits coded so far: words written, and how far the interval has shrunk since. Floating point, to be shown."""
        return 32 * self.position() + 64 - math.log2(int(self.state[_RANGE]))

    def finish(self) -> NDArray[np.uint32]:
        """Close the stream and return its words, uint32 ``[m]``."""
        written = int(self.state[_POSITION])
        closing = _closing_words(int(self.state[_LOWER]), int(self.state[_RANGE]))
        if not self._finished:
            self.reserve(0)
            if int(self.state[_LOWER]) + int(_LOW_WORD) > _STATE_MASK and closing:
                _add_carry(self.words, written)
            self.words[written : written + len(closing)] = closing
        self._finished = True
        return self.words[: written + len(closing)].copy()


class FusedDecoder:
    """A ``BitDecoder`` with a compiled loop. ``state`` and ``words`` are there for kernels that call ``decode_bit``."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        check_words(words)
        self.words = words.copy()
        first, second = (int(words[index]) if words.size > index else 0 for index in range(2))
        self.state = np.array([0, _FULL_RANGE, first << 32 | second, 2], dtype=np.uint64)

    def decode(self, probabilities: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Return the next bits; errors as in ``RangeDecoder.decode``."""
        check_probabilities(probabilities)
        bits = np.empty(probabilities.size, dtype=np.uint8)
        if not _decode_bits(self.state, self.words, np.ascontiguousarray(probabilities), bits):
            raise CorruptData("coded words are impossible: the payload is damaged")
        return bits

    def position(self) -> int:
        """Words read so far."""
        return int(self.state[_POSITION])

    def spent(self) -> float:
        """Bits used so far, as ``FusedEncoder.spent`` counts them; two words are read before the first decision."""
        return 32 * (self.position() - 2) + 64 - math.log2(int(self.state[_RANGE]))

    def at_end(self) -> bool:
        """Whether the decoded decisions encode to exactly these words.

        The words before the last were followed all the way (the offset stayed inside the range), so only
        the closing words are left to compare: their number, and their value.
        """
        closing = _closing_words(int(self.state[_LOWER]), int(self.state[_RANGE]))
        shifts = int(self.state[_POSITION]) - 2
        if not closing:
            return self.words.size == 0
        return self.words.size == shifts + len(closing) and self.words[shifts:].tolist() == closing


def open_encoder() -> BitEncoder:
    """Return the fastest encoder that works here; the words are the same for all."""
    return FusedEncoder() if COMPILES else RangeEncoder()


def open_decoder(words: NDArray[np.uint32]) -> BitDecoder:
    """Return the fastest decoder of ``words`` (uint32 ``[m]``) that works here."""
    return FusedDecoder(words) if COMPILES else RangeDecoder(words)


def _closing_words(lower: int, width: int) -> list[int]:
    """Return the words that end a stream in this state (``finish`` in ``range_coder``), carry left out."""
    if width == _FULL_RANGE:
        return []
    point = (lower + int(_LOW_WORD)) & _STATE_MASK
    upper = (lower + width) & _STATE_MASK
    return [point >> 32, 0] if point >> 32 == upper >> 32 else [point >> 32]
