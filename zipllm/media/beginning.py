"""The memory at the beginning of a block: its sizes, and the few numbers in it that are not 0."""

import numpy as np
from numpy.typing import NDArray

from zipllm.container.samples import DNA, PICTURE, SOUND, Layout
from zipllm.media.dna_memory import dna_memory_bytes
from zipllm.media.memory import (
    BITS,
    BLOCK_PIXELS,
    BLOCKS,
    CONTEXTS,
    FEW,
    FEWEST,
    FINAL_SETS,
    FLOOR,
    NEIGHBORS,
    OUTSIDE_SETS,
    PICTURE_EXPERTS,
    PICTURE_SELECTORS,
    REGISTERS,
    ROOM,
    SETS,
    SLOT_BITS,
    SLOT_ENTRIES,
    SOUND_EXPERTS,
    SOUND_SELECTORS,
    STEPS,
    TRUST,
    WEIGHT_BITS,
    WIDTH_SHIFT,
    Filter,
    Memory,
    PictureMemory,
    Squares,
    input_count,
)
from zipllm.mixing.tables import tables

_BIAS = 256  # the constant input
_USUAL = 16 << 20
"""Bytes of all arrays that do not depend on the layout."""


def new_memory(seen: NDArray[np.uint8], layout: Layout) -> Memory:
    """Return the memory at the beginning of a block.

    Args:
        seen: uint8 ``[size]``, the block when encoding, otherwise zeros; kept, not copied.
        layout: valid for this size (``Layout.fits``).
    """
    picture = layout.kind == PICTURE
    experts = PICTURE_EXPERTS if picture else SOUND_EXPERTS
    selectors = PICTURE_SELECTORS if picture else SOUND_SELECTORS
    channels = layout.sample if picture else layout.row // layout.sample
    front = 4 * layout.row + 16 if picture else 0
    ring = _ring(layout) if picture else 1
    width_shift, columns = _columns(layout)
    first, second, third = _picture_squares(layout.sample, columns) if picture else _sound_squares(channels)
    now = np.zeros(REGISTERS, dtype=np.int64)
    now[: WIDTH_SHIFT + 1] = (
        layout.begin,
        layout.length,
        layout.row,
        layout.sample,
        channels,
        layout.form,
        front,
        ring - 1,
        width_shift,
    )
    now[BITS] = 8 if picture else 8 * layout.sample
    now[FLOOR] = max((1 << 28) >> int(now[BITS]), 1)
    return (PictureMemory if picture else Memory)(
        seen=seen,
        slots=np.zeros(SLOT_ENTRIES << SLOT_BITS, dtype=np.uint16),
        maps=np.tile(tables().initial, (2 * CONTEXTS, 1)),
        weights=_weights(experts, selectors, CONTEXTS if picture else 1),
        final_weights=np.full((FINAL_SETS, selectors), (1 << WEIGHT_BITS) // selectors, dtype=np.int32),
        contexts=np.zeros(CONTEXTS, dtype=np.int64),
        places=np.zeros(CONTEXTS, dtype=np.int64),
        inputs=np.array([_BIAS] + (input_count(experts) - 1) * [0], dtype=np.int32),
        sets=np.zeros(selectors, dtype=np.int64),
        outputs=np.zeros(selectors, dtype=np.int64),
        now=now,
        experts=np.zeros((TRUST + 1, ROOM), dtype=np.int64),
        first=first,
        second=second,
        third=third,
        long=_filter(channels, 1 if picture else 256),
        middle=_filter(channels, 1 if picture else 32),
        short=_filter(channels, 1 if picture else 16),
        past=np.zeros((channels, 32), dtype=np.int64),
        errors=np.full((channels, 3, ROOM), 256 * 64, dtype=np.int64),
        pixels=np.zeros(front + layout.length + 32 if picture else 1, dtype=np.uint8),
        nearby=np.zeros((ring, ROOM), dtype=np.uint16),
        learned=np.zeros((PICTURE_EXPERTS, 4 * STEPS), dtype=np.int64),
        offsets=_distances(layout, AROUND),
        error_offsets=_distances(layout, ERRORS_AROUND),
    )


def _columns(layout: Layout) -> tuple[int, int]:
    """Return the logarithm of the pixels of a block of columns, and how many such blocks there are."""
    pixels = -(-layout.row // layout.sample)
    shift = max((pixels - 1) // BLOCKS, BLOCK_PIXELS - 1).bit_length()
    return shift, (pixels - 1 >> shift) + 2  # the second model's blocks begin half a block further left


def memory_bytes(layout: Layout, size: int) -> int:
    """Return about how many bytes coding a block of ``size`` bytes takes, beside the block itself."""
    if layout.kind == DNA:
        return dna_memory_bytes(size)
    if layout.kind == SOUND:
        return _USUAL
    models, more = layout.sample * _columns(layout)[1], 4 * min(layout.sample - 1, 2)
    squares = (FEW + more) ** 2 + (NEIGHBORS + more) ** 2 + 2 * (FEWEST + more) ** 2
    return _USUAL + 8 * models * squares + 2 * ROOM * _ring(layout) + 4 * layout.row + layout.length


AROUND = (
    *((-1, 0), (0, 1), (-1, 1), (1, 1), (-2, 0), (0, 2), (-1, 2), (1, 2), (-2, 1), (2, 1)),
    *((-2, 2), (2, 2), (-3, 0), (0, 3), (-3, 1), (3, 1), (-1, 3), (1, 3), (-3, 2), (3, 2)),
    *((-4, 0), (4, 1), (-2, 3), (2, 3), (0, 4), (-4, 1), (5, 1), (-5, 0), (-1, 4), (1, 4)),
)
"""The neighbors of a pixel, nearest first: how many pixels to the right, how many rows up."""

ERRORS_AROUND = ((-1, 0), (0, 1), (-1, 1), (1, 1), (-2, 0), (0, 2), (2, 1), (-2, 1), (1, 2), (-1, 2))
"""Whose errors tell how large the next one will be: two count four times, the next four twice."""


def _distances(layout: Layout, places: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    """Return how many bytes back some neighbors lie."""
    return np.array([down * layout.row - right * layout.sample for right, down in places], dtype=np.int64)


def _ring(layout: Layout) -> int:
    """Return how many samples' errors are kept: those of two rows and a little more, a power of two."""
    return 1 << (2 * layout.row + 2 * layout.sample + 1).bit_length()


def _squares(models: int, size: int, start: list[int]) -> Squares:
    weights = np.zeros((models, size), dtype=np.int64)
    weights[:, : len(start)] = start
    return Squares(
        moments=np.zeros((models, size, size), dtype=np.int64),
        products=np.zeros((models, size), dtype=np.int64),
        weights=weights,
        features=np.zeros(size, dtype=np.int64),
    )


def _sound_squares(channels: int) -> tuple[Squares, Squares, Squares]:
    return _squares(channels, 32, [1 << 16]), _squares(channels, 16, [1 << 16]), _squares(1, 1, [])


def _picture_squares(channels: int, columns: int) -> tuple[Squares, Squares, Squares]:
    models, more = channels * columns, 4 * min(channels - 1, 2)
    start = [1 << 15, 1 << 15]
    return (
        _squares(models, FEW + more, start),
        _squares(models, NEIGHBORS + more, start),
        _squares(2 * models, FEWEST + more, start),
    )


def _filter(channels: int, taps: int) -> Filter:
    return Filter(
        weights=np.zeros((channels, taps), dtype=np.int32),
        past=np.zeros((channels, 2 * taps), dtype=np.int32),
        state=np.zeros((channels, 3), dtype=np.int64),
    )


def _weights(experts: int, selectors: int, contexts: int) -> NDArray[np.int32]:
    """Return the first layer's weights: four fifths for the experts and a fifth for the contexts of samples."""
    weights = np.zeros((selectors, SETS + OUTSIDE_SETS, input_count(experts)), dtype=np.int32)
    behind = 1 + experts
    weights[:, :SETS, 1:behind] = 52_428 // experts
    weights[:, :SETS, behind : behind + 3 * contexts : 3] = 13_107 // max(contexts, 4)
    weights[:, SETS:, behind : behind + 3 * CONTEXTS : 3] = 20_000
    return weights.reshape(-1, input_count(experts))
