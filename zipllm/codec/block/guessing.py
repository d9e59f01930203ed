"""Guesses what comes next in some lanes: the tokens that followed the longest match.

A decoder that guesses can ask the model about several tokens at once, and keeps what it decodes up to the first wrong
guess: speculative decoding (Leviathan, Kalman and Matias, "Fast inference from transformers via speculative decoding",
2023) by lookup (Saxena, "Prompt lookup decoding", 2023). Guesses are no part of the format: they change no byte.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import Integer, compiled

MOST_LANES = 7
"""Lanes go step by step together, so one wrong guess stops them all: more lanes are not worth guessing for."""

MOST_GUESSES = 31
"""Longest guess."""

LEAST_CHANCE = 0.5
"""Guesses go on while they are right with this probability: about what a row of a pass costs, in steps."""

_ORDERS = np.array([12, 5, 2])
"""Lengths of the contexts that are looked up, in tokens."""

_LOOKED_BACK = 64
"""A match is measured up to this length when it is found."""

_LEAST_BITS, _MOST_BITS = 10, 20
_CLASSES = 16
"""Match lengths are told apart by their powers of two."""

_RATE = 0.02
"""How far one guess moves the trust in its class."""

_SOURCE, _LENGTH, _PROPOSED = 0, 1, 2

Integers = NDArray[np.int32]
Longs = NDArray[np.int64]


class Guesser:
    """Guesses for lanes that are decoded step by step together.

    Args:
        ids: int32, the tokens of all lanes as far as they are decoded, -1 elsewhere.
        lanes: how many there are.
    """

    def __init__(self, ids: Integers, lanes: int) -> None:
        self._ids = ids
        bits = min(max(_LEAST_BITS, ids.size.bit_length() - 1), _MOST_BITS)
        self._index = np.full((_ORDERS.size, 1 << bits), -1, dtype=np.int32)
        self._matches = np.full((lanes, 3), -1, dtype=np.int64)
        self._trust = 1 - 0.5 / np.arange(1, _CLASSES + 1)
        self._guesses = np.zeros((lanes, MOST_GUESSES), dtype=np.int32)

    def guess(self, lanes: Integers, front: Longs, new: int, left: Longs, lengths: Longs) -> Integers:
        """Return guesses for some lanes, int32 ``[n, k]``; k may be 0.

        Args:
            lanes: their numbers, ``[n]``.
            front: where the next token of each will be in ``ids``, ``[n]``.
            new: how many tokens before that were not there at the last call.
            left: bytes that each lane still lacks, ``[n]``; guesses have fewer.
            lengths: bytes of each token of the vocabulary.
        """
        there = lanes.astype(np.int64)
        states = (self._index, self._matches, self._trust, self._guesses)
        count = int(_next_guesses(self._ids, *states, there, front, new, left, lengths))
        return self._guesses[lanes, :count]


@compiled
def _next_guesses(
    ids: Integers,
    index: Integers,
    matches: Longs,
    trust: NDArray[np.float64],
    guesses: Integers,
    lanes: Longs,
    front: Longs,
    new: int,
    left: Longs,
    lengths: Longs,
) -> int:
    """Learn from the new tokens, fill ``guesses`` and return how many of each lane to make; see ``Guesser.guess``."""
    for row in range(lanes.size):
        match = matches[lanes[row]]
        _learn(ids, match, trust, guesses[lanes[row]], front[row], new)
        for place in range(front[row] - new + 1, front[row]):
            _remember(ids, index, place)
        if match[_SOURCE] < 0 or match[_LENGTH] < _LOOKED_BACK:
            _look_up(ids, index, match, front[row])
        _remember(ids, index, front[row])
        _propose(ids, match, guesses[lanes[row]], front[row], left[row], lengths)
    count, chance = 0, 1.0
    while True:
        for row in range(lanes.size):
            match = matches[lanes[row]]
            chance *= trust[_class(match[_LENGTH] + count)] if count < match[_PROPOSED] else 0.0
        if chance < LEAST_CHANCE:
            return count
        count += 1


@compiled
def _learn(
    ids: Integers, match: Longs, trust: NDArray[np.float64], guesses: Integers, front: Integer, new: Integer
) -> None:
    """Compare what was proposed with what came; the match goes on if its last token was right."""
    begin = front - new
    for number in range(min(match[_PROPOSED], new)):
        right = guesses[number] == ids[begin + number]
        kind = _class(match[_LENGTH] + number)
        trust[kind] += _RATE * ((1.0 if right else 0.0) - trust[kind])
        if not right:
            break
    if match[_SOURCE] >= 0:
        if new > 0 and ids[match[_SOURCE] + new - 1] == ids[front - 1]:
            match[_SOURCE] += new
            match[_LENGTH] += new
        elif new > 0:
            match[_SOURCE] = -1


@compiled
def _look_up(ids: Integers, index: Integers, match: Longs, front: Integer) -> None:
    """Take the longest of the matches in the index, unless the current one is as long."""
    longest = match[_LENGTH] if match[_SOURCE] >= 0 else 0
    for order in range(index.shape[0]):
        source = index[order, _hash(ids, front - _ORDERS[order], front) % index.shape[1]]
        length = 0
        while length < _LOOKED_BACK and source > length and ids[source - 1 - length] == ids[front - 1 - length]:
            length += 1
        if length > longest:
            match[_SOURCE], match[_LENGTH], longest = source, length, length


@compiled
def _propose(ids: Integers, match: Longs, guesses: Integers, front: Integer, left: Integer, lengths: Longs) -> None:
    """Copy what followed the match, into the lane itself while copying, so that repetition goes on."""
    count = 0
    while match[_SOURCE] >= 0 and count < guesses.size and front + count < ids.size:
        token = ids[match[_SOURCE] + count]
        if token < 0 or lengths[token] >= left:
            break
        left -= lengths[token]
        guesses[count] = ids[front + count] = token
        count += 1
    for place in range(front, front + count):
        ids[place] = -1
    match[_PROPOSED] = count


@compiled
def _remember(ids: Integers, index: Integers, place: Integer) -> None:
    """Let the tokens before a place lead to it."""
    for order in range(index.shape[0]):
        index[order, _hash(ids, place - _ORDERS[order], place) % index.shape[1]] = place


@compiled
def _hash(ids: Integers, begin: Integer, end: Integer) -> Integer:
    value = np.int64(0)
    for place in range(max(begin, 0), end):
        value = (value * 1000003 + np.int64(ids[place]) + 2) & 0xFFFFFFFFFF
    return (value ^ (value >> 17)) * 40503 >> 7


@compiled
def _class(length: Integer) -> Integer:
    """Return the class of a match length."""
    found = 0
    while length > 1 and found < _CLASSES - 1:
        length >>= 1
        found += 1
    return found
