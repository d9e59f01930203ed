"""How far positions turn the pairs of a head."""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, long_part
from zipllm.model.llama.parameters import PHASE_BITS

_MASK = np.int64((1 << PHASE_BITS) - 1)


@long_part
def find_turn(position: Integer, steps: NDArray[np.int64], table: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Look up cosine and sine of each pair: int32 ``[2, pairs]``; ``table`` is one turn, a power of two long."""
    bits = np.int64(PHASE_BITS)
    while np.int64(1) << (PHASE_BITS - bits) < table.size:
        bits -= 1
    half, mask, quarter = np.int64(1) << (bits - 1), table.size - 1, table.size // 4
    for pair in range(steps.size):
        index = (((np.int64(position) * steps[pair]) & _MASK) + half) >> bits
        out[0, pair] = table[np.uint64(index & mask)]
        out[1, pair] = table[np.uint64((index - quarter) & mask)]
