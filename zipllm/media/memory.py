"""Everything the predictor of sound and pictures remembers, as arrays that compiled code can take.

All numbers are integers. Nothing here is stored in an archive: encoder and decoder begin with the same memory and
change it in the same way, bit by bit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import class_constant

SOUND_EXPERTS, PICTURE_EXPERTS = 8, 16
ROOM = 16
"""Experts that there is room for: a multiple of 8, so that they fill vector registers."""
SOUND_SELECTORS, PICTURE_SELECTORS = 5, 7
CONTEXTS = 6
"""Hashed contexts of a byte; a sample of sound has only the first."""
SETS, OUTSIDE_SETS = 1024, 256
"""Weight sets of each selector, for samples and for bytes outside of them."""
FINAL_SETS, OUTSIDE_FINAL = 32, 24
"""Weight sets of the second layer, by the number of the bit; from ``OUTSIDE_FINAL`` on for bytes outside."""
SLOT_BITS, SLOT_ENTRIES = 16, 32
"""There are ``2**16`` slots of 32 numbers: a check, 15 bit histories, and from 16 on as many probabilities."""
WEIGHT_BITS = 16
STEPS = 128
"""Steps of the error nearby on a logarithmic scale, for each channel."""
STATES = 2048
BLOCKS, BLOCK_PIXELS = 512, 32
"""A picture's columns are cut into at most 512 blocks of 32 pixels, or of the next power of two that suffices."""
NEIGHBORS, FEW, FEWEST = 30, 20, 12
"""Pixels around a pixel that least squares see: the second, the first and the last model."""

# Rows of ``experts``: expected value (8 fraction bits), expected error (8 fraction bits), 2**32 / scale, probability
# mass below the values that are still possible, above them, and below their middle; for pictures also the error nearby
# and the step of the error on a logarithmic scale; the weight in the blend.
MEAN, ERROR, INVERSE, LOW, HIGH, MIDDLE, NEARBY, STEP, TRUST = range(9)

# Registers: the layout; which byte comes next, and what is known of its sample.
BEGIN, LENGTH, ROW, SAMPLE, CHANNELS, FORM, FRONT, RING, WIDTH_SHIFT = range(9)
POSITION, INSIDE, CHANNEL, BYTE_NUMBER, VALUE, BITS, FLOOR, BOTTOM, SPAN = range(9, 18)
PARTIAL, INNER, HALF, MIXTURE, FINAL_SET, DECIDED, CONTEXT_COUNT, FIRST_MAP = range(18, 26)
LEVEL, BASE, BLOCK_1, BLOCK_2, BLOCK_3, GRADIENT = range(26, 32)
REGISTERS = 32


class Squares(NamedTuple):
    """Least squares for several models of the same size; see ``least_squares.py``.

    Attributes:
        moments: int64 ``[models, n, n]``, decayed sums of products of features.
        products: int64 ``[models, n]``, decayed sums of features times what they should have given.
        weights: int64 ``[models, n]``, 16 fraction bits.
        features: int64 ``[n]``, scratch.
    """

    moments: NDArray[np.int64]
    products: NDArray[np.int64]
    weights: NDArray[np.int64]
    features: NDArray[np.int64]


class Filter(NamedTuple):
    """A normalised least-mean-squares filter for each channel; see ``cascade.py``.

    Attributes:
        weights: int32 ``[channels, taps]``, 20 fraction bits.
        past: int32 ``[channels, 2 * taps]``, the last values, kept twice so that they always lie in one piece.
        state: int64 ``[channels, 3]``: where ``past`` begins, the sum of its squares, the last prediction.
    """

    weights: NDArray[np.int32]
    past: NDArray[np.int32]
    state: NDArray[np.int64]


class Memory(NamedTuple):
    """What has been learned, and where the block is.

    Attributes:
        seen: uint8 ``[size]``, the block: given when encoding, filled when decoding.
        slots: uint16 ``[2**SLOT_BITS * SLOT_ENTRIES]``.
        maps: uint32 ``[2 * CONTEXTS, STATES]``, what bit histories mean in each context of samples, then of other
            bytes: probability << 10 | count.
        weights: int32 ``[selectors * (SETS + OUTSIDE_SETS), inputs]``, first layer of the mixer.
        final_weights: int32 ``[FINAL_SETS, selectors]``, second layer.
        contexts: int64 ``[CONTEXTS]``, scratch: hashes of the current byte's contexts.
        places: int64 ``[CONTEXTS]``, scratch: where their slots begin.
        inputs: int32 ``[inputs]``, scratch.
        sets: int64 ``[selectors]``, scratch: the rows of ``weights`` chosen.
        outputs: int64 ``[selectors]``, scratch: what they say.
        now: int64 ``[REGISTERS]``.
        experts: int64 ``[9, ROOM]``, a row for each kind of number.
        first: least squares of the first expert.
        second: of the second.
        third: of the fifteenth, pictures only.
        long: cascade of filters, sound only.
        middle: the second of them.
        short: the third.
        past: int64 ``[channels, 32]``, sound only: the last samples, latest first.
        errors: int64 ``[channels, 3, ROOM]``, sound only: mean errors over 16, 128 and 32 samples, 12 fraction bits.
        pixels: uint8 ``[front + length + tail]``, pictures only: the samples so far between zeros.
        nearby: uint16 ``[ring, ROOM]``, pictures only: errors of the last samples, 4 fraction bits.
        learned: int64 ``[PICTURE_EXPERTS, 4 * STEPS]``, pictures only: for each step of the error nearby the mean error
            (8 fraction bits) << 16 | count.
        offsets: int64 ``[NEIGHBORS]``, pictures only: how many bytes back each neighbor lies.
        error_offsets: int64 ``[10]``, pictures only: the same of the errors that count as nearby, heaviest first.
    """

    seen: NDArray[np.uint8]
    slots: NDArray[np.uint16]
    maps: NDArray[np.uint32]
    weights: NDArray[np.int32]
    final_weights: NDArray[np.int32]
    contexts: NDArray[np.int64]
    places: NDArray[np.int64]
    inputs: NDArray[np.int32]
    sets: NDArray[np.int64]
    outputs: NDArray[np.int64]
    now: NDArray[np.int64]
    experts: NDArray[np.int64]
    first: Squares
    second: Squares
    third: Squares
    long: Filter
    middle: Filter
    short: Filter
    past: NDArray[np.int64]
    errors: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    nearby: NDArray[np.uint16]
    learned: NDArray[np.int64]
    offsets: NDArray[np.int64]
    error_offsets: NDArray[np.int64]


class PictureMemory(Memory):
    """The memory of a picture: another class, so that compiled code is made for each family."""

    __slots__ = ()


@class_constant
def is_picture(kind: type) -> bool:
    """Whether a memory is that of a picture."""
    return kind is PictureMemory


@class_constant
def expert_count(kind: type) -> int:
    """Return how many experts predict a sample."""
    return PICTURE_EXPERTS if kind is PictureMemory else SOUND_EXPERTS


@class_constant
def selector_count(kind: type) -> int:
    """Return how many mixers the first layer has."""
    return PICTURE_SELECTORS if kind is PictureMemory else SOUND_SELECTORS


def input_count(experts: int) -> int:
    """Return the inputs of the mixer: a constant, the experts, three for each context; a multiple of 8."""
    return -(-(1 + experts + 3 * CONTEXTS) // 8) * 8
