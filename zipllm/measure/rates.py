"""Bits per byte, token, character and word of data under a model, computed without coding it.

Blocks, lanes, start token, window and integer frequencies are the encoder's own (``zipllm.codec.block.lane_groups``).
The result is the size of the payloads that the model alone would give, but for a few bytes per block that the range
coder adds to the sum of ``-log2`` of the probabilities.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from zipllm.codec.block.coding import Predicted
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.codec.block.setup import BlockSetup, coding_parameters, lanes_for
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container.streams import Readable, read_up_to
from zipllm.data.text import TextCounter
from zipllm.engine.engine import Engine
from zipllm.progress import Progress, ProgressCallback, Summary

_LARGEST_EXPONENT = 1023
"""``2**1024`` overflows a float."""


@dataclass(frozen=True)
class Evaluation:
    """The cost of some data, and the counts that rates divide it by. A rate is None if its count is 0.

    Attributes:
        raw_bytes: size of the data.
        characters, words, valid_utf8: see ``zipllm.data.text``.
        tokens: number of tokens that the model predicts.
        blocks: number of blocks.
        lanes: of all blocks together; each starts with an empty context.
        bits: the sum of ``-log2`` of the probability of every token.
    """

    raw_bytes: int
    characters: int
    words: int
    valid_utf8: bool
    tokens: int
    blocks: int
    lanes: int
    bits: float

    @property
    def bits_per_token(self) -> float | None:
        """Cross-entropy in bits."""
        return self._per(self.tokens)

    @property
    def nats_per_token(self) -> float | None:
        """Cross-entropy in nats: the loss that training shows."""
        rate = self._per(self.tokens)
        return None if rate is None else rate * math.log(2)

    @property
    def bits_per_byte(self) -> float | None:
        """Comparable between tokenizers."""
        return self._per(self.raw_bytes)

    @property
    def bits_per_character(self) -> float | None:
        """Comparable between tokenizers and encodings."""
        return self._per(self.characters)

    @property
    def perplexity(self) -> float | None:
        """Per token: ``2 ** bits_per_token``."""
        return _power(self.bits_per_token)

    @property
    def byte_perplexity(self) -> float | None:
        """Per byte."""
        return _power(self.bits_per_byte)

    @property
    def word_perplexity(self) -> float | None:
        """Per word of the original text, comparable between tokenizers; None also if too large for a float."""
        return _power(self._per(self.words))

    def _per(self, count: int) -> float | None:
        return self.bits / count if count else None


def total(evaluations: Iterable[Evaluation]) -> Evaluation:
    """Return the sum, whose rates weigh every byte, token or word equally."""
    parts = list(evaluations)
    return Evaluation(
        raw_bytes=sum(part.raw_bytes for part in parts),
        characters=sum(part.characters for part in parts),
        words=sum(part.words for part in parts),
        valid_utf8=all(part.valid_utf8 for part in parts),
        tokens=sum(part.tokens for part in parts),
        blocks=sum(part.blocks for part in parts),
        lanes=sum(part.lanes for part in parts),
        bits=math.fsum(part.bits for part in parts),
    )


def evaluate_stream(
    source: Readable, engine: Engine, options: EncodeOptions, progress: ProgressCallback | None = None
) -> Evaluation:
    """Evaluate a model on everything in ``source``. Memory is bounded by the block.

    Of the options only ``block_size``, ``lanes`` and ``max_lanes`` matter; they decide the context.

    Raises:
        LimitExceeded: the lanes take more than ``MAX_STATE_BYTES``.
    """
    counter = TextCounter()
    raw_bytes = tokens = blocks = lanes = 0
    bits = 0.0
    while block := read_up_to(source, options.block_size):
        counter.update(block)
        block_lanes = lanes_for(engine, len(block), options.lanes, options.max_lanes)
        parameters = coding_parameters(len(block), block_lanes, None, None, engine.predictor.precision)
        ids = BlockSetup(engine, len(block), parameters).tokens(block)
        for chunk in predicted_chunks(engine, ids, whole=True):
            bits += _cost(chunk, engine.predictor.precision)
            if progress is not None:
                done = raw_bytes + chunk.done * len(block)
                progress(Progress("encode", done, int(done), int(bits / 8)))
        raw_bytes += len(block)
        tokens += sum(map(len, ids))
        blocks += 1
        lanes += block_lanes
    text = counter.finish()
    return Evaluation(raw_bytes, text.characters, text.words, text.valid_utf8, tokens, blocks, lanes, bits)


def archive_summary(
    source: Readable, engine: Engine, options: EncodeOptions, progress: ProgressCallback | None = None
) -> Summary:
    """Compress everything in ``source`` and discard the archive; arguments and errors as ``compress_stream``."""
    return compress_stream(source, _Nowhere(), engine=engine, options=options, progress=progress)


class _Nowhere:
    """A sink that discards everything."""

    def write(self, data: bytes, /) -> int:
        return len(data)


def _cost(chunk: Predicted, precision: int) -> float:
    """Return the cost of the tokens of a chunk in bits."""
    lanes, steps = np.nonzero(np.arange(chunk.tokens.shape[1]) < chunk.counts[:, np.newaxis])
    tokens = chunk.tokens[lanes, steps]
    below, above, first, last = (chunk.predictions.cumulative[lanes, steps, at] for at in (tokens, tokens + 1, 0, -1))
    if first.any() or (last != 1 << precision).any() or (above <= below).any():
        raise ValueError("frequencies are not positive or do not sum to their precision: the predictor is broken")
    return precision * tokens.size - float(np.log2((above - below).astype(np.float64)).sum())


def _power(exponent: float | None) -> float | None:
    return None if exponent is None or exponent > _LARGEST_EXPONENT else 2.0**exponent
