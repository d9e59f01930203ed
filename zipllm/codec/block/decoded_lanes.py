"""The lanes of a block, decoded step by step until the bytes of each are complete.

Where the tokens of a step are coded one after the other, neighboring lanes form groups, each with a thread: while
one group's tokens are decoded, the other groups predict. Decoding keeps the format's order.
"""

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import Decoder, Integers
from zipllm.codec.block.lane_groups import cut
from zipllm.codec.threads.turns import Turns
from zipllm.errors import CorruptData
from zipllm.predictor.base import Predictor
from zipllm.progress import Advance

_REPORT_STEPS = 64
"""Steps between two reports of progress."""


class DecodedLanes:
    """Collects tokens.

    Attributes:
        ids: int32 ``[sizes.sum()]``; each lane's tokens start at the offset of its bytes.
        counts: int64 ``[lanes]``, number of tokens of each complete lane.
        left: int64 ``[lanes]``, bytes still missing.
    """

    def __init__(self, vocabulary: tuple[bytes, ...], sizes: NDArray[np.int64]) -> None:
        self._lengths = np.array([len(token) for token in vocabulary], dtype=np.int64)
        self._starts = np.cumsum(sizes) - sizes
        self.ids = np.zeros(int(sizes.sum()), dtype=np.int32)  # enough, since a token has at least one byte
        self.counts = np.zeros_like(sizes)
        self.left = sizes.copy()

    def append(self, lanes: Integers, tokens: Integers, step: int) -> NDArray[np.bool_]:
        """Add token ``step`` of some lanes; return which of the lanes go on.

        Raises:
            CorruptData: a token overruns its lane.
        """
        self.ids[self._starts[lanes] + step] = tokens
        left = self.left[lanes] - self._lengths[tokens]
        self.left[lanes] = left
        unfinished: NDArray[np.bool_] = left > 0
        if not unfinished.all():
            if (left < 0).any():
                raise CorruptData("the payload of a model-coded block decodes to a token that overruns its lane")
            self.counts[lanes[~unfinished]] = step + 1
        return unfinished


class _Group:
    """Some neighboring lanes: a worker of ``Turns``."""

    def __init__(self, predictor: Predictor, coder: Decoder, decoded: DecodedLanes, edges: tuple[int, int], own: bool):
        self._first, end = edges
        lanes = end - self._first
        self._predictor = predictor
        self._state = predictor.start(lanes)
        self._threads = 1 if own else predictor.traits.threads
        self._coder = coder
        self._decoded = decoded
        self._lanes = np.arange(lanes, dtype=np.int32)
        self._tokens = np.full(lanes, predictor.start_token, dtype=np.int32)
        self._room = np.empty((lanes, 1, len(predictor.vocabulary) + 1), dtype=np.int32) if own else None
        self._cumulative: Integers = np.empty((0, 0), dtype=np.int32)
        self.step = 0

    def prepare(self) -> None:
        """Predict what follows in each lane."""
        room = None if self._room is None else self._room[: self._lanes.size]
        self._cumulative = self._predictor.predict(
            self._state, self._tokens[:, None], self._lanes, out=room, threads=self._threads
        )[:, 0]

    def take_turn(self) -> bool:
        """Decode a token of each lane; return whether any lane goes on."""
        lanes = self._lanes + np.int32(self._first)
        tokens = self._coder.decode(self._cumulative, lanes)
        unfinished = self._decoded.append(lanes, tokens, self.step)
        self._tokens, self._lanes = tokens[unfinished], self._lanes[unfinished]
        self.step += 1
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

    def report() -> None:
        coder.check_length()
        if advance is not None and max(group.step for group in groups) % _REPORT_STEPS == 0:
            advance(1 - int(decoded.left.sum()) / decoded.ids.size, coder.read_bytes())

    Turns(groups).run(report)
    if not coder.at_end():
        raise CorruptData("the payload of a model-coded block has other words than its content")
    return decoded
