"""Pictures: sixteen opinions on the next byte of a pixel.

    0, 1     least squares on 20 and on 30 neighbors, with weights of their own for each block of columns; in the later
             channels of a pixel also on what the earlier ones show
    2 to 13  simple sums of neighbors, and the median edge detector (Weinberger, Seroussi and Sapiro, LOCO-I, 2000)
    14       least squares on 12 neighbors, with narrower blocks and a shorter memory
    15       the mean of all, weighted by their errors nearby (as in TMW: Meyer and Tischer, 1997)

Rows may have padding bytes: then the last pixel of a row has less channels than others.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.media.curves import octaves
from zipllm.media.experts import begin_sample, blend
from zipllm.media.least_squares import learn_squares, towards_zero, weighted_sum
from zipllm.media.memory import (
    BASE,
    BEGIN,
    BLOCK_1,
    BLOCK_2,
    BLOCK_3,
    CHANNEL,
    ERROR,
    FEW,
    FEWEST,
    FRONT,
    GRADIENT,
    MEAN,
    NEARBY,
    NEIGHBORS,
    PICTURE_EXPERTS,
    POSITION,
    RING,
    ROW,
    SAMPLE,
    STEP,
    STEPS,
    TRUST,
    WIDTH_SHIFT,
    Memory,
    Squares,
)

_NARROWING = 184
_BLENDED = 15
_RIDGE = 4096


@part
def back(pixels: NDArray[np.uint8], at: Integer, distance: Integer) -> Integer:
    """Return the byte of the picture ``distance`` before the one at index ``at``; 0 outside."""
    return np.int64(pixels[at - distance])


@part
def median_edge(west: Integer, north: Integer, corner: Integer) -> Integer:
    """Return the median edge detector's guess from three neighbors."""
    low, high = min(west, north), max(west, north)
    if corner >= high:
        return low
    return high if corner <= low else west + north - corner


@long_part
def predict_picture(memory: Memory) -> None:
    """Let the experts predict the next byte of the picture."""
    now, experts = memory.now, memory.experts
    relative = now[POSITION] - now[BEGIN]
    at = relative + now[FRONT]
    pixel, row = now[SAMPLE], now[ROW]
    now[CHANNEL] = relative % row % pixel
    west, north = back(memory.pixels, at, pixel), back(memory.pixels, at, row)
    now[BASE] = (west + north) * 8
    now[GRADIENT] = abs(west - back(memory.pixels, at, row + pixel)) + abs(north - back(memory.pixels, at, row - pixel))
    now[BLOCK_1] = _least_squares(memory, memory.first, at, np.int64(0), np.int64(FEW), now[WIDTH_SHIFT])
    now[BLOCK_2] = _least_squares(memory, memory.second, at, np.int64(1), np.int64(NEIGHBORS), now[WIDTH_SHIFT])
    now[BLOCK_3] = _least_squares(memory, memory.third, at, np.int64(14), np.int64(FEWEST), now[WIDTH_SHIFT] - 1)
    if now[CHANNEL] == 0:
        _simple(memory.pixels, experts[MEAN], at, pixel, row)
    else:
        _simple_in_colour(memory.pixels, experts[MEAN], at, pixel, row)
    for expert in range(2, 14):
        experts[MEAN, expert] *= 256
    for expert in range(_BLENDED):
        experts[MEAN, expert] = min(max(experts[MEAN, expert], np.int64(0)), np.int64(255 * 256))
    _look_around(memory, relative)
    begin_sample(memory, np.int64(_NARROWING))


@part
def _least_squares(
    memory: Memory, squares: Squares, at: Integer, expert: Integer, count: Integer, shift: Integer
) -> Integer:
    """Let an expert predict from ``count`` neighbors and the earlier channels; return which model it used."""
    now = memory.now
    relative, pixel, row, channel = now[POSITION] - now[BEGIN], now[SAMPLE], now[ROW], now[CHANNEL]
    features, offsets, base = squares.features, memory.offsets, now[BASE]
    column = relative % row // pixel + ((expert & 1) << (now[WIDTH_SHIFT] - 1))
    block = column >> shift
    model = block * pixel + channel
    if relative < row and block << shift == column and block > 0 and channel == 0:
        _copy_models(squares, model, pixel)
    for index in range(count):
        features[index] = back(memory.pixels, at, offsets[index]) * 16 - base
    size = count
    for earlier in range(1, min(channel, np.int64(2)) + 1):
        other = (back(memory.pixels, at, earlier + pixel) + back(memory.pixels, at, earlier + row)) * 8
        features[size] = back(memory.pixels, at, earlier) * 16 - other
        for index in range(3):
            features[size + 1 + index] = back(memory.pixels, at, earlier + offsets[index]) * 16 - other
        size += 4
    memory.experts[MEAN, expert] = ((weighted_sum(squares, model, size) >> 16) + base) << 4
    return np.int64(model)


@part
def _copy_models(squares: Squares, model: Integer, channels: Integer) -> None:
    """In the first row a block of columns begins with what its left neighbor has learned."""
    for number in range(model, model + channels):
        for row in range(squares.features.size):
            squares.products[number, row] = squares.products[number - channels, row]
            squares.weights[number, row] = squares.weights[number - channels, row]
            for column in range(squares.features.size):
                squares.moments[number, row, column] = squares.moments[number - channels, row, column]


@part
def _simple(pixels: NDArray[np.uint8], means: NDArray[np.int64], at: Integer, pixel: Integer, row: Integer) -> None:
    west, north = back(pixels, at, pixel), back(pixels, at, row)
    corner, east = back(pixels, at, row + pixel), back(pixels, at, row - pixel)
    west_2, west_3 = back(pixels, at, 2 * pixel), back(pixels, at, 3 * pixel)
    north_2 = back(pixels, at, 2 * row)
    means[2] = median_edge(west, north, corner)
    means[3] = west + north - corner
    means[4] = west
    means[5] = north
    means[6] = north + east - back(pixels, at, 2 * row - pixel)
    means[7] = west + east - north
    means[8] = 2 * west - west_2
    means[9] = 2 * north - north_2
    means[10] = north + corner - back(pixels, at, 2 * row + pixel)
    means[11] = (west + east) >> 1
    means[12] = west + towards_zero(east - corner, np.int64(2))
    means[13] = 3 * (west - west_2) + west_3


@part
def _simple_in_colour(
    pixels: NDArray[np.uint8], means: NDArray[np.int64], at: Integer, pixel: Integer, row: Integer
) -> None:
    west, north = back(pixels, at, pixel), back(pixels, at, row)
    corner, east = back(pixels, at, row + pixel), back(pixels, at, row - pixel)
    other, two = back(pixels, at, np.int64(1)), np.int64(2)
    other_west, other_north = back(pixels, at, 1 + pixel), back(pixels, at, 1 + row)
    other_corner, other_east = back(pixels, at, 1 + pixel + row), back(pixels, at, 1 + row - pixel)
    means[2] = median_edge(west, north, corner)
    means[3] = other + (west - other_west) + (north - other_north) - (corner - other_corner)
    means[4] = other + west - other_west
    means[5] = other + north - other_north
    means[6] = other + median_edge(west - other_west, north - other_north, corner - other_corner)
    means[7] = west + towards_zero((other - other_west) + (north - corner), two)
    means[8] = west + north - corner
    means[9] = west
    means[10] = north
    means[11] = ((west + north) >> 1) + other - ((other_west + other_north) >> 1)
    means[12] = ((west + east) >> 1) + other - ((other_west + other_east) >> 1)
    means[13] = north + east - back(pixels, at, 2 * row - pixel)


@part
def _look_around(memory: Memory, relative: Integer) -> None:
    """Say from the errors nearby how large each expert's error will be, and let the last expert blend the others."""
    now, experts = memory.now, memory.experts
    nearby = experts[NEARBY]
    for expert in range(PICTURE_EXPERTS):
        nearby[expert] = 0
    for index in range(10):
        errors = memory.nearby[(relative - memory.error_offsets[index]) & now[RING]]
        weight = np.int64(4 if index < 2 else (2 if index < 6 else 1))
        for expert in range(PICTURE_EXPERTS):
            nearby[expert] += weight * np.int64(errors[expert])
    for expert in range(PICTURE_EXPERTS):
        error = nearby[expert] >> 1
        nearby[expert] = error
        experts[TRUST, expert] = max((np.int64(1) << 36) // ((error + 8) * (error + 8)), np.int64(1))
        step = octaves(error + 8, np.int64(4)) + STEPS * now[CHANNEL]
        experts[STEP, expert] = step
        known = memory.learned[expert, step]
        experts[ERROR, expert] = known >> 16 if known else 2 * error + 64
    experts[MEAN, _BLENDED] = blend(experts[MEAN], experts[TRUST], np.int64(_BLENDED))


@part
def _learn(squares: Squares, model: Integer, count: Integer, target: Integer, decay: Integer) -> None:
    learn_squares(squares, model, count, target, np.int64(0), np.int64(0), decay, np.int64(_RIDGE))


@long_part
def learn_picture(memory: Memory, value: Integer) -> None:
    """Learn a byte of the picture."""
    now, experts = memory.now, memory.experts
    relative, channel = now[POSITION] - now[BEGIN], now[CHANNEL]
    errors = memory.nearby[relative & now[RING]]
    for expert in range(PICTURE_EXPERTS):
        error = abs((value << 8) - experts[MEAN, expert])
        errors[expert] = np.uint16(error >> 4)
        step = experts[STEP, expert]
        known = memory.learned[expert, step]
        mean, count = (known >> 16, known & 0xFFFF) if known else (experts[ERROR, expert], np.int64(4))
        mean = max(mean + towards_zero(error - mean, count + 1), np.int64(1))
        memory.learned[expert, step] = mean << 16 | min(count + 1, np.int64(255))
    target = value * 16 - now[BASE]
    more = 4 * min(channel, np.int64(2))
    _learn(memory.first, now[BLOCK_1], FEW + more, target, np.int64(7))
    _learn(memory.second, now[BLOCK_2], NEIGHBORS + more, target, np.int64(8))
    _learn(memory.third, now[BLOCK_3], FEWEST + more, target, np.int64(6))
    memory.pixels[relative + now[FRONT]] = value
