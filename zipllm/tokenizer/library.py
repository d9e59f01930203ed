"""Tokenizers whose tokens the ``tokenizers`` library finds."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.machine import start_thread, threads


class LibraryTokenizer:
    """What these tokenizers share: decoding, and the library's threads.

    Attributes:
        vocabulary: byte strings of the tokens, sorted.
    """

    vocabulary: tuple[bytes, ...]
    _library: Any
    _alone = False
    """Whether the library has failed to start threads, which it tells by a panic."""

    def encode(self, data: bytes) -> NDArray[np.int32]:
        return self.encode_all([data])[0]

    def encode_all(self, pieces: Sequence[bytes]) -> list[NDArray[np.int32]]:
        raise NotImplementedError

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join([self.vocabulary[token] for token in ids])

    def _encodings(self, texts: list[str]) -> list[Any]:
        """Encode texts by the library's threads, or by none where it cannot start them."""
        if not self._alone and threads() > 1 and start_thread(int) is not None:
            try:
                return self._library.encode_batch_fast(texts, add_special_tokens=False)  # type: ignore[no-any-return]
            except BaseException as error:
                if type(error).__name__ != "PanicException":
                    raise
                self._alone = True
        return [self._library.encode(text, add_special_tokens=False) for text in texts]
