"""The range coder in big integers: readable, slow, and word for word the real one.

The state is an interval ``[lower, lower + width)`` of a number line that is read as a string of 32-bit words
after the point. ``lower`` is one unbounded integer here, so carries need no care; the fast coders keep its
last 64 bits and add carries into the words already written.

    start      lower = 0, width = 2**64 - 1, shifts = 0
    decision   scale = width >> 24; split = scale * (2**24 - k) for bit 1's probability k of 2**24
               bit 0: width = split                      bit 1: lower += split, width = scale * k
               (the remainder ``width mod 2**24`` is given up)
    refill     if width < 2**32: lower <<= 32, width <<= 32, shifts += 1
    finish     nothing at all if nothing was coded; else the word at the top of ``lower + 2**32 - 1``, after
               the ``shifts`` words before it; and a zero word if the top word of ``lower + width`` equals
               it, so that whatever bytes follow cannot lift the number out of the interval

The invariant ``width >= 2**32`` holds between decisions. The decoder follows the same states and asks where
its number, the words padded with zeros, lies: bit 1 iff ``number - lower >= split``. A number past
``scale * 2**24`` lies in the part that was given up, and no encoder wrote it.

Words are those of constriction 0.5 (``RangeEncoder`` with 64-bit state, 32-bit words and 24-bit models).
"""

from collections.abc import Sequence

from zipllm.errors import CorruptData

WORD_BITS = 32
STATE_BITS = 64
PROBABILITY_BITS = 24
WORD_MASK = (1 << WORD_BITS) - 1


class BigIntegerEncoder:
    """Encode decisions one at a time; quadratic in the length, for tests."""

    def __init__(self) -> None:
        self._lower = 0
        self._width = (1 << STATE_BITS) - 1
        self._shifts = 0
        self._empty = True

    def encode(self, bit: int, probability: int) -> None:
        """Append one decision; ``probability`` of a 1 in units of ``2**-24``."""
        scale = self._width >> PROBABILITY_BITS
        split = scale * ((1 << PROBABILITY_BITS) - probability)
        self._width = scale * probability if bit else split
        self._lower += split if bit else 0
        self._empty = False
        if self._width >> WORD_BITS == 0:
            self._lower <<= WORD_BITS
            self._width <<= WORD_BITS
            self._shifts += 1

    def finish(self) -> list[int]:
        """Return the words of everything encoded so far."""
        if self._empty:
            return []
        point = (self._lower + WORD_MASK) >> WORD_BITS
        upper = (self._lower + self._width) >> WORD_BITS
        text = point.to_bytes(4 * (self._shifts + 1), "big")
        words = [int.from_bytes(text[at : at + 4], "big") for at in range(0, len(text), 4)]
        return [*words, 0] if upper == point else words


class BigIntegerDecoder:
    """Decode decisions one at a time from a list of words."""

    def __init__(self, words: Sequence[int]) -> None:
        self._words = words
        self._next = STATE_BITS // WORD_BITS
        self._offset = self._word(0) << WORD_BITS | self._word(1)
        self._width = (1 << STATE_BITS) - 1

    def decode(self, probability: int) -> int:
        """Return the next bit. Raises ``CorruptData`` if no encoder writes such words."""
        scale = self._width >> PROBABILITY_BITS
        if self._offset >= scale << PROBABILITY_BITS:
            raise CorruptData("coded words are impossible: the payload is damaged")
        split = scale * ((1 << PROBABILITY_BITS) - probability)
        bit = int(self._offset >= split)
        self._offset -= split * bit
        self._width = scale * probability if bit else split
        if self._width >> WORD_BITS == 0:
            self._width <<= WORD_BITS
            self._offset = self._offset << WORD_BITS | self._word(self._next)
            self._next += 1
        return bit

    def _word(self, index: int) -> int:
        return self._words[index] if index < len(self._words) else 0
