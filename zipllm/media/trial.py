"""Sound without a header: which size, order and number of channels make the samples of some pieces smallest.

The cost of a sample is that of its first or second difference in a code of ``2 * log2`` bits, as Elias' gamma code
(1975) needs. Only the encoder asks; what it finds is written into the archive.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.container.samples import BIG_ENDIAN, SOUND, UNSIGNED, Layout
from zipllm.media.curves import constants

_PIECES, _PIECE = 8, 4092
"""How many pieces are looked at, and their bytes: a multiple of all frames."""
_ALIGNED = 12
_LEAST = 240
_ACCEPTED = {1: 55, 2: 80, 3: 80}
"""Percent of what the bytes cost by themselves that samples of so many bytes may cost."""


def find_sound(raw: bytes) -> Layout | None:
    """Return a layout if the bytes look like samples of sound, else None."""
    pieces = _pieces(raw)
    if pieces.size < _LEAST:
        return None
    limit = _order_0_cost(pieces)
    best = None
    for sample, channels, big, phase in _candidates():
        cost = _cost(pieces, sample, channels, big, phase)
        if 100 * cost < limit * _ACCEPTED[sample] and (best is None or cost < best[0]):
            best = (cost, sample, channels, big, phase)
    if best is None:
        return None
    _, sample, channels, big, phase = best
    row = sample * channels
    form = UNSIGNED if sample == 1 else BIG_ENDIAN * big
    return Layout(SOUND, phase, (len(raw) - phase) // row * row, row, sample, form)


def _pieces(raw: bytes) -> NDArray[np.uint8]:
    """Return pieces from the whole of the data, each from a multiple of 12 on: uint8 ``[pieces, bytes]``."""
    data = np.frombuffer(raw, dtype=np.uint8)
    step = max(data.size // _PIECES, _PIECE) // _ALIGNED * _ALIGNED
    begins = [begin for begin in range(0, _PIECES * step, step) if begin + _PIECE <= data.size]
    if not begins:
        return data[None, : data.size // _ALIGNED * _ALIGNED]
    return np.stack([data[begin : begin + _PIECE] for begin in begins])


def _candidates() -> list[tuple[int, int, int, int]]:
    """Return bytes of a sample, channels, whether big-endian, and phase; of equal ones the first is taken."""
    return [
        (sample, channels, big, phase)
        for sample in (1, 2, 3)
        for channels in (1, 2)
        for big in ((0, 1) if sample > 1 else (0,))
        for phase in range(sample)
    ]


def _cost(pieces: NDArray[np.uint8], sample: int, channels: int, big: int, phase: int) -> int:
    """Return the cost of a byte as part of such samples, in units of 1/256 bit."""
    row = sample * channels
    end = phase + (pieces.shape[1] - phase) // row * row
    bytes_ = pieces[:, phase:end].reshape(len(pieces), -1, sample).astype(np.int32)
    values = np.zeros(bytes_.shape[:2], dtype=np.int32)
    for number in range(sample) if big else range(sample - 1, -1, -1):
        values = values << 8 | bytes_[:, :, number]
    if sample > 1:
        values = _without_common_zeros((values ^ (1 << (8 * sample - 1))) - (1 << (8 * sample - 1)))
    first = values[:, 2 * channels :] - values[:, channels:-channels]
    second = first - (values[:, channels:-channels] - values[:, : -2 * channels])
    half_bits = np.minimum(_gamma_half_bits(first), _gamma_half_bits(second)).sum()
    return 128 * int(half_bits) // (first.size * sample)


def _without_common_zeros(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Shift out the lowest bits of each piece that are 0 in all its samples."""
    used = np.bitwise_or.reduce(values, axis=1)
    zeros = [max((int(bits) & -int(bits)).bit_length() - 1, 0) for bits in used]
    return values >> np.array(zeros, dtype=np.int32)[:, None]


def _gamma_half_bits(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the cost of each piece: ``2 * length + 1`` for numbers of that many bits; a float64 holds them exactly."""
    lengths = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    return np.asarray((2 * lengths + 1).sum(axis=1), dtype=np.int64)


def _order_0_cost(pieces: NDArray[np.uint8]) -> int:
    """Return what a byte costs by how often it comes, in units of 1/256 bit."""
    counts = np.bincount(pieces.ravel(), minlength=256)
    counts = counts[counts > 0]
    cost = sum(int(count) * (_logarithm(pieces.size) - _logarithm(int(count))) for count in counts)
    return cost // (64 * pieces.size)


def _logarithm(number: int) -> int:
    """Return the binary logarithm in units of ``2**-14``."""
    exponent = number.bit_length() - 1
    mantissa = (number << 10 >> exponent) - 1024
    return (exponent << 14) + int(constants().logarithm[mantissa])
