"""The tokens of a block's lanes as they are decoded, until the bytes of each lane are complete."""

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import CorruptData

Integers = NDArray[np.int32]


class DecodedLanes:
    """Collects tokens.

    Args:
        vocabulary: the bytes of each token.
        sizes: int64 ``[lanes]``, bytes of each lane.

    Attributes:
        ids: int32 ``[sizes.sum()]``; each lane's begin where its bytes would.
        counts: int64 ``[lanes]``, tokens of the lanes that are complete.
        left: int64 ``[lanes]``, bytes that are missing.
    """

    def __init__(self, vocabulary: tuple[bytes, ...], sizes: NDArray[np.int64]) -> None:
        self._lengths = np.array([len(token) for token in vocabulary], dtype=np.int64)
        self._starts = np.cumsum(sizes) - sizes
        self.ids = np.zeros(int(sizes.sum()), dtype=np.int32)  # a token has a byte at least, so this is room enough
        self.counts = np.zeros_like(sizes)
        self.left = sizes.copy()

    def append(self, lanes: Integers, tokens: Integers, step: int) -> NDArray[np.bool_]:
        """Add token ``step`` of some lanes; return which of them go on.

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
