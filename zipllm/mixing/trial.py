"""What tokens would cost after everything a memory has learned, with the memory restored afterwards.

``zipllm classify`` measures many short texts against one memory. Copying a memory of 150 MB takes 40 ms, coding a text
of 250 bytes takes 2 ms. So a journal notes the old content of every changed place of the large arrays, and the places
are restored in reverse order. Small arrays are copied. The cost is what ``adaptive`` would pay for these tokens,
decision by decision, except for what the range coder loses by rounding.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, entry_from, part
from zipllm.mixing.contexts import Style, remember_byte, set_contexts
from zipllm.mixing.history import first_candidate, half_key
from zipllm.mixing.matches import follow_matches, match_place
from zipllm.mixing.memory import BIT_NUMBER, HALF, LEAN, MATCHES, MIXTURE, POSITION, ROW_1, ROW_2, Memory
from zipllm.mixing.mixer import nearest_point
from zipllm.mixing.prediction import predict_bit
from zipllm.mixing.predictions import check_result
from zipllm.mixing.tables import ONE_BITS, Tables, tables
from zipllm.mixing.token_path import Vocabulary, make_token_coder

_PAIR = 32  # numbers of two neighboring slots
_REFINERS = -1
_SMALL = ("maps", "stop_slots", "stop_maps", "match_maps", "successors", "weights", "final_weights", "decided")
_PIECE = 1 << 12
"""Bytes of a text whose places are written down at once; longer texts get a longer journal."""


class Journal(NamedTuple):
    """What stood in places that were changed, oldest first.

    Attributes:
        pairs: int64 ``[n]``, where two neighboring slots begin.
        slots: uint16 ``[n, 32]``, what they held.
        places: int64 ``[m, 2]``, which array (the number of a match index, or ``_REFINERS``) and where in it.
        values: int32 ``[m]``.
        used: int64 ``[2]``, how many of each.
        cost: float64 ``[1]``, bits of the token at hand so far.
    """

    pairs: NDArray[np.int64]
    slots: NDArray[np.uint16]
    places: NDArray[np.int64]
    values: NDArray[np.int32]
    used: NDArray[np.int64]
    cost: NDArray[np.float64]

    @classmethod
    def of(cls, size: int) -> "Journal":
        """Return room for texts of ``size`` bytes: 32 lookups, 16 refiners and two matches a byte."""
        pairs, places = 2 * LEAN.contexts * size, (16 + MATCHES) * size
        return cls(
            np.empty(pairs, dtype=np.int64),
            np.empty((pairs, _PAIR), dtype=np.uint16),
            np.empty((places, 2), dtype=np.int64),
            np.empty(places, dtype=np.int32),
            np.zeros(2, dtype=np.int64),
            np.zeros(1),
        )


class Trial:
    """A memory against which texts are measured, one after the other, all from the same beginning.

    The memory, of the lean mixer, has one lane, with room for the longest text; it is in use until the trial is over.
    """

    def __init__(self, memory: Memory, vocabulary: Vocabulary, style: Style) -> None:
        assert len(memory.registers) == 1, "texts are measured behind one lane"
        self._memory, self._vocabulary, self._style = memory, vocabulary, style
        self._saved = {name: getattr(memory, name).copy() for name in (*_SMALL, "registers")}
        self._start = int(memory.registers[0, POSITION])
        self._journal = Journal.of(_PIECE)

    def bits(self, tokens: NDArray[np.int32], cumulative: NDArray[np.int32]) -> float:
        """Return what tokens int32 ``[n]`` cost, in bits.

        ``cumulative`` has the model's frequencies, int32 ``[n, V + 1]``; ``[1, 0]`` without a model.

        Raises:
            ValueError: the frequencies do not ascend, or the text is longer than the room for it.
        """
        size = int((self._vocabulary.starts[tokens + 1] - self._vocabulary.starts[tokens]).sum())
        memory = self._memory
        if self._start + size > memory.seen.size:
            raise ValueError(f"a text of {size} bytes does not fit behind what the memory has learned")
        if 2 * LEAN.contexts * size > self._journal.pairs.size:
            self._journal = Journal.of(size)
        rows = np.require(cumulative, np.int32, ["C", "W"])
        wanted = np.require(tokens, np.int32, ["C", "W"])
        cost: float = _try_tokens(memory, tables(), self._vocabulary, wanted, rows, self._style, self._journal)
        for name, saved in self._saved.items():
            np.copyto(getattr(memory, name), saved)
        memory.seen[self._start : self._start + size] = 0
        memory.begins[self._start : self._start + size] = 0
        check_result(cost)
        return cost


@part
def _note_slots(memory: Memory, journal: Journal, half: Integer) -> None:
    """Write down the slots in which half of a byte is looked up."""
    for number in range(memory.contexts.size):
        begin = (first_candidate(memory.slots, half_key(memory.contexts[number], half)) & ~np.int64(1)) * 16
        at = journal.used[0]
        journal.pairs[at] = begin
        for index in range(_PAIR):
            journal.slots[at, index] = memory.slots[begin + index]
        journal.used[0] = at + 1


@part
def _note(journal: Journal, which: Integer, place: Integer, value: Integer) -> None:
    at = journal.used[1]
    journal.places[at, 0] = which
    journal.places[at, 1] = place
    journal.values[at] = value
    journal.used[1] = at + 1


@part
def _note_refiners(memory: Memory, journal: Journal) -> None:
    point, columns = nearest_point(memory.now[MIXTURE]), memory.refiners.shape[1]
    for slot in (ROW_1, ROW_2):
        row = memory.now[slot]
        _note(journal, np.int64(_REFINERS), row * columns + point, np.int64(memory.refiners[row, point]))


@part
def _append(memory: Memory, lane: NDArray[np.int64], byte: Integer, style: Style, journal: Journal) -> None:
    """Do what ``adaptive`` does with a byte that is settled, and write down what the match models forget."""
    remember_byte(memory, lane, byte, style)
    for number in range(MATCHES):
        place = match_place(memory, lane, np.int64(number))
        _note(journal, np.int64(number), place, np.int64(memory.match_index[number, place]))
    follow_matches(memory, lane, byte)
    memory.now[HALF] = -1


@part
def _predict_bit(
    memory: Memory, constants: Tables, lane: NDArray[np.int64], letter: Integer, style: Style, journal: Journal
) -> Integer:
    """Predict a bit, and write down what predicting and learning it will change."""
    half = np.int64(16) | letter >> 4 if memory.now[BIT_NUMBER] >= 4 else np.int64(0)
    if memory.now[HALF] < 0:
        set_contexts(memory, lane, style)
    if memory.now[HALF] != half:
        _note_slots(memory, journal, half)
    probability = predict_bit(memory, constants, lane, letter, style)
    _note_refiners(memory, journal)
    return probability


@part
def _add_cost(journal: Journal, wanted: Integer, node: Integer, probability: Integer) -> Integer:
    bit = np.int64(1) if wanted > node else np.int64(0)
    chance = probability if bit else (np.int64(1) << ONE_BITS) - probability
    journal.cost[0] += ONE_BITS - np.log2(np.float64(chance))
    return bit


_try_token = make_token_coder(_append, _predict_bit, _add_cost)


@part
def _put_back(memory: Memory, journal: Journal) -> None:
    for at in range(journal.used[0] - 1, -1, -1):
        for index in range(_PAIR):
            memory.slots[journal.pairs[at] + index] = journal.slots[at, index]
    columns = memory.refiners.shape[1]
    for at in range(journal.used[1] - 1, -1, -1):
        which, place, value = journal.places[at, 0], journal.places[at, 1], journal.values[at]
        if which == _REFINERS:
            memory.refiners[place // columns, place % columns] = value
        else:
            memory.match_index[which, place] = value
    journal.used[:] = 0


@entry_from("zipllm.mixing", "zipllm.coder.fused")
def _try_tokens(
    memory: Memory,
    constants: Tables,
    vocabulary: Vocabulary,
    tokens: NDArray[np.int32],
    cumulative: NDArray[np.int32],
    style: Style,
    journal: Journal,
) -> float:
    """Return the bits of all tokens, or a failure; the large arrays are as before."""
    bits = 0.0
    lane = memory.registers[0]
    for step in range(tokens.size):
        row = cumulative[step % cumulative.shape[0]]
        journal.cost[0] = 0.0
        wanted = np.int64(tokens[step])
        token = _try_token(memory, constants, vocabulary, lane, row, False, style, wanted, journal)
        if token < 0:
            bits = float(token)
            break
        bits += journal.cost[0]
    _put_back(memory, journal)
    return bits
