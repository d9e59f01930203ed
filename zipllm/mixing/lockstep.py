"""Compiled kernels that walk the decision trees of many lanes in lock-step.

They do exactly what the plain forms in ``decisions`` do, decision by decision, in the order defined there.
A kernel returns the number of decisions, or a failure (``predictions.check_result``).
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import IMPOSSIBLE, decoded
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.jit.compiled import Integer, compiled
from zipllm.jit.prefetch import prefetch
from zipllm.mixing.predictions import BROKEN, DAMAGED

_MOST = (1 << PROBABILITY_BITS) - 1


@compiled
def branch_probability(low: Integer, middle: Integer, high: Integer) -> Integer:
    """Return the probability of bit 1 in units of ``2**-24`` from three cumulative frequencies."""
    share = ((high - middle) << PROBABILITY_BITS) // (high - low)
    return min(max(share, 1), _MOST)


@compiled
def chunk_kernel(
    root: int,
    child: NDArray[np.int32],
    cumulative: NDArray[np.int32],
    tokens: NDArray[np.int32],
    counts: NDArray[np.int64],
    bits: NDArray[np.uint8],
    probabilities: NDArray[np.uint32],
    selected: bool,
) -> int:
    """Fill ``bits`` and ``probabilities`` with the decisions of a chunk; see ``decisions.chunk_decisions``."""
    lanes, steps = tokens.shape
    size = cumulative.shape[2] - 1
    active = np.empty(lanes, np.int64)
    node = np.empty(lanes, np.int64)
    low = np.empty(lanes, np.int64)
    high = np.empty(lanes, np.int64)
    written = 0
    for step in range(steps):
        running, depth = 0, 0
        for lane in range(lanes):
            if step < counts[lane] and root >= 0:
                active[running] = lane
                node[lane] = root
                low[lane] = 0 if selected else cumulative[lane, step, 0]
                high[lane] = cumulative[lane, step, size]
                running += 1
        while running:
            remaining = 0
            for index in range(running):
                lane = active[index]
                here = node[lane]
                middle = np.int64(cumulative[lane, step, depth if selected else here + 1])
                if not low[lane] < middle < high[lane]:
                    return BROKEN
                bit = 1 if tokens[lane, step] > here else 0
                bits[written] = bit
                probabilities[written] = branch_probability(low[lane], middle, high[lane])
                written += 1
                if bit:
                    low[lane] = middle
                else:
                    high[lane] = middle
                node[lane] = child[here, bit]
                if node[lane] >= 0:
                    active[remaining] = lane
                    remaining += 1
            running = remaining
            depth += 1
    return written


@compiled
def decode_kernel(
    root: int,
    child: NDArray[np.int32],
    cumulative: NDArray[np.int32],
    state: NDArray[np.uint64],
    words: NDArray[np.uint32],
    tokens: NDArray[np.int32],
) -> int:
    """Fill ``tokens`` with one decoded token a row; see ``decisions.decode_tokens``."""
    rows, columns = cumulative.shape
    active = np.arange(rows if root >= 0 else 0)
    node = np.full(rows, root)
    low, high = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for row in range(rows):
        low[row], high[row] = cumulative[row, 0], cumulative[row, columns - 1]
        prefetch(cumulative, row * columns + root + 1)
    lower, width, offset, position = state
    running = active.size
    decided = 0
    while running:
        remaining = 0
        for index in range(running):
            row = active[index]
            here = node[row]
            middle = np.int64(cumulative[row, here + 1])
            if not low[row] < middle < high[row]:
                return BROKEN
            probability = branch_probability(low[row], middle, high[row])
            bit, lower, width, offset, position = decoded(words, lower, width, offset, position, probability)
            if bit == IMPOSSIBLE:
                return DAMAGED
            decided += 1
            low[row], high[row] = (middle, high[row]) if bit else (low[row], middle)
            node[row] = below = child[here, bit]
            if below >= 0:
                prefetch(cumulative, row * columns + below + 1)  # long before its turn comes
                active[remaining] = row
                remaining += 1
        running = remaining
    state[0], state[1], state[2], state[3] = lower, width, offset, position
    for row in range(rows):
        tokens[row] = ~node[row]
    return decided
