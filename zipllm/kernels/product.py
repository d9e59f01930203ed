"""Matrix products out of tiles. Arguments are addresses and distances in bytes, all int64; see ``tile.py``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.compiled import compiled
from zipllm.kernels.pack import Matrix
from zipllm.kernels.tile import best_instructions, make_tile

_INSTRUCTIONS = best_instructions()
WIDE = _INSTRUCTIONS == "vnni512"
"""Whether tiles of 64 columns fit the registers: there are 32 of 64 bytes."""
BLOCK = 4 if WIDE else 1
"""Panels in the widest tile."""

_tile_4x4, _tile_2x4, _tile_1x4 = (make_tile(rows, BLOCK, _INSTRUCTIONS) for rows in (4, 2, 1))
_tile_4x2, _tile_2x2, _tile_1x2 = (make_tile(rows, min(2, BLOCK), _INSTRUCTIONS) for rows in (4, 2, 1))
_tile_4x1, _tile_2x1, _tile_1x1 = (make_tile(rows, 1, _INSTRUCTIONS) for rows in (4, 2, 1))


@compiled
def address(array: NDArray[Any]) -> int:
    """Return where the first element lies; signed, since numba turns a mix of signed and unsigned into floats."""
    return np.int64(array.ctypes.data)  # type: ignore[return-value]


@compiled
def _columns_4(
    left: int, stride: int, rows: int, right: int, vector: int, step: int, first: int, out: int, pitch: int, steps: int
) -> None:
    row = 0
    while row + 4 <= rows:
        _tile_4x4(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 4
    if row + 2 <= rows:
        _tile_2x4(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 2
    if row < rows:
        _tile_1x4(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)


@compiled
def _columns_2(
    left: int, stride: int, rows: int, right: int, vector: int, step: int, first: int, out: int, pitch: int, steps: int
) -> None:
    row = 0
    while row + 4 <= rows:
        _tile_4x2(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 4
    if row + 2 <= rows:
        _tile_2x2(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 2
    if row < rows:
        _tile_1x2(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)


@compiled
def _columns_1(
    left: int, stride: int, rows: int, right: int, vector: int, step: int, first: int, out: int, pitch: int, steps: int
) -> None:
    row = 0
    while row + 4 <= rows:
        _tile_4x1(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 4
    if row + 2 <= rows:
        _tile_2x1(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)
        row += 2
    if row < rows:
        _tile_1x1(left + row * stride, stride, right, vector, step, first, out + row * pitch, pitch, steps)


@compiled
def block_width(panels: int) -> int:
    """Return how many panels to compute at once when so many are left."""
    if BLOCK == 4 and panels >= 4:
        return 4
    return 2 if BLOCK == 4 and panels >= 2 else 1


@compiled
def multiply_block(
    width: int,
    left: int,
    stride: int,
    rows: int,
    right: int,
    vector: int,
    step: int,
    initial: int,
    out: int,
    pitch: int,
    steps: int,
) -> None:
    """Multiply ``rows`` rows by ``width`` panels (1, 2 or 4): int32 sums, ``pitch`` bytes from row to row."""
    if width == 4:
        _columns_4(left, stride, rows, right, vector, step, initial, out, pitch, steps)
    elif width == 2:
        _columns_2(left, stride, rows, right, vector, step, initial, out, pitch, steps)
    else:
        _columns_1(left, stride, rows, right, vector, step, initial, out, pitch, steps)


@compiled
def multiply(
    left: int,
    stride: int,
    rows: int,
    right: int,
    vector: int,
    step: int,
    initial: int,
    out: int,
    pitch: int,
    steps: int,
    panels: int,
) -> None:
    """Multiply ``rows`` rows by any number of panels; ``initial`` has an int32 for every column."""
    panel = 0
    while panel < panels:
        width = block_width(panels - panel)
        at = 64 * panel
        multiply_block(
            width, left, stride, rows, right + vector * panel, vector, step, initial + at, out + at, pitch, steps
        )
        panel += width


@compiled
def linear(left: NDArray[np.uint8], rows: int, matrix: Matrix, layer: int, out: NDArray[np.int32]) -> None:
    """Multiply by a matrix and requantise: ``round_shift(sum * multiplier, shift)``.

    Args:
        left: uint8 ``[at least rows, inputs in whole groups]``.
        rows: rows of ``left`` to use.
        matrix: packed, stacked over the layers.
        layer: which.
        out: int32 ``[at least rows, at least outputs in whole panels]``.
    """
    panels = matrix.panels[layer]
    initial, multiplier, shift = matrix.initial[layer], matrix.multiplier[layer], matrix.shift[layer]
    half = np.int64(1) << (shift - 1)
    stride, pitch, steps = left.shape[1], 4 * out.shape[1], panels.shape[1]
    vector = 64 * steps
    target = address(out)
    panel = 0
    while panel < panels.shape[0]:
        width = block_width(panels.shape[0] - panel)
        column = 16 * panel
        multiply_block(
            width,
            address(left),
            stride,
            rows,
            address(panels) + vector * panel,
            vector,
            64,
            address(initial) + 4 * column,
            target + 4 * column,
            pitch,
            steps,
        )
        factors = multiplier[column : column + 16 * width]
        for row in range(rows):
            sums = out[row, column : column + 16 * width]
            for index in range(factors.size):
                sums[index] = np.int32((np.int64(sums[index]) * np.int64(factors[index]) + half) >> shift)
        panel += width
