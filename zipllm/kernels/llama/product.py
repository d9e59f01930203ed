"""Products of rows of 15 bits and a matrix, requantized as ``zipllm.model.llama.integer`` does."""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part
from zipllm.kernels.cpu.product import address, block_width, wide_multiply
from zipllm.kernels.llama.layout import Matrix
from zipllm.model.llama.parameters import RESULT_MAX

_LIMIT = np.int64(RESULT_MAX)


@long_part
def linear(
    left: NDArray[np.int16],
    scales: NDArray[np.int32],
    rows: int,
    matrix: Matrix,
    layer: Integer,
    columns: tuple[Integer, Integer],
    out: NDArray[np.int32],
) -> None:
    """Multiply by columns of a layer's matrix and by the scales of rows, and add the bias.

    ``columns`` are the first, which begins a panel, and the end. ``left`` is int16 ``[at least rows, at least inputs in
    whole groups]``, ``out`` int32 ``[at least rows, at least outputs in whole panels]``.
    """
    panels = matrix.panels[layer]
    multiplier, bias = matrix.multiplier[layer], matrix.bias[layer]
    shift, scale_shift = matrix.shift[layer], matrix.scale_shift[layer]
    stride, pitch, steps = 2 * left.shape[1], 4 * out.shape[1], panels.shape[1]
    vector = 64 * steps
    panel, end = columns[0] >> 4, (columns[1] + 15) >> 4
    while panel < end:
        width = block_width(end - panel)
        begin, behind = 16 * panel, 16 * (panel + width)
        packed, target = address(panels) + vector * panel, address(out) + 4 * begin
        wide_multiply(address(left), stride, rows, packed, vector, np.int64(64), 0, target, pitch, steps, width, True)
        for row in range(rows):
            sums = out[row, begin:behind]
            _requantize(sums, multiplier[begin:behind], shift, scales[row], scale_shift, bias[begin:behind])
        panel += width


@long_part
def _requantize(
    sums: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: np.int64,
    scale: np.int32,
    scale_shift: np.int64,
    bias: NDArray[np.int32],
) -> None:
    """Turn product sums into results: below ``2**62``, ``2**30`` behind the first shift, ``2**61`` with the scale."""
    half, scale_half = np.int64(1) << (shift - 1), np.int64(1) << (scale_shift - 1)
    for index in range(sums.size):
        product = np.int32((np.int64(sums[index]) * np.int64(multiplier[index]) + half) >> shift)
        scaled = ((np.int64(product) * np.int64(scale) + scale_half) >> scale_shift) + np.int64(bias[index])
        sums[index] = np.int32(min(max(scaled, -_LIMIT), _LIMIT))
