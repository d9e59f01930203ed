"""A cascade of adaptive filters, each on what the one before left over: normalised least mean squares.

Such filters follow long resonances that a short least squares does not see (Ashland's Monkey's Audio and Hellwig's TTA
cascade sign filters; Ghido's OptimFROG and Sac cascade normalised ones).

Sums fit int64. A residual is at most ``2**25`` and a prediction at most ``2**24``, so an error is below ``2**27``, its
``GAIN_BITS`` fit, and 256 squares are below ``2**58``.
"""

import numpy as np

from zipllm.jit.compiled import Integer, long_part
from zipllm.media.least_squares import towards_zero
from zipllm.media.memory import Filter

WEIGHT_BITS = 20
GAIN_BITS = 34
_MOST_WEIGHT = 1 << 26
_MOST_GAIN = (1 << 31) - 1
_MOST_PREDICTION = 1 << 24
_AT, _POWER, _PREDICTION = 0, 1, 2


@long_part
def filtered(filter_: Filter, channel: Integer) -> Integer:
    """Return the prediction of a channel's next value and note it."""
    taps, state = filter_.weights.shape[1], filter_.state[channel]
    at = state[_AT]
    weights, past = filter_.weights[channel], filter_.past[channel, at : at + taps]
    total = np.int64(0)
    for index in range(taps):
        total += np.int64(weights[index]) * np.int64(past[index])
    state[_PREDICTION] = min(max(total >> WEIGHT_BITS, np.int64(-_MOST_PREDICTION)), np.int64(_MOST_PREDICTION))
    return np.int64(state[_PREDICTION])


@long_part
def learn_filter(filter_: Filter, channel: Integer, value: Integer, step: Integer) -> Integer:
    """Learn a channel's value with a step of ``2**-step``; return what the prediction left over."""
    taps, state = filter_.weights.shape[1], filter_.state[channel]
    at = state[_AT]
    weights, past = filter_.weights[channel], filter_.past[channel, at : at + taps]
    error = value - state[_PREDICTION]
    gain = towards_zero(error << GAIN_BITS, state[_POWER] + 16 * taps + 1)
    gain = min(max(gain, np.int64(-_MOST_GAIN)), np.int64(_MOST_GAIN))
    shift = step + (GAIN_BITS - WEIGHT_BITS)
    half = np.int64(1) << (shift - 1)
    for index in range(taps):
        moved = np.int64(weights[index]) + ((gain * np.int64(past[index]) + half) >> shift)
        weights[index] = np.int32(min(max(moved, np.int64(-_MOST_WEIGHT)), np.int64(_MOST_WEIGHT)))
    oldest = np.int64(past[0])
    state[_POWER] += value * value - oldest * oldest
    ring = filter_.past[channel]
    ring[at] = value
    ring[at + taps] = value
    state[_AT] = at + 1 if at + 1 < taps else 0
    return np.int64(error)
