"""Everything the adaptive predictor remembers, as arrays that compiled code can take.

All numbers are integers. Nothing here is stored in an archive: encoder and decoder begin with the same memory and
change it in the same way, decision by decision.
"""

import hashlib
import mmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.mixing.prior import Prior
from zipllm.mixing.tables import LIMIT, MAP_BITS, UNIT, tables

CONTEXTS = 16
"""Contexts in which the bits of a byte are remembered; see ``contexts.py``."""
STOPS = 6
"""Contexts in which the stops of tokens are remembered."""
MATCHES = 2
"""Earlier places whose continuation may repeat: after a long and after a short context."""
MATCH_STATES = 64
"""Classes of match lengths."""

BIAS, MODEL, MATCH, FIRST = 0, 1, 3, 3 + 2 * MATCHES
"""Where inputs of the mixer begin: a constant, the model, the matches, the contexts (two for each)."""
INPUTS = -(-(FIRST + 2 * CONTEXTS) // 8) * 8
"""Inputs of the mixer; a multiple of 8, so that they fill vector registers."""
SELECTORS = 4
"""Weight sets that predict each decision side by side."""
SET_SIZES = (256, 512, 512, 512)
"""Weight sets of each selector, for bits; as many again for stops."""
BIT_SETS = sum(SET_SIZES)
FINAL_SETS = 512
"""Weight sets of the second layer, for bits; as many again for stops."""
WEIGHT_BITS = 16
"""Fraction bits of mixer weights."""
BINS = 33
"""Points of a refining map, over the whole logistic scale."""
REFINER_BITS = 16
"""Contexts of each of the two refining maps."""
STOP_SLOT_BITS = 18
MIN_SLOT_BITS, MAX_SLOT_BITS = 12, 24
SLOT_BYTES = 32
_SLOT_BYTES_PER_BYTE = 2 * CONTEXTS * SLOT_BYTES
"""Each byte looks up two slots in each context, so a block fills at most this many bytes of slots per raw byte."""
_SMALLEST_HUGE = 4 << 20
"""Smallest array in bytes for which numpy asks the system for huge pages."""

# Registers of a lane; the last two have one for each match.
POSITION, END, RECENT, EARLIER, WORD, LAST_WORD, LINE, ABOVE, OPENING, LAST_TOKEN, POINTER = range(11)
LENGTH = POINTER + MATCHES
REGISTERS = LENGTH + MATCHES

# The decision being coded: its bit number, the bits of this byte so far, the place in the slot, the half of the byte
# whose slots were found (-1: none), the model's confidence, the byte before the token, the weight set of the second
# layer, the mixture, the rows of the two refining maps.
BIT_NUMBER, PARTIAL, INNER, HALF, SURE, BEFORE, FINAL_SET, MIXTURE, ROW_1, ROW_2 = range(10)
NOW = 10


class Memory(NamedTuple):
    """What has been learned, and where every lane is.

    Attributes:
        slots: uint16 ``[slots * 16]``; a slot is a check and 15 bit histories: four bits in one context.
        maps: uint32 ``[CONTEXTS, STATES]``, what bit histories mean in each context: probability << 10 | count.
        stop_slots: uint16 ``[2**STOP_SLOT_BITS]``, bit histories of stops.
        stop_maps: uint32 ``[STOPS, STATES]``.
        match_maps: uint32 ``[2 * MATCHES, MATCH_STATES]``, how far matches can be trusted, for bits and for stops.
        match_index: int32 ``[MATCHES, 2**n]``, where a context was seen last.
        successors: int64 ``[256 + 2**16]``, which three bytes last came after one byte, and after two.
        weights: int32 ``[2 * BIT_SETS, INPUTS]``, first layer of the mixer.
        final_weights: int32 ``[2 * FINAL_SETS, SELECTORS]``, second layer.
        refiners: int32 ``[2 << REFINER_BITS, BINS]``, probabilities in units of ``2**-24``.
        seen: uint8 ``[raw bytes]``, what is known of the block, each lane in its place.
        begins: uint8 ``[raw bytes]``, 1 where a token begins.
        registers: int64 ``[lanes, REGISTERS]``.
        decided: int64 ``[1]``, how many decisions were learned.
        contexts: int64 ``[CONTEXTS]``, scratch: hashes of the current byte's contexts.
        places: int64 ``[CONTEXTS]``, scratch: where their histories are.
        inputs: int32 ``[INPUTS]``, scratch.
        sets: int64 ``[SELECTORS]``, scratch: the weight sets chosen.
        outputs: int64 ``[SELECTORS]``, scratch: what they say.
        now: int64 ``[NOW]``, scratch: numbers of the decision at hand.
    """

    slots: NDArray[np.uint16]
    maps: NDArray[np.uint32]
    stop_slots: NDArray[np.uint16]
    stop_maps: NDArray[np.uint32]
    match_maps: NDArray[np.uint32]
    match_index: NDArray[np.int32]
    successors: NDArray[np.int64]
    weights: NDArray[np.int32]
    final_weights: NDArray[np.int32]
    refiners: NDArray[np.int32]
    seen: NDArray[np.uint8]
    begins: NDArray[np.uint8]
    registers: NDArray[np.int64]
    decided: NDArray[np.int64]
    contexts: NDArray[np.int64]
    places: NDArray[np.int64]
    inputs: NDArray[np.int32]
    sets: NDArray[np.int64]
    outputs: NDArray[np.int64]
    now: NDArray[np.int64]


def new_memory(sizes: NDArray[np.int64], slot_bits: int, prior: Prior | None) -> Memory:
    """Return the memory at the beginning of a block.

    Args:
        sizes: int64 ``[lanes]``, bytes of each lane.
        slot_bits: there are ``2**slot_bits`` slots of 32 bytes, ``MIN_SLOT_BITS`` to ``MAX_SLOT_BITS``.
        prior: what other files have taught; None: ``plain_prior``.
    """
    lanes, total = len(sizes), int(sizes.sum())
    prior = prior or plain_prior()
    match_bits = min(max(total.bit_length() + 1, 12), 22)
    return Memory(
        slots=_empty_slots(SLOT_BYTES << slot_bits, total),
        maps=prior.maps.copy(),
        stop_slots=np.zeros(1 << STOP_SLOT_BITS, dtype=np.uint16),
        stop_maps=prior.stop_maps.copy(),
        match_maps=prior.match_maps.copy(),
        match_index=np.zeros((MATCHES, 1 << match_bits), dtype=np.int32),
        successors=np.zeros(256 + (1 << 16), dtype=np.int64),
        weights=prior.weights.copy(),
        final_weights=prior.final_weights.copy(),
        refiners=_plain_refiners(),
        seen=np.zeros(total, dtype=np.uint8),
        begins=np.zeros(total + 1, dtype=np.uint8),
        registers=_registers(lanes, sizes),
        decided=np.zeros(1, dtype=np.int64),
        contexts=np.zeros(CONTEXTS, dtype=np.int64),
        places=np.zeros(CONTEXTS, dtype=np.int64),
        inputs=np.zeros(INPUTS, dtype=np.int32),
        sets=np.zeros(SELECTORS, dtype=np.int64),
        outputs=np.zeros(SELECTORS, dtype=np.int64),
        now=np.zeros(NOW, dtype=np.int64),
    )


def memory_digest(memory: Memory) -> str:
    """Return a hash of everything; encoder and decoder must agree on it after every block."""
    digest = hashlib.sha256()
    for array in memory:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def plain_prior() -> Prior:
    """Return what is assumed without any experience: counts mean what they say, all inputs weigh alike."""
    initial = tables().initial
    weights = np.zeros((2 * BIT_SETS, INPUTS), dtype=np.int32)
    weights[:, MODEL] = 1 << WEIGHT_BITS
    weights[:, MATCH:FIRST:2] = 20_000
    weights[:, FIRST : FIRST + 2 * CONTEXTS : 2] = 14_000
    length = np.arange(MATCH_STATES, dtype=np.int64)
    trust = (((2 * length + 3) << MAP_BITS) // (2 * length + 4) << 10).astype(np.uint32)
    return Prior(
        maps=np.tile(initial, (CONTEXTS, 1)),
        stop_maps=np.tile(initial, (STOPS, 1)),
        match_maps=np.tile(trust, (2 * MATCHES, 1)),
        weights=weights,
        final_weights=np.full((2 * FINAL_SETS, SELECTORS), (1 << WEIGHT_BITS) // SELECTORS, dtype=np.int32),
    )


def _empty_slots(size: int, raw_bytes: int) -> NDArray[np.uint16]:
    """Return zeros, uint16 ``[size / 2]``, that take memory only where they are written to.

    numpy asks for huge pages, which a block fills if it has as many slots as a writer gives it. A forged block of one
    byte may have 2**24; then each byte would clear 64 MiB, in small pages it is 128 KiB.
    """
    if size <= _SLOT_BYTES_PER_BYTE * raw_bytes or size <= _SMALLEST_HUGE:
        return np.zeros(size // 2, dtype=np.uint16)
    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype=np.uint16)


def _plain_refiners() -> NDArray[np.int32]:
    steps = (np.arange(BINS) - BINS // 2) * (24 * UNIT // (BINS - 1))
    identity = tables().squash[np.clip(steps, -LIMIT, LIMIT) + LIMIT]
    return np.ascontiguousarray(np.broadcast_to(identity, (2 << REFINER_BITS, BINS)))


def _registers(lanes: int, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    registers = np.zeros((lanes, REGISTERS), dtype=np.int64)
    registers[:, END] = np.cumsum(sizes)
    for register in (POSITION, LINE, ABOVE):
        registers[:, register] = registers[:, END] - sizes
    return registers
