"""Everything the adaptive predictor remembers, as arrays that compiled code can take.

All numbers are integers. Nothing here is stored in an archive: encoder and decoder begin with the same memory and
change it in the same way, decision by decision.
"""

import hashlib
import mmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import class_constant
from zipllm.mixing.prior import Prior
from zipllm.mixing.tables import LIMIT, MAP_BITS, UNIT, tables

STOPS = 6
"""Contexts in which the stops of tokens are remembered."""
MATCHES = 2
"""Earlier places whose continuation may repeat: after a long and after a short context."""

BIAS, MODEL, MATCH, FIRST = 0, 1, 3, 3 + 2 * MATCHES
"""Where inputs of the mixer begin: a constant, the model, the matches, the contexts (two for each)."""
FINAL_SETS = 512
"""Weight sets of each mixer of the second layer, for bits; as many again for stops."""
WEIGHT_BITS = 16
"""Fraction bits of mixer weights."""
BINS = 33
"""Points of a refining map, over the whole logistic scale."""
REFINER_BITS = 16
"""Contexts of each of the two refining maps."""
STOP_SLOT_BITS = 18
MIN_SLOT_BITS, MAX_SLOT_BITS = 12, 24
SLOT_BYTES = 32
_SMALLEST_HUGE = 4 << 20
"""Smallest array in bytes for which numpy asks the system for huge pages."""

# Registers of a lane: where it is, what came last, and for each match its place, its length and how often it failed.
POSITION, END, RECENT, EARLIER, WORD, LAST_WORD, LINE, ABOVE, OPENING, LAST_TOKEN = range(10)
POINTER = 10
LENGTH = POINTER + MATCHES
FAILURES = LENGTH + MATCHES
STRUCTURE = FAILURES + MATCHES
"""From here on stand the registers of ``structure.py``, which only the full mixer has."""
STRUCTURE_REGISTERS = 256
OTHER = STRUCTURE + 32
"""From here on stand those of the other families of contexts, in place of text's stacks."""
PAIRS, TRIPLES = 256, 256 + (1 << 16)
"""Where in the table of successors stands what followed two bytes, and three."""

# The decision being coded: its bit number, the bits of this byte so far, the place in the slot, the half of the byte
# whose slots were found (-1: none), the model's confidence, the byte before the token, the mixture, the rows of the two
# refining maps; for each mixer of the second layer its weight set and what it says.
BIT_NUMBER, PARTIAL, INNER, HALF, SURE, BEFORE, MIXTURE, ROW_1, ROW_2 = range(9)
FINAL_SET = 9


class Shape(NamedTuple):
    """How much there is of everything, by the version of the mixer.

    Attributes:
        contexts: in which the bits of a byte are remembered (``contexts.py``).
        sets: weight sets of each mixer of the first layer, for bits; as many again for stops.
        finals: mixers of the second layer.
        match_states: classes of a match's length and failures.
        registers: of a lane.
        successors: entries of the table of what followed.
        keys: entries of the table of places behind a key.
    """

    contexts: int
    sets: tuple[int, ...]
    finals: int
    match_states: int
    registers: int
    successors: int
    keys: int

    @property
    def inputs(self) -> int:
        """Inputs of the mixer; a multiple of 8, so that they fill vector registers."""
        return -(-(FIRST + 2 * self.contexts) // 8) * 8

    @property
    def slot_bytes(self) -> int:
        """A byte looks up two slots in each context, so a block fills at most this many bytes of slots per raw byte."""
        return 2 * self.contexts * SLOT_BYTES


LEAN = Shape(
    contexts=16,
    sets=(256, 512, 512, 512),
    finals=1,
    match_states=64,
    registers=STRUCTURE,
    successors=TRIPLES,
    keys=1,
)
"""Mixer 1: fast, and all that the levels without a model use."""
FULL = Shape(
    contexts=32,
    sets=(256, 256, 256, 256, 1024, 1024, 512, 264),
    finals=3,
    match_states=256,
    registers=STRUCTURE + STRUCTURE_REGISTERS,
    successors=TRIPLES + (1 << 18),
    keys=1 << 16,
)
"""Mixer 2: what a line, a field, a key, a number or an instruction says as well; at two fifths of the speed."""
SHAPES = {1: LEAN, 2: FULL}
LEAN_STARTS = tuple(sum(LEAN.sets[:number]) for number in range(len(LEAN.sets) + 1))
FULL_STARTS = tuple(sum(FULL.sets[:number]) for number in range(len(FULL.sets) + 1))
"""Where the weight sets of each mixer of the first layer begin, and those for stops."""


class Memory(NamedTuple):
    """What has been learned, and where every lane is.

    Attributes:
        slots: uint16 ``[slots * 16]``; a slot is a check and 15 bit histories: four bits in one context.
        maps: uint32 ``[contexts, STATES]``, what bit histories mean in each context: probability << 10 | count.
        stop_slots: uint16 ``[2**STOP_SLOT_BITS]``, bit histories of stops.
        stop_maps: uint32 ``[STOPS, STATES]``.
        match_maps: uint32 ``[2 * MATCHES, match_states]``, how far matches can be trusted, for bits and for stops.
        match_index: int32 ``[MATCHES, 2**n]``, where a context was seen last.
        successors: int64 ``[256 + 2**16]``, which three bytes last came after one byte, and after two; 2**18 more for
            three, by a hash, in the full mixer.
        keys: int32 ``[keys]``, where the value after a key last began; of machine code, the last operand of a form.
        weights: int32 ``[2 * sum(sets), inputs]``, first layer of the mixer.
        final_weights: int32 ``[finals, 2 * FINAL_SETS, len(sets)]``, second layer.
        refiners: int32 ``[2 << REFINER_BITS, BINS]``, probabilities in units of ``2**-24``.
        seen: uint8 ``[raw bytes]``, what is known of the block, each lane in its place.
        begins: uint8 ``[raw bytes]``, 1 where a token begins.
        registers: int64 ``[lanes, registers]``.
        decided: int64 ``[1]``, how many decisions were learned.
        contexts: int64 ``[contexts]``, scratch: hashes of the current byte's contexts.
        places: int64 ``[contexts]``, scratch: where their histories are.
        inputs: int32 ``[inputs]``, scratch.
        sets: int64 ``[len(sets)]``, scratch: the weight sets chosen.
        outputs: int64 ``[len(sets)]``, scratch: what they say.
        now: int64 ``[FINAL_SET + 2 * finals]``, scratch: numbers of the decision at hand.
    """

    slots: NDArray[np.uint16]
    maps: NDArray[np.uint32]
    stop_slots: NDArray[np.uint16]
    stop_maps: NDArray[np.uint32]
    match_maps: NDArray[np.uint32]
    match_index: NDArray[np.int32]
    successors: NDArray[np.int64]
    keys: NDArray[np.int32]
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


class FullMemory(Memory):
    """The memory of the full mixer: another class, so that compiled code is made for each."""

    __slots__ = ()


@class_constant
def is_full(kind: type) -> bool:
    """Whether a memory is that of the full mixer."""
    return kind is FullMemory


@class_constant
def context_count(kind: type) -> int:
    """Return in how many contexts of a memory bits are remembered."""
    return FULL.contexts if kind is FullMemory else LEAN.contexts


@class_constant
def mixer_count(kind: type) -> int:
    """Return the mixers of the first layer of a memory."""
    return len(FULL.sets if kind is FullMemory else LEAN.sets)


@class_constant
def final_count(kind: type) -> int:
    """Return the mixers of the second layer of a memory."""
    return FULL.finals if kind is FullMemory else LEAN.finals


def new_memory(sizes: NDArray[np.int64], slot_bits: int, prior: Prior | None, shape: Shape = LEAN) -> Memory:
    """Return the memory at the beginning of a block.

    Args:
        sizes: int64 ``[lanes]``, bytes of each lane.
        slot_bits: there are ``2**slot_bits`` slots of 32 bytes, ``MIN_SLOT_BITS`` to ``MAX_SLOT_BITS``.
        prior: what other files have taught, of the same shape; None: ``plain_prior``.
        shape: of the mixer's version.
    """
    total = int(sizes.sum())
    prior = prior or plain_prior(shape)
    match_bits = min(max(total.bit_length() + 1, 12), 22)
    return (FullMemory if shape is FULL else Memory)(
        slots=_empty_slots(SLOT_BYTES << slot_bits, shape.slot_bytes * total),
        maps=prior.maps.copy(),
        stop_slots=np.zeros(1 << STOP_SLOT_BITS, dtype=np.uint16),
        stop_maps=prior.stop_maps.copy(),
        match_maps=prior.match_maps.copy(),
        match_index=np.zeros((MATCHES, 1 << match_bits), dtype=np.int32),
        successors=np.zeros(shape.successors, dtype=np.int64),
        keys=np.zeros(shape.keys, dtype=np.int32),
        weights=prior.weights.copy(),
        final_weights=prior.final_weights.copy(),
        refiners=_plain_refiners(),
        seen=np.zeros(total, dtype=np.uint8),
        begins=np.zeros(total + 1, dtype=np.uint8),
        registers=_registers(shape.registers, sizes),
        decided=np.zeros(1, dtype=np.int64),
        contexts=np.zeros(shape.contexts, dtype=np.int64),
        places=np.zeros(shape.contexts, dtype=np.int64),
        inputs=np.zeros(shape.inputs, dtype=np.int32),
        sets=np.zeros(len(shape.sets), dtype=np.int64),
        outputs=np.zeros(len(shape.sets), dtype=np.int64),
        now=np.zeros(FINAL_SET + 2 * shape.finals, dtype=np.int64),
    )


def memory_digest(memory: Memory) -> str:
    """Return a hash of everything; encoder and decoder must agree on it after every block."""
    digest = hashlib.sha256()
    for array in memory:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def plain_prior(shape: Shape = LEAN) -> Prior:
    """Return what is assumed without any experience: counts mean what they say, all inputs weigh alike."""
    initial, contexts, mixers = tables().initial, shape.contexts, len(shape.sets)
    weights = np.zeros((2 * sum(shape.sets), shape.inputs), dtype=np.int32)
    weights[:, MODEL] = 1 << WEIGHT_BITS
    weights[:, MATCH:FIRST:2] = 20_000
    weights[:, FIRST : FIRST + 2 * contexts : 2] = 16 * 14_000 // contexts
    length = np.arange(shape.match_states, dtype=np.int64) % LEAN.match_states
    trust = (((2 * length + 3) << MAP_BITS) // (2 * length + 4) << 10).astype(np.uint32)
    return Prior(
        maps=np.tile(initial, (contexts, 1)),
        stop_maps=np.tile(initial, (STOPS, 1)),
        match_maps=np.tile(trust, (2 * MATCHES, 1)),
        weights=weights,
        final_weights=np.full((shape.finals, 2 * FINAL_SETS, mixers), (1 << WEIGHT_BITS) // mixers, dtype=np.int32),
    )


def _empty_slots(size: int, most_used: int) -> NDArray[np.uint16]:
    """Return zeros, uint16 ``[size / 2]``, that take memory only where they are written to: ``most_used`` bytes.

    numpy asks for huge pages, which a block fills if it has as many slots as a writer gives it. A forged block of one
    byte may have 2**24; then each byte would clear 64 MiB, in small pages it is 128 KiB.
    """
    if size <= most_used or size <= _SMALLEST_HUGE:
        return np.zeros(size // 2, dtype=np.uint16)
    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype=np.uint16)


def _plain_refiners() -> NDArray[np.int32]:
    steps = (np.arange(BINS) - BINS // 2) * (24 * UNIT // (BINS - 1))
    identity = tables().squash[np.clip(steps, -LIMIT, LIMIT) + LIMIT]
    return np.ascontiguousarray(np.broadcast_to(identity, (2 << REFINER_BITS, BINS)))


def _registers(count: int, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    registers = np.zeros((len(sizes), count), dtype=np.int64)
    registers[:, END] = np.cumsum(sizes)
    for register in (POSITION, LINE, ABOVE):
        registers[:, register] = registers[:, END] - sizes
    return registers
