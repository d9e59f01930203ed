"""What every tokenizer promises.

The vocabulary is sorted by byte string and holds all 256 single bytes. Sorting makes the tokens that
share a prefix one contiguous range of ids (``zipllm.mixing.decisions`` builds on that); the single
bytes make every byte string encodable. Decoding is joining the tokens' bytes, so it is lossless by
construction, whatever ``encode`` chose.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_TOKEN_BYTES = 256


class LosslessTokenizer(Protocol):
    """Maps bytes to token ids; the inverse is the concatenation of the tokens' bytes."""

    @property
    def vocabulary(self) -> tuple[bytes, ...]:
        """Byte string of every token id, in ascending order."""

    def encode(self, data: bytes) -> NDArray[np.int32]:
        """Return ids ``[n]`` whose tokens join to ``data``; empty for empty input."""

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        """Return what ``encode`` gives for each piece; faster, as several threads may work on it."""

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the joined bytes of ``ids``. Raises ``IndexError`` for an id outside the vocabulary."""


class Tokenizer(LosslessTokenizer, Protocol):
    """A tokenizer that a model file can hold."""

    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description from which ``tokenizer_from_dict`` restores an equal tokenizer."""


def check_vocabulary(vocabulary: Sequence[bytes]) -> None:
    """Refuse a vocabulary that is not sorted, distinct, bounded and total.

    Raises:
        ValueError: what is wrong.
    """
    if any(left >= right for left, right in pairwise(vocabulary)):
        raise ValueError("vocabulary is not strictly ascending by byte string")
    if any(not 1 <= len(token) <= MAX_TOKEN_BYTES for token in vocabulary):
        raise ValueError(f"a token is empty or longer than {MAX_TOKEN_BYTES} bytes")
    if sum(len(token) == 1 for token in vocabulary) != 256:
        raise ValueError("vocabulary does not hold all 256 single bytes")
