"""The cost of texts behind a class's texts, coded by zipllm's history, its Transformer, or both.

The class's texts are coded once, in one lane, and every text is measured from that state: a batch of texts gets copies
of the Transformer's state, and the history's state is restored after each text (``mixing.trial``). So the cost equals
the growth of an archive of the class's texts with this one text at its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipllm.classify.continued import Advance
from zipllm.codec.block.coding import AdaptiveEncoder, Predicted
from zipllm.codec.block.lane_groups import chunk_steps
from zipllm.codec.block.setup import TEXT_STYLE, BlockSetup, coding_parameters
from zipllm.container.block import LEAN_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import UsageError
from zipllm.mixing.predictions import NO_MODEL, Predictions
from zipllm.mixing.trial import Trial
from zipllm.predictor.base import State

_ROWS = 1024
"""Tokens to predict at once: enough to fill a processor, few enough for the memory of their frequencies."""
_SEEN = 1 << 16
"""Bytes before a text to feed a model without a history, which looks back layers * window tokens (1536 for ours)."""


@dataclass(frozen=True)
class Priming:
    """The predictors that learn a class's texts.

    Attributes:
        engine: the model; None for the history alone.
        history_bits: the history has up to ``2**history_bits`` slots of 32 bytes; None for the model alone.
    """

    engine: Engine | None
    history_bits: int | None

    def __post_init__(self) -> None:
        if self.engine is None and self.history_bits is None:
            raise UsageError("without a model and without a history nothing predicts")
        if self.engine is not None and not self.engine.predictor.traits.copies:
            raise UsageError("the state of this model cannot be copied, so it cannot be primed for many texts")


class PrimedClass:
    """The state after coding one class's texts.

    Args:
        priming: model and history.
        content: the class's texts, joined; at least one byte.
        longest: bytes of the longest text to measure.
    """

    def __init__(self, priming: Priming, content: bytes, longest: int) -> None:
        self._engine = priming.engine
        self._state: State = None
        self._last = -1
        self._trial: Trial | None = None
        if priming.history_bits is None:
            self._learn(content, None)
            return
        parameters = coding_parameters(len(content), 1, TEXT_STYLE, priming.history_bits, mixer=LEAN_MIXER)
        setup = BlockSetup(priming.engine, len(content) + longest, parameters)
        coder = setup.adaptive_encoder()
        self._learn(content, coder)
        self._trial = Trial(coder.memory, setup.vocabulary, TEXT_STYLE)

    def bits(self, texts: Sequence[bytes], advance: Advance) -> NDArray[np.float64]:
        """Return the cost of each text in bits, float64 ``[texts]``.

        Args:
            texts: none longer than ``longest``.
            advance: called with the fraction of the texts that are done.
        """
        found = np.zeros(len(texts))
        for done, (index, tokens, cumulative) in enumerate(self._predicted(texts), 1):
            if self._trial is not None:
                found[index] = self._trial.bits(tokens, cumulative)
            else:
                assert self._engine is not None, "without a history there is a model"
                rows = np.arange(len(tokens))
                share = cumulative[rows, tokens + 1].astype(np.int64) - cumulative[rows, tokens]
                found[index] = self._engine.predictor.precision * len(tokens) - float(np.log2(share).sum())
            advance(done / len(texts))
        return found

    def _learn(self, content: bytes, coder: AdaptiveEncoder | None) -> None:
        one, count = np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.int64)
        if self._engine is None:
            assert coder is not None, "something predicts"
            tokens = _bytes(content)[None]
            coder.encode(Predicted(one, count * tokens.size, tokens, NO_MODEL))
            return
        predictor = self._engine.predictor
        if coder is None:
            content = content[-_SEEN:]
        tokens = self._engine.tokenizer.encode(content)[None].astype(np.int32)
        fed = np.concatenate(([[predictor.start_token]], tokens), axis=1).astype(np.int32)
        self._state, self._last = predictor.start(1), int(fed[0, -1])
        steps = chunk_steps(self._engine, 1)
        for begin in range(0, tokens.size, steps):
            here = slice(begin, min(begin + steps, tokens.size))
            cumulative = predictor.predict(self._state, fed[:, here], one, threads=predictor.traits.threads)
            if coder is not None:
                coder.encode(Predicted(one, count * (here.stop - here.start), tokens[:, here], Predictions(cumulative)))

    def _predicted(self, texts: Sequence[bytes]) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.int32]]]:
        """Yield the number of each text, its tokens int32 ``[n]``, and their frequencies int32 ``[n, V + 1]``."""
        if self._engine is None:
            yield from ((index, _bytes(text), NO_MODEL.cumulative[0]) for index, text in enumerate(texts))
            return
        predictor = self._engine.predictor
        tokens = [self._engine.tokenizer.encode(text).astype(np.int32) for text in texts]
        for batch in _batches([len(ids) for ids in tokens], min(_ROWS, chunk_steps(self._engine, 1))):
            longest = len(tokens[batch[-1]])
            if not longest:
                yield from ((index, tokens[index], np.zeros((0, 0), dtype=np.int32)) for index in batch)
                continue
            fed = np.zeros((len(batch), longest), dtype=np.int32)
            for row, index in zip(fed, batch, strict=True):
                row[:1] = self._last
                row[1 : len(tokens[index])] = tokens[index][:-1]
            state, lanes = predictor.copy(self._state, len(batch)), np.arange(len(batch), dtype=np.int32)
            cumulative = predictor.predict(state, fed, lanes, threads=predictor.traits.threads)
            for place, index in enumerate(batch):
                yield index, tokens[index], cumulative[place, : len(tokens[index])]


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield batches of texts by number, shortest texts first; padded, a batch has at most ``most`` tokens."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _bytes(content: bytes) -> NDArray[np.int32]:
    return np.frombuffer(content, dtype=np.uint8).astype(np.int32)
