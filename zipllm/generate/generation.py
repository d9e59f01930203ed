"""Text from a model: tokens drawn from its frequencies, or, equivalently, decoded from random bits.

A decoder turns ``-log2 p`` bits into a token of probability ``p``. All patterns of random bits are equally likely, so
the token comes out with probability ``2**(log2 p) = p``: decompressing random bits draws from the model. ``from_words``
does just that, with the range coder and the decisions of a model-coded block without history. Encoding the result gives
the same bits back.

The range coder drops ``range mod 2**24`` at each decision, so an encoder never writes some of the bits (about one
decision in 5000 meets them). The decoder then starts over with the next words, which changes no probability.
"""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.lane_groups import chunk_steps
from zipllm.codec.block.setup import check_memory
from zipllm.coder.fused import FusedDecoder
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, LimitExceeded
from zipllm.generate.sampling import RECENT, Randomness, Sampling, draw
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.decisions import Walk
from zipllm.mixing.predictions import Predictions

MOST_PROMPT = 256 << 10
"""Limit on a prompt in bytes; the model sees only the last few thousand."""

_STARTED = 2
"""Words that a decoder reads before its first decision."""
_SUPPLY = 1024

Words = Callable[[int], NDArray[np.uint32]]
"""Returns the next words of 32 bits: the number asked for, or fewer at the end."""


class Continuation:
    """A text that grows token by token.

    Args:
        engine: the model.
        prompt: the text so far; may be empty.

    Attributes:
        cumulative: int32 ``[V + 1]``, the model's frequencies of the next token.

    Raises:
        LimitExceeded: the prompt is too long, or the model needs too much memory.
    """

    def __init__(self, engine: Engine, prompt: bytes) -> None:
        if len(prompt) > MOST_PROMPT:
            raise LimitExceeded(f"a prompt may have {MOST_PROMPT >> 10} KiB, this one is longer")
        check_memory(engine, 1)
        self._predictor = engine.predictor
        self._state = engine.predictor.start(1)
        self._lane = np.zeros(1, dtype=np.int32)
        tokens = np.concatenate([[engine.predictor.start_token], engine.tokenizer.encode(prompt)]).astype(np.int32)
        steps = chunk_steps(engine, 1)
        for begin in range(0, tokens.size, steps):
            self._feed(tokens[begin : begin + steps])

    def add(self, token: int) -> None:
        """Append one token."""
        self._feed(np.array([token], dtype=np.int32))

    def _feed(self, tokens: NDArray[np.int32]) -> None:
        threads = self._predictor.traits.threads
        self.cumulative = self._predictor.predict(self._state, tokens[None], self._lane, threads=threads)[0, -1]


def sample(engine: Engine, prompt: bytes, sampling: Sampling) -> Iterator[int]:
    """Yield tokens without end, drawn as ``Sampling`` says; errors as in ``Continuation``."""
    text = Continuation(engine, prompt)
    recent = deque(engine.tokenizer.encode(prompt)[-RECENT:].tolist(), RECENT)
    randomness = Randomness(sampling.seed)
    while True:
        token = draw(sampling.weights(np.diff(text.cumulative).astype(np.int64), recent), randomness)
        yield token
        recent.append(token)
        text.add(token)


def from_words(engine: Engine, prompt: bytes, coder: "RandomBits") -> Iterator[int]:
    """Yield the tokens that random words decode to, until the words end; errors as in ``Continuation``."""
    text = Continuation(engine, prompt)
    while (token := coder.decode(engine.tree, text.cumulative)) is not None:
        yield token
        text.add(token)


class RandomBits:
    """The range decoder, fed with random words.

    Args:
        words: returns them.

    Attributes:
        restarts: how often the decoder had to start over.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._used = 0
        self.restarts = 0
        self._decoder = FusedDecoder(words(_SUPPLY))

    @property
    def bits(self) -> float:
        """Bits used by the decisions so far, including those lost at restarts."""
        return 32 * self._used + self._decoder.spent()

    def decode(self, tree: DecisionTree, cumulative: NDArray[np.int32]) -> int | None:
        """Return the next token, or None if the words end before it is decided."""
        walk = Walk(tree, Predictions(cumulative[None]))
        while walk.active.size:
            if not self._supplied():
                return None
            try:
                with np.errstate(over="ignore"):  # uint64 wraps on purpose
                    bits = self._decoder.decode(walk.probabilities())
            except CorruptData:
                self._restart()
                continue
            walk.advance(bits)
        return int(walk.tokens()[0])

    def _supplied(self) -> bool:
        """Fetch more words if needed; return whether the next decision depends on words alone.

        A decoder reads words ahead of the decisions that use them, and zeros past the end.
        """
        if self._decoder.position() >= self._decoder.words.size:
            self._decoder.words = np.concatenate([self._decoder.words, self._words(_SUPPLY)])
        return self._decoder.position() <= self._decoder.words.size

    def _restart(self) -> None:
        """Drop the words the decoder has read, and start over with the next ones."""
        position = self._decoder.position()
        left = self._decoder.words[position:]
        if left.size < _STARTED:
            left = np.concatenate([left, self._words(_SUPPLY)])
        self.restarts += 1
        self._used += position
        self._decoder = FusedDecoder(left)
