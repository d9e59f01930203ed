"""Where DNA is, and everything its predictor remembers, as arrays that compiled code can take."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.container.samples import Layout, dna_layout
from zipllm.mixing.tables import MAP_BITS

ORDERS = (2, 3, 4, 6, 8, 11, 12, 14, 16, 20)
"""Bases of each context."""
MAX_TABLE_BITS, _MIN_TABLE_BITS = 22, 12
OTHERS = 4
"""Contexts of bytes that are no bases: the last one, two, four and six bytes."""
OTHER_BITS = 20
BIAS, FIRST, MATCHED = 0, 1, 21
INPUTS = 24
"""Where inputs of the mixer begin: a constant, two for each context, two matches; and how many there are."""
SELECTORS, SETS = 3, 256 + 64
"""Weight sets of each selector: by the bits of another byte, and behind those for bases."""
_LOOKED_AT, _MOSTLY = 1 << 18, 85
"""Bytes in which DNA is looked for, and how many of a hundred must be bases."""

# Registers: bytes coded so far, bases so far; the last 24 bases, and the reverse complement of them; where the matches
# point, how long they are and how often they failed; the column and the length of the last line; whether the last two
# bytes were bases; 32 for small letters; the last bytes that were none;
# what the matches said of the last bit.
POSITION, COUNT, BASES, REVERSED, POINTER, BACKWARD, MATCH, BACK_MATCH, FAILURES, BACK_FAILURES = range(10)
COLUMN, LINE, KINDS, CASE, RECENT, EARLIER, EXPECTED, BACK_EXPECTED = range(10, 18)
REGISTERS = 18


class DnaMemory(NamedTuple):
    """What has been learned, and where the block is.

    Attributes:
        seen: uint8 ``[size]``, the block: given when encoding, filled when decoding.
        sequence: uint8 ``[size]``, its bases alone, 0 to 3 for A, C, G and T.
        counters: int16 ``[orders, 4 << bits]``: for each context three probabilities, of the first bit and of the
            second behind either, less one half, in units of ``2**-16``.
        others: int16 ``[OTHERS, 2**OTHER_BITS]``, the same for the bits of other bytes, by a hash.
        flags: uint32 ``[8]``, probability that a byte is a base << 10 | count.
        trust: int32 ``[2, 128]``, how far the matches are right, in units of ``2**-16``.
        last: int32 ``[2**bits]``, how many bases there were when the last 20 were seen last, by a hash.
        weights: int32 ``[SELECTORS * SETS, INPUTS]``.
        inputs: int32 ``[INPUTS]``, scratch.
        sets: int64 ``[SELECTORS]``, scratch: the weight sets chosen.
        outputs: int64 ``[SELECTORS]``, scratch: what they say.
        places: int64 ``[orders]``, scratch: the counters of the contexts at hand.
        now: int64 ``[REGISTERS]``.
    """

    seen: NDArray[np.uint8]
    sequence: NDArray[np.uint8]
    counters: NDArray[np.int16]
    others: NDArray[np.int16]
    flags: NDArray[np.uint32]
    trust: NDArray[np.int32]
    last: NDArray[np.int32]
    weights: NDArray[np.int32]
    inputs: NDArray[np.int32]
    sets: NDArray[np.int64]
    outputs: NDArray[np.int64]
    places: NDArray[np.int64]
    now: NDArray[np.int64]


def table_bits(size: int) -> int:
    """Return the logarithm of how many contexts each order has room for, in a block of ``size`` bytes."""
    return min(max(size.bit_length() + 1, _MIN_TABLE_BITS), MAX_TABLE_BITS)


def dna_memory_bytes(size: int) -> int:
    """Return about how many bytes ``new_dna_memory`` takes."""
    return len(ORDERS) * (8 << table_bits(size)) + (4 << table_bits(size)) + 2 * size + (4 << 20)


def new_dna_memory(seen: NDArray[np.uint8]) -> DnaMemory:
    """Return the memory at the beginning of a block; ``seen`` is uint8 ``[size]``."""
    bits = table_bits(seen.size)
    weights = np.full((SELECTORS * SETS, INPUTS), 9830, dtype=np.int32)
    weights[:, BIAS] = 0
    return DnaMemory(
        seen=seen,
        sequence=np.zeros(seen.size, dtype=np.uint8),
        counters=np.zeros((len(ORDERS), 4 << bits), dtype=np.int16),
        others=np.zeros((OTHERS, 1 << OTHER_BITS), dtype=np.int16),
        flags=np.full(8, 1 << (MAP_BITS + 9), dtype=np.uint32),
        trust=np.full((2, 128), 58_982, dtype=np.int32),
        last=np.zeros(1 << bits, dtype=np.int32),
        weights=weights,
        inputs=np.zeros(INPUTS, dtype=np.int32),
        sets=np.zeros(SELECTORS, dtype=np.int64),
        outputs=np.zeros(SELECTORS, dtype=np.int64),
        places=np.zeros(len(ORDERS), dtype=np.int64),
        now=np.zeros(REGISTERS, dtype=np.int64),
    )


def find_dna(raw: bytes) -> Layout | None:
    """Return the layout of a block that is DNA for the most part, line breaks and names included; else None."""
    counts = np.bincount(np.frombuffer(raw[:_LOOKED_AT], dtype=np.uint8), minlength=256)
    bases = sum(int(counts[letter]) for letter in b"ACGTacgt")
    return dna_layout(len(raw)) if bases * 100 >= _MOSTLY * min(len(raw), _LOOKED_AT) else None
