"""The lanes of a block, decoded step by step until the bytes of each are complete.

Where the tokens of a step are coded one after the other, neighboring lanes form groups, each with a thread: while
one group's tokens are decoded, the other groups predict. Decoding keeps the format's order. Few lanes form one group,
which guesses tokens (``guessing``).
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import Decoder, Integers
from zipllm.codec.block.guessing import MOST_LANES, Guesser
from zipllm.codec.block.lane_groups import cut
from zipllm.codec.threads.turns import Turns
from zipllm.errors import CorruptData
from zipllm.predictor.base import Predictor, Rewinding
from zipllm.progress import Advance

_REPORT_STEPS = 64
"""Steps between two reports of progress."""


class DecodedLanes:
    """Collects tokens.

    Attributes:
        lengths: int64 ``[V]``, bytes of each token.
        ids: int32 ``[sizes.sum()]``, -1 where no token is; each lane's tokens start at the offset of its bytes.
        starts: int64 ``[lanes]``, those offsets.
        counts: int64 ``[lanes]``, number of tokens of each complete lane.
        left: int64 ``[lanes]``, bytes still missing.
    """

    def __init__(self, vocabulary: tuple[bytes, ...], sizes: NDArray[np.int64]) -> None:
        self.lengths = np.array([len(token) for token in vocabulary], dtype=np.int64)
        self.starts = np.cumsum(sizes) - sizes
        self.ids = np.full(int(sizes.sum()), -1, dtype=np.int32)  # enough, since a token has at least one byte
        self.counts = np.zeros_like(sizes)
        self.left = sizes.copy()

    def append(self, lanes: Integers, tokens: Integers, step: int) -> NDArray[np.bool_]:
        """Add tokens int32 ``[n, steps]`` of some lanes, the first of them ``step``; return which lanes go on.

        Raises:
            CorruptData: a token overruns its lane.
        """
        left = self.left[lanes] - self.lengths[tokens].sum(axis=1)
        if (left < 0).any():
            raise CorruptData("the payload of a model-coded block decodes to a token that overruns its lane")
        self.ids[self.starts[lanes, None] + np.arange(step, step + tokens.shape[1])] = tokens
        self.left[lanes] = left
        unfinished: NDArray[np.bool_] = left > 0
        self.counts[lanes[~unfinished]] = step + tokens.shape[1]
        return unfinished


class _Group:
    """Some neighboring lanes: a worker of ``Turns``. Only a group that has all lanes guesses."""

    def __init__(self, predictor: Predictor, coder: Decoder, decoded: DecodedLanes, edges: tuple[int, int], own: bool):
        self._first, end = edges
        lanes = end - self._first
        self._predictor = predictor
        self._state = predictor.start(lanes)
        self._own = own
        self._coder = coder
        self._decoded = decoded
        self._lanes = np.arange(lanes, dtype=np.int32)
        self._fed = np.full((lanes, 1), predictor.start_token, dtype=np.int32)
        self._room = np.empty((lanes, 1, len(predictor.vocabulary) + 1), dtype=np.int32) if own else None
        self._cumulative: Integers = np.empty((0, 0, 0), dtype=np.int32)
        self._rewinding = predictor if isinstance(predictor, Rewinding) else None
        guesses = self._rewinding is not None and lanes <= MOST_LANES and not own
        self._guesser = Guesser(decoded.ids, lanes) if guesses else None
        self._new = 0
        self.step = 0

    def prepare(self) -> None:
        """Predict what follows in each lane, and behind guesses of that."""
        if self._guesser is not None:
            front = self._decoded.starts[self._lanes] + self.step
            left = self._decoded.left[self._lanes]
            guesses = self._guesser.guess(self._lanes, front, self._new, left, self._decoded.lengths)
            self._fed = np.concatenate([self._fed, guesses], axis=1)
        room = None if self._room is None else self._room[: self._lanes.size]
        threads = 1 if self._own else self._predictor.traits.threads  # more once compiled code has taken over
        self._cumulative = self._predictor.predict(self._state, self._fed, self._lanes, out=room, threads=threads)

    def take_turn(self) -> bool:
        """Decode tokens of each lane; return whether any lane goes on."""
        tokens = self._coder.decode(self._cumulative, self._lanes + np.int32(self._first), self._fed[:, 1:])
        self._new = tokens.shape[1]
        if self._rewinding is not None and self._new < self._fed.shape[1]:
            self._rewinding.rewind(self._state, self._lanes, self._fed.shape[1] - self._new)
        unfinished = self._decoded.append(self._lanes + np.int32(self._first), tokens, self.step)
        self._fed, self._lanes = tokens[unfinished, -1:], self._lanes[unfinished]
        self.step += self._new
        return bool(self._lanes.size)


def decode_lanes(
    predictor: Predictor, coder: Decoder, sizes: NDArray[np.int64], advance: Advance | None
) -> DecodedLanes:
    """Decode all lanes until the bytes of each (``sizes``, int64 ``[lanes]``) are complete.

    Raises:
        CorruptData: a token overruns its lane, or the payload is not exactly what was decoded.
    """
    decoded = DecodedLanes(predictor.vocabulary, sizes)
    edges = cut(len(sizes), predictor.traits.threads) if coder.by_lane else [(0, len(sizes))]
    groups = [_Group(predictor, coder, decoded, pair, own=len(edges) > 1) for pair in edges]

    reported = 0

    def report() -> None:
        nonlocal reported
        coder.check_length()
        step = max(group.step for group in groups)
        if advance is not None and step >= reported + _REPORT_STEPS:
            reported = step
            advance(1 - int(decoded.left.sum()) / decoded.ids.size, coder.read_bytes())

    Turns(groups).run(report)
    if not coder.at_end():
        raise CorruptData("the payload of a model-coded block has other words than its content")
    return decoded
