"""Matrix products out of tiles. Arguments are addresses and distances in bytes, all int64; see ``tile.py``."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.jit.prefetch import prefetch
from zipllm.kernels.cpu.layout import Matrix
from zipllm.kernels.cpu.tile import best_instructions, make_address, make_tile

_INSTRUCTIONS = best_instructions()
WIDE = _INSTRUCTIONS == "vnni512"
"""Whether tiles of 64 columns fit the registers: there are 32 of 64 bytes."""
BLOCK = 4 if WIDE else 1
"""Panels in the widest tile."""

address = make_address()


@part
def fetch(array: NDArray[Any], size: int) -> None:
    """Prefetch the first ``size`` bytes of an array."""
    for item in range(0, size // array.itemsize, 64 // array.itemsize):
        prefetch(array, np.int64(item))


@part
def block_width(panels: int) -> int:
    """Return how many of the panels that are left to compute at once."""
    return BLOCK if panels >= BLOCK else 1


def _make_strip(vectors: int, *, wide: bool) -> Any:
    """Return a product of any number of rows by ``vectors`` panels."""
    # Few rows use each weight so seldom that they wait for memory.
    make = partial(make_tile, vectors=vectors, instructions=_INSTRUCTIONS, wide=wide)
    four, two, one = (make(rows, ahead=rows < 4) for rows in (4, 2, 1))
    four_ahead = make(4, ahead=True)

    def strip(
        left: int,
        stride: int,
        rows: int,
        right: int,
        vector: Integer,
        step: Integer,
        initial: int,
        out: int,
        pitch: int,
        steps: int,
        ahead: bool,
    ) -> None:
        row = 0
        while row < rows:
            source, target = left + row * stride, out + row * pitch
            if rows - row >= 4 and ahead and row == 0:
                four_ahead(source, stride, right, vector, step, initial, target, pitch, steps)
            elif rows - row >= 4:
                four(source, stride, right, vector, step, initial, target, pitch, steps)
            elif rows - row >= 2:
                two(source, stride, right, vector, step, initial, target, pitch, steps)
            else:
                one(source, stride, right, vector, step, initial, target, pitch, steps)
            row += 4 if rows - row >= 4 else 2 if rows - row >= 2 else 1

    return part(strip)


def _make_multiply(*, wide: bool) -> Any:
    """Return a product of any size; ``wide`` is that of its tiles."""
    block, single = _make_strip(BLOCK, wide=wide), _make_strip(1, wide=wide)

    def multiply(
        left: int,
        stride: int,
        rows: int,
        right: int,
        vector: Integer,
        step: Integer,
        initial: int,
        out: int,
        pitch: int,
        steps: int,
        panels: int,
        ahead: bool,
    ) -> None:
        panel = 0
        while panel < panels:
            width = block_width(panels - panel)
            packed, start, target = right + vector * panel, initial + 64 * panel, out + 64 * panel
            if width == 1:
                single(left, stride, rows, packed, vector, step, start, target, pitch, steps, ahead)
            else:
                block(left, stride, rows, packed, vector, step, start, target, pitch, steps, ahead)
            panel += width

    return long_part(multiply)


multiply = _make_multiply(wide=False)
"""Multiply ``rows`` rows by ``panels`` panels: int32 sums, ``pitch`` bytes from row to row.

``ahead`` prefetches the panels behind these also for the first four of many rows; fewer rows always do.
"""
wide_multiply = _make_multiply(wide=True)
"""`multiply` for rows of int16 and right operands in ``layout.WIDE_ORDER``; it does not look at ``initial``."""


@long_part
def linear(
    left: NDArray[np.uint8],
    rows: int,
    matrix: Matrix,
    layer: Integer,
    columns: tuple[Integer, Integer],
    out: NDArray[np.int32],
) -> None:
    """Multiply by columns of a layer's matrix and requantize: ``round_shift(sum * multiplier, shift)``.

    ``columns`` are the first, which begins a panel, and the end. ``left`` is uint8 ``[at least rows, inputs in whole
    groups]``, ``out`` int32 ``[at least rows, at least outputs in whole panels]``.
    """
    panels = matrix.panels[layer]
    initial, multiplier, shift = matrix.initial[layer], matrix.multiplier[layer], matrix.shift[layer]
    half = np.int64(1) << (shift - 1)
    stride, pitch, steps = left.shape[1], 4 * out.shape[1], panels.shape[1]
    vector = 64 * steps
    target = address(out)
    panel, end = columns[0] >> 4, (columns[1] + 15) >> 4
    while panel < end:
        width = block_width(end - panel)
        column = 16 * panel
        multiply(
            address(left),
            stride,
            rows,
            address(panels) + vector * panel,
            vector,
            np.int64(64),
            address(initial) + 4 * column,
            target + 4 * column,
            pitch,
            steps,
            width,
            True,
        )
        factors = multiplier[column : column + 16 * width]
        for row in range(rows):
            sums = out[row, column : column + 16 * width]
            for index in range(factors.size):
                sums[index] = np.int32((np.int64(sums[index]) * np.int64(factors[index]) + half) >> shift)
        panel += width
