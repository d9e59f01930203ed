"""The range coder: binary decisions in, 32-bit words out, and back.

A decision is a bit and the probability that it is 1, as an integer ``k`` of ``2**PROBABILITY_BITS``. The
words are those of constriction's range coder (Bamler, "Understanding Entropy Coding With Asymmetric Numeral
Systems (ANS): a Statistician's Perspective", arXiv:2201.01741; Martin, "Range encoding", 1979) with its
``Bernoulli(perfect=False)`` model.

The state is an interval ``[lower, lower + width)`` of a number line that is read as a string of 32-bit words
after the point. ``lower`` is one unbounded integer; coders keep its last 64 bits and add carries into the words
already written.

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

Why 24 bits, and which float64 carries them. constriction works with frequencies of ``N = 2**24``. From a
float64 ``p`` it makes the frequency of bit 0 as ``1 + floor((1 - p) * (N - 2))``. For ``p = j / N`` every
operation in that formula is exact (48 bits at most), and it gives bit 1 the frequency ``j + 1`` below
``N / 2`` and ``j`` from there on. So the integer ``k`` is handed over as ``j = k - (k <= N / 2)``, and the
coder works with exactly ``k / N`` for every ``k`` from 1 to ``N - 1``: no rounding of constriction's is ever
relied on. Measured on 2 M decisions, payload above their entropy, for 12 / 16 / 20 / 24 bits: 0.0186 % each
at 0.72 bit a decision, 0.158 / 0.100 / 0.100 / 0.100 % at 0.19 bit, 2.15 / 0.98 / 0.98 / 0.92 % at 0.023 bit.
What remains at 24 bits is constriction's own: it drops ``range mod 2**24`` at every decision, which costs
1.3e-4 to 2.3e-4 bit each. 24 bits also let a node of a ``2**24`` frequency table be coded without a clamp.
"""

from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from zipllm.errors import CorruptData

PROBABILITY_BITS = 24
PROBABILITY_ONE = 1 << PROBABILITY_BITS
WORD_BYTES = 4

# `perfect=False` always: the default prints to stdout, is far slower, and gives other words.
_BERNOULLI = constriction.stream.model.Bernoulli(perfect=False)


class BitEncoder(Protocol):
    """Takes decisions in order and turns them into words."""

    def encode(self, bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> None:
        """Append ``n`` decisions: uint8 ``[n]`` of 0 or 1, uint32 ``[n]`` probabilities of a 1."""

    def position(self) -> int:
        """Return the number of words so far, with or without those that close the stream."""

    def finish(self) -> NDArray[np.uint32]:
        """Close the stream and return its words ``[m]``; no decisions give no words."""


class BitDecoder(Protocol):
    """Gives decisions back in the order in which they were encoded."""

    def decode(self, probabilities: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Return the next ``n`` bits, uint8 ``[n]``. Raises ``CorruptData`` for impossible words."""

    def at_end(self) -> bool:
        """Whether the words are exactly those that the decisions decoded so far encode to."""


class RangeEncoder:
    """constriction's range encoder behind integer probabilities."""

    def __init__(self) -> None:
        self._encoder = constriction.stream.queue.RangeEncoder()
        self._finished = False

    def encode(self, bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> None:
        """Append decisions; see ``BitEncoder``.

        Raises:
            TypeError: an array is not uint8 (bits) or uint32 (probabilities).
            ValueError: shapes differ, a bit is not 0 or 1, a probability is outside ``1..2**24 - 1``,
                or the encoder is finished.
        """
        check_bits(bits, probabilities)
        if self._finished:
            raise ValueError("encode() after finish()")
        if bits.size:
            self._encoder.encode(bits.astype(np.int32), _BERNOULLI, _exact_floats(probabilities))

    def position(self) -> int:
        """Words that there would be if the stream were closed now."""
        return int(self._encoder.num_words())

    def finish(self) -> NDArray[np.uint32]:
        """Close the stream and return its words, uint32 ``[m]``."""
        self._finished = True
        return np.asarray(self._encoder.get_compressed(), dtype=np.uint32)


class RangeDecoder:
    """constriction's range decoder behind integer probabilities."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        check_words(words)
        self._words = words.copy()
        self._decoder = constriction.stream.queue.RangeDecoder(self._words)
        # constriction reads zeros past the end without a word. Encoding what was decoded and comparing
        # words finds every truncation, extension and change that the decisions themselves do not show.
        self._echo = RangeEncoder()

    def decode(self, probabilities: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Return the next bits; see ``BitDecoder``.

        Raises:
            CorruptData: the words cannot come from an encoder.
            TypeError: probabilities are not uint32.
            ValueError: a probability is outside ``1..2**24 - 1``.
        """
        check_probabilities(probabilities)
        if not probabilities.size:
            return np.empty(0, dtype=np.uint8)
        try:
            symbols = self._decoder.decode(_BERNOULLI, _exact_floats(probabilities))
        except AssertionError as error:
            raise CorruptData("coded words are impossible: the payload is damaged") from error
        bits = np.asarray(symbols).astype(np.uint8)
        self._echo.encode(bits, probabilities)
        return bits

    def at_end(self) -> bool:
        """Whether re-encoding the decoded decisions gives exactly these words. Decode nothing afterwards."""
        return np.array_equal(self._echo.finish(), self._words)


def words_to_bytes(words: NDArray[np.uint32]) -> bytes:
    """Return the words as little-endian bytes, the order in which archives store them."""
    check_words(words)
    return words.astype("<u4").tobytes()


def words_from_bytes(payload: bytes) -> NDArray[np.uint32]:
    """Return the words stored in ``payload``.

    Raises:
        CorruptData: the length is not a multiple of four.
    """
    if len(payload) % WORD_BYTES:
        raise CorruptData(f"coded payload of {len(payload)} bytes is not a whole number of 32-bit words")
    return np.frombuffer(payload, dtype="<u4").astype(np.uint32)


def check_words(words: NDArray[np.uint32]) -> None:
    """Refuse anything but a one-dimensional uint32 array."""
    if words.dtype != np.uint32:
        raise TypeError(f"words must be uint32, not {words.dtype}")
    if words.ndim != 1:
        raise ValueError(f"words must be one-dimensional, not of shape {words.shape}")


def check_probabilities(probabilities: NDArray[np.uint32]) -> None:
    """Refuse probabilities that are not uint32 ``[n]`` within ``1..2**24 - 1``."""
    if probabilities.dtype != np.uint32:
        raise TypeError(f"probabilities must be uint32, not {probabilities.dtype}")
    if probabilities.ndim != 1:
        raise ValueError(f"probabilities must be one-dimensional, not of shape {probabilities.shape}")
    # Zero wraps to the largest uint32, so one comparison finds both ends.
    if probabilities.size and int((probabilities - np.uint32(1)).max()) > PROBABILITY_ONE - 2:
        raise ValueError(f"a probability is outside 1..{PROBABILITY_ONE - 1}")


def check_bits(bits: NDArray[np.uint8], probabilities: NDArray[np.uint32]) -> None:
    """Refuse decisions whose bits are not uint8 zeros and ones, one for each probability."""
    check_probabilities(probabilities)
    if bits.dtype != np.uint8:
        raise TypeError(f"bits must be uint8, not {bits.dtype}")
    if bits.shape != probabilities.shape:
        raise ValueError(f"{bits.shape} bits for {probabilities.shape} probabilities")
    if bits.size and int(bits.max()) > 1:
        raise ValueError("a bit is neither 0 nor 1")


def _exact_floats(probabilities: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return the float64 that makes constriction work with exactly these frequencies (module docstring)."""
    lowered = probabilities - (probabilities <= PROBABILITY_ONE // 2)
    return lowered.astype(np.float64) / PROBABILITY_ONE
