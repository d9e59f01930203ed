"""Training windows drawn from token files; one counter per source gives the next window, so a run can resume.

Each source is one flat file of little-endian uint16 token ids, memory-mapped. The next window comes from the source
furthest behind its share. Inside a source, windows come in a seeded random order without replacement, and every pass
shifts the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOKEN_DTYPE = np.dtype("<u2")


@dataclass(frozen=True)
class TokenSource:
    """One token file: name for reports, ids ``[n]``, and its relative share of the windows, above zero."""

    name: str
    tokens: NDArray[np.uint16]
    weight: float


def open_tokens(path: Path) -> NDArray[np.uint16]:
    """Memory-map a token file read-only. Raises ``ValueError`` when it is empty or has an odd length."""
    size = path.stat().st_size
    if size == 0 or size % TOKEN_DTYPE.itemsize:
        raise ValueError(f"{path} is not a file of 16-bit token ids")
    return np.memmap(path, dtype=TOKEN_DTYPE, mode="r")


class WindowSampler:
    """Draws batches of windows ``[batch, length]`` of token ids, in the order of a seed.

    Raises:
        ValueError: no source, a source of fewer than ``length`` tokens, or a weight that is not positive.
    """

    def __init__(self, sources: Sequence[TokenSource], length: int, seed: int) -> None:
        if not sources:
            raise ValueError("no training data")
        for source in sources:
            if len(source.tokens) < length:
                raise ValueError(f"{source.name} has {len(source.tokens)} tokens, fewer than one window of {length}")
            if not source.weight > 0:
                raise ValueError(f"{source.name} has weight {source.weight}; weights must be above zero")
        self._sources = tuple(sources)
        self._length = length
        self._seed = seed
        total = sum(source.weight for source in sources)
        self._share = np.array([source.weight / total for source in sources])
        self._drawn = np.zeros(len(sources), dtype=np.int64)
        self._order: dict[int, tuple[int, NDArray[np.int64]]] = {}

    @property
    def sources(self) -> tuple[TokenSource, ...]:
        """The token files."""
        return self._sources

    @property
    def position(self) -> list[int]:
        """Windows drawn from each source so far; assign it to continue a run."""
        return [int(count) for count in self._drawn]

    @position.setter
    def position(self, drawn: Sequence[int]) -> None:
        if len(drawn) != len(self._sources) or any(count < 0 for count in drawn):
            raise ValueError(f"position must hold {len(self._sources)} counts")
        self._drawn = np.array(drawn, dtype=np.int64)

    def batch(self, size: int) -> NDArray[np.int64]:
        """Return the next ``size`` windows as int64 ``[size, length]``."""
        return np.stack([self._next() for _ in range(size)])

    def _next(self) -> NDArray[np.int64]:
        behind = self._share * (self._drawn.sum() + 1) - self._drawn
        index = int(np.argmax(behind))
        tokens = self._sources[index].tokens
        start = self._window_start(index, int(self._drawn[index]))
        self._drawn[index] += 1
        return tokens[start : start + self._length].astype(np.int64)

    def _window_start(self, index: int, count: int) -> int:
        """Return the start of the ``count``-th window of a source; each pass permutes a shifted grid."""
        size = len(self._sources[index].tokens)
        grid = max(1, (size - self._length) // self._length)
        epoch, nth = divmod(count, grid)
        if self._order.get(index, (-1, None))[0] != epoch:
            generator = np.random.default_rng([self._seed, index, epoch])
            shift = int(generator.integers(0, size - grid * self._length + 1))
            self._order[index] = (epoch, shift + self._length * generator.permutation(grid))
        return int(self._order[index][1][nth])
