"""One token per byte: the smallest vocabulary, and the yardstick for the others."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class ByteTokenizer:
    """Token id = byte value."""

    name: ClassVar[str] = "byte"
    vocabulary: tuple[bytes, ...] = tuple(bytes([value]) for value in range(256))

    def encode(self, data: bytes) -> NDArray[np.int32]:
        return np.frombuffer(data, dtype=np.uint8).astype(np.int32)

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        return [self.encode(piece) for piece in pieces]

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join(self.vocabulary[token] for token in ids)

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name}

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "ByteTokenizer":
        """Raises ``ValueError`` when the description carries fields a byte tokenizer does not have."""
        if set(description) != {"type"}:
            raise ValueError("byte tokenizer takes no parameters")
        return cls()
