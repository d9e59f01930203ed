"""The range coder of ``zipllm.coder.range_coder`` in big integers: slow, readable, word for word the real one."""

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
