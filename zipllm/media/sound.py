"""Sound: eight opinions on the next sample of a channel.

    0, 1    least squares on 32 samples with a long memory, and on 16 with a short one; in stereo 12 and 8 of them are
            the other channel's
    2 to 4  the first, with what one, two and three filters of the cascade see in its residual
    5, 6    the last two samples continued in a straight line; the last sample
    7       the mean of all, weighted by their last errors

Samples are coded from the highest byte, as if they were unsigned. The cascade sees samples of 8, 16
and 24 bits with 4, 2 and no fraction bits; so does least squares, but of 24 bits it leaves out the last 6.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.media.cascade import filtered, learn_filter
from zipllm.media.experts import begin_sample, blend
from zipllm.media.least_squares import learn_squares, towards_zero, weighted_sum
from zipllm.media.memory import BITS, CHANNEL, CHANNELS, ERROR, MEAN, TRUST, Memory

FAST, SLOW, TRUSTED = 0, 1, 2
"""Rows of ``Memory.errors``."""
_NARROWING = 153
_RIDGE = 1 << 16
_SPARE = 4
_BLENDED = 7
_OWN_OF_FIRST, _OWN_OF_SECOND = 20, 8
_MOST_ERROR = 1 << 21  # of an expert that the blend still weighs; its square fits


@part
def _fraction_bits(bits: Integer) -> Integer:
    """Return by how much a residual of the cascade is shifted to have 8 fraction bits."""
    if bits == 8:
        return np.int64(4)
    return np.int64(6) if bits == 16 else np.int64(8)


@part
def _feature(sample: Integer, bits: Integer) -> Integer:
    if bits == 8:
        return sample << 4
    return sample << 2 if bits == 16 else sample >> 6


@part
def _gather(memory: Memory, features: NDArray[np.int64], own: Integer) -> None:
    """Fill features with the last ``own`` samples of the channel, then with the other channel's; latest first."""
    now = memory.now
    bits, channel = now[BITS], now[CHANNEL]
    count = own if now[CHANNELS] == 2 else features.size
    mine, other = memory.past[channel], memory.past[now[CHANNELS] - 1 - channel]
    for index in range(count):
        features[index] = _feature(mine[index], bits)
    for index in range(count, features.size):
        features[index] = _feature(other[index - count], bits)


@long_part
def predict_sound(memory: Memory) -> None:
    """Let the experts predict the next sample of the channel whose turn it is."""
    now, experts = memory.now, memory.experts
    channel, bits = now[CHANNEL], now[BITS]
    fraction = _fraction_bits(bits)
    shift = 16 - fraction if bits < 24 else np.int64(2)
    _gather(memory, memory.first.features, np.int64(_OWN_OF_FIRST))
    _gather(memory, memory.second.features, np.int64(_OWN_OF_SECOND))
    experts[MEAN, 0] = weighted_sum(memory.first, channel, np.int64(32)) >> shift
    experts[MEAN, 1] = weighted_sum(memory.second, channel, np.int64(16)) >> shift
    sum_so_far = experts[MEAN, 0] >> fraction
    sum_so_far += filtered(memory.long, channel)
    experts[MEAN, 2] = sum_so_far << fraction
    sum_so_far += filtered(memory.middle, channel)
    experts[MEAN, 3] = sum_so_far << fraction
    sum_so_far += filtered(memory.short, channel)
    experts[MEAN, 4] = sum_so_far << fraction
    experts[MEAN, 5] = (2 * memory.past[channel, 0] - memory.past[channel, 1]) << 8
    experts[MEAN, 6] = memory.past[channel, 0] << 8
    _weigh(memory, memory.errors[channel])
    begin_sample(memory, np.int64(_NARROWING))


@part
def _weigh(memory: Memory, errors: NDArray[np.int64]) -> None:
    """Keep values within their range, as unsigned samples, and say how large their errors were."""
    bits, experts = memory.now[BITS], memory.experts
    middle, top = np.int64(1) << (bits + 7), ((np.int64(1) << bits) - 1) << 8
    for expert in range(_BLENDED):
        experts[MEAN, expert] = min(max(experts[MEAN, expert] + middle, np.int64(0)), top)
        error = min((errors[TRUSTED, expert] >> 4) + 1, np.int64(_MOST_ERROR))
        experts[TRUST, expert] = min(max((np.int64(1) << 40) // (error * error), np.int64(1)), np.int64(1) << 20)
    experts[MEAN, _BLENDED] = blend(experts[MEAN], experts[TRUST], np.int64(_BLENDED))
    for expert in range(_BLENDED + 1):
        experts[ERROR, expert] = errors[FAST, expert] >> 4


@long_part
def learn_sound(memory: Memory, value: Integer) -> None:
    """Learn a sample, as an unsigned number, and go on to the next channel."""
    now, experts = memory.now, memory.experts
    channel, bits = now[CHANNEL], now[BITS]
    errors = memory.errors[channel]
    for expert in range(_BLENDED + 1):
        error = abs((value << 8) - experts[MEAN, expert]) << 4
        errors[FAST, expert] += towards_zero(error - errors[FAST, expert], np.int64(16))
        errors[SLOW, expert] += towards_zero(error - errors[SLOW, expert], np.int64(128))
        errors[TRUSTED, expert] += towards_zero(error - errors[TRUSTED, expert], np.int64(32))
    sample = value - (np.int64(1) << (bits - 1))
    target, more = (sample, np.int64(6)) if bits == 24 else (_feature(sample, bits), np.int64(0))
    learn_squares(memory.first, channel, np.int64(32), target, more, np.int64(_SPARE), np.int64(9), np.int64(_RIDGE))
    learn_squares(memory.second, channel, np.int64(16), target, more, np.int64(_SPARE), np.int64(7), np.int64(_RIDGE))
    fraction = _fraction_bits(bits)
    residual = (sample << (8 - fraction)) - ((experts[MEAN, 0] - (np.int64(1) << (bits + 7))) >> fraction)
    residual = learn_filter(memory.long, channel, residual, np.int64(5))
    residual = learn_filter(memory.middle, channel, residual, np.int64(5))
    learn_filter(memory.short, channel, residual, np.int64(4))
    past = memory.past[channel]
    for index in range(past.size - 1, 0, -1):
        past[index] = past[index - 1]
    past[0] = sample
    now[CHANNEL] = now[CHANNELS] - 1 - channel
