"""An LSTM over bytes that learns while it codes: the classical neural predictor, for the benchmark only.

One layer of long short-term memory (Hochreiter and Schmidhuber, 1997) and a softmax, trained after every ``SPAN``
bytes by truncated back-propagation through time with Adam (Kingma and Ba, 2015). It starts from a fixed seed and has
no weights file.

It computes in floats. Encoder and decoder do the same operations in the same order, one lane and one byte at a time,
so they agree on one machine with the same libraries, which is all a benchmark needs.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from zipllm.predictor.base import PRECISION, Integers, PredictOptions, Traits, delivered
from zipllm.predictor.ngram import cumulative_frequencies

CELLS = 96
SPAN = 16
"""Bytes between two updates, and the reach of back-propagation."""

_BYTES = 256
_RATE = 0.004
_SCALE = 1 << 22

Array = NDArray[np.float32]


@dataclass
class _Step:
    """Activations of one byte, kept for the backward pass."""

    inputs: Array
    gates: Array
    before: Array
    cells: Array
    hidden: Array
    chances: Array
    target: int = -1


@dataclass
class _Lane:
    """Weights and memory of one lane, and its steps since the last update."""

    weights: Array
    output: Array
    hidden: Array
    cells: Array
    steps: list[_Step] = field(default_factory=list)
    moments: list[Array] = field(default_factory=list)
    updates: int = 0

    @classmethod
    def new(cls) -> "_Lane":
        random = np.random.default_rng(0)
        inside = random.normal(0, 0.08, (4 * CELLS, _BYTES + CELLS + 1)).astype(np.float32)
        inside[CELLS : 2 * CELLS, -1] = 1.0  # forget gates start open
        output = random.normal(0, 0.08, (_BYTES, CELLS + 1)).astype(np.float32)
        moments = [np.zeros_like(array) for array in (inside, inside, output, output)]
        zero = np.zeros(CELLS, np.float32)
        return cls(inside, output, zero, zero, moments=moments)

    def feed(self, token: int) -> Array:
        """Take one byte, learn when a span is full, and return the chances of the next byte ``[256]``."""
        if self.steps:
            self.steps[-1].target = token
        if len(self.steps) == SPAN:
            self._learn()
        self.steps.append(self._forward(token))
        return self.steps[-1].chances

    def _forward(self, token: int) -> _Step:
        inputs = np.zeros(_BYTES + CELLS + 1, np.float32)
        if token < _BYTES:
            inputs[token] = 1.0
        inputs[_BYTES:-1] = self.hidden
        inputs[-1] = 1.0
        gates = self.weights @ inputs
        gates[: 3 * CELLS] = 1 / (1 + np.exp(-gates[: 3 * CELLS]))
        gates[3 * CELLS :] = np.tanh(gates[3 * CELLS :])
        into, forget, out, candidate = np.split(gates, 4)
        before = self.cells
        self.cells = forget * before + into * candidate
        self.hidden = out * np.tanh(self.cells)
        scores = self.output[:, :-1] @ self.hidden + self.output[:, -1]
        chances = np.exp(scores - scores.max())
        return _Step(inputs, gates, before, self.cells, self.hidden, chances / chances.sum())

    def _learn(self) -> None:
        inside, output = np.zeros_like(self.weights), np.zeros_like(self.output)
        back_hidden = np.zeros(CELLS, np.float32)
        back_cells = np.zeros(CELLS, np.float32)
        for step in reversed(self.steps):
            error = step.chances.copy()
            error[step.target] -= 1.0
            output[:, :-1] += np.outer(error, step.hidden)
            output[:, -1] += error
            back = self.output[:, :-1].T @ error + back_hidden
            into, forget, out, candidate = np.split(step.gates, 4)
            squashed = np.tanh(step.cells)
            back_cells = back_cells + back * out * (1 - squashed**2)
            delta = np.concatenate(
                [
                    back_cells * candidate * into * (1 - into),
                    back_cells * step.before * forget * (1 - forget),
                    back * squashed * out * (1 - out),
                    back_cells * into * (1 - candidate**2),
                ]
            )
            inside += np.outer(delta, step.inputs)
            back_hidden = (self.weights.T @ delta)[_BYTES:-1]
            back_cells = back_cells * forget
        self.steps.clear()
        self._adam([self.weights, self.output], [inside, output])

    def _adam(self, weights: list[Array], gradients: list[Array]) -> None:
        self.updates += 1
        rate = _RATE * np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for index, (array, gradient) in enumerate(zip(weights, gradients, strict=True)):
            np.clip(gradient, -2.0, 2.0, out=gradient)
            first, second = self.moments[2 * index : 2 * index + 2]
            first += (1 - 0.9) * (gradient - first)
            second += (1 - 0.999) * (gradient**2 - second)
            array -= (rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)


class LstmPredictor:
    """Predicts bytes; learns each lane as it goes."""

    vocabulary = tuple(bytes([value]) for value in range(_BYTES))
    precision = PRECISION
    start_token = _BYTES
    lane_bytes = 12 * (4 * CELLS * (_BYTES + CELLS + 1) + _BYTES * (CELLS + 1))
    traits = Traits(exact=False, copies=True)

    def start(self, lanes: int) -> list[_Lane]:
        return [_Lane.new() for _ in range(lanes)]

    def predict(self, state: list[_Lane], tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        scores = np.ones((*tokens.shape, _BYTES), dtype=np.int64)
        for row, index in enumerate(lanes.tolist()):
            for column, token in enumerate(tokens[row].tolist()):
                scores[row, column] += (state[index].feed(token) * _SCALE).astype(np.int64)
        return delivered(cumulative_frequencies(scores, self.precision), how)

    def copy(self, state: list[_Lane], lanes: int) -> list[_Lane]:
        return [deepcopy(state[0]) for _ in range(lanes)]
