"""How a block's tokens are coded once the model has spoken: as it says, or mixed with the block's own history."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import FusedDecoder, FusedEncoder, open_decoder, open_encoder
from zipllm.coder.range_coder import BitDecoder, BitEncoder
from zipllm.container import CodingParameters
from zipllm.engine.engine import Engine
from zipllm.mixing.adaptive import Chunk, decode_chunk, encode_chunk
from zipllm.mixing.contexts import TEXT, Style
from zipllm.mixing.decisions import chunk_decisions, decode_tokens
from zipllm.mixing.memory import Memory, new_memory
from zipllm.mixing.prior import load_prior
from zipllm.mixing.token_path import Vocabulary

_WORD_BYTES = 4

Integers = NDArray[np.int32]


class BlockEncoder(Protocol):
    """Codes the tokens of a block, chunk by chunk."""

    def encode(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> None:
        """Append some steps; shapes as in ``model_block.Predicted``."""

    def written_bytes(self) -> int:
        """About how many bytes of payload there are so far."""

    def finish(self) -> NDArray[np.uint32]:
        """Close the stream and return its words, uint32 ``[m]``."""


class Coder(Protocol):
    """Decodes the tokens of a block, step by step.

    Attributes:
        by_lane: whether a step's tokens are coded one after the other, so that some lanes can be decoded before the
            predictions for the next ones are known.
    """

    by_lane: bool

    def decode(self, cumulative: Integers, lanes: Integers) -> Integers:
        """Return a token for each lane, int32 ``[n]``; cumulative int32 ``[n, V + 1]``.

        Raises:
            CorruptData: the words are impossible.
        """

    def gives(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> bool:
        """Decode some steps, predicted as if ``tokens`` came; whether just those do. Arguments as when encoding.

        Raises:
            CorruptData: the words are impossible, or a token goes past its lane's end.
        """

    def read_bytes(self) -> int:
        """About how many bytes of payload were used so far."""

    def at_end(self) -> bool:
        """Whether the payload is exactly that of what was decoded."""


def open_block_encoder(engine: Engine, sizes: NDArray[np.int64], parameters: CodingParameters) -> BlockEncoder:
    """Return the encoder that a block's parameters ask for.

    Args:
        engine: the model.
        sizes: int64 ``[lanes]``, bytes of each lane.
        parameters: ``mixer`` decides.
    """
    if parameters.mixer:
        return AdaptiveEncoder(engine.vocabulary, block_memory(sizes, parameters, with_model=True), parameters)
    return StaticEncoder(engine)


def open_block_decoder(
    engine: Engine, sizes: NDArray[np.int64], parameters: CodingParameters, words: NDArray[np.uint32]
) -> Coder:
    """Return the decoder that a block's parameters ask for; arguments as ``open_block_encoder``, and the words."""
    if parameters.mixer:
        return AdaptiveDecoder(engine.vocabulary, block_memory(sizes, parameters, with_model=True), parameters, words)
    return StaticDecoder(engine, words)


def block_memory(sizes: NDArray[np.int64], parameters: CodingParameters, with_model: bool) -> Memory:
    """Return the memory with which a block begins: texts have a prior, with a model and without."""
    prior = load_prior("model" if with_model else "text") if parameters.family == TEXT else None
    return new_memory(sizes, parameters.history, prior)


class StaticEncoder:
    """Codes with the model's frequencies as they are."""

    def __init__(self, engine: Engine) -> None:
        self._tree = engine.tree
        self._encoder: BitEncoder = open_encoder()

    def encode(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> None:
        bits, probabilities = chunk_decisions(self._tree, cumulative, tokens, counts, selected)
        self._encoder.encode(bits, probabilities)

    def written_bytes(self) -> int:
        return _WORD_BYTES * self._encoder.position()

    def finish(self) -> NDArray[np.uint32]:
        return self._encoder.finish()


class StaticDecoder:
    """Undoes ``StaticEncoder``."""

    by_lane = False

    def __init__(self, engine: Engine, words: NDArray[np.uint32]) -> None:
        self._tree = engine.tree
        self._decoder: BitDecoder = open_decoder(words)
        self._words = words

    def decode(self, cumulative: Integers, lanes: Integers) -> Integers:
        return decode_tokens(self._tree, cumulative, self._decoder)

    def gives(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> bool:
        bits, probabilities = chunk_decisions(self._tree, cumulative, tokens, counts, selected)
        return np.array_equal(self._decoder.decode(probabilities), bits)

    def read_bytes(self) -> int:
        position = self._decoder.position() if isinstance(self._decoder, FusedDecoder) else self._words.size
        return _WORD_BYTES * position

    def at_end(self) -> bool:
        return self._decoder.at_end()


class AdaptiveEncoder:
    """Codes with the mixture of the model and the block's history; learns every decision."""

    def __init__(self, vocabulary: Vocabulary, memory: Memory, parameters: CodingParameters) -> None:
        self.memory = memory
        self._vocabulary = vocabulary
        self._style = Style(parameters.family, parameters.row)
        self._encoder = FusedEncoder()

    def encode(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> None:
        chunk = Chunk(
            lanes.astype(np.int64),
            counts,
            np.require(tokens, np.int32, ["C", "W", "O"]),
            np.require(cumulative, np.int32, ["C", "W"]),
            selected,
        )
        encode_chunk(self.memory, self._vocabulary, chunk, self._style, self._encoder)

    def written_bytes(self) -> int:
        return _WORD_BYTES * self._encoder.position()

    def spent(self) -> float:
        """Bits coded so far, fractions included; see ``FusedEncoder.spent``."""
        return self._encoder.spent()

    def finish(self) -> NDArray[np.uint32]:
        return self._encoder.finish()


class AdaptiveDecoder:
    """Undoes ``AdaptiveEncoder``."""

    by_lane = True

    def __init__(
        self, vocabulary: Vocabulary, memory: Memory, parameters: CodingParameters, words: NDArray[np.uint32]
    ) -> None:
        self.memory = memory
        self._vocabulary = vocabulary
        self._style = Style(parameters.family, parameters.row)
        self._decoder = FusedDecoder(words)

    def decode(self, cumulative: Integers, lanes: Integers) -> Integers:
        return self.decode_steps(cumulative[:, None], lanes, 1)[:, 0]

    def decode_steps(self, cumulative: Integers, lanes: Integers, steps: int) -> Integers:
        """Decode several steps at once, which only works where no model waits for the tokens: int32 ``[n, steps]``."""
        tokens = np.zeros((lanes.size, steps), dtype=np.int32)
        counts = np.full(lanes.size, steps, dtype=np.int64)
        chunk = Chunk(lanes.astype(np.int64), counts, tokens, np.require(cumulative, np.int32, ["C", "W"]))
        decode_chunk(self.memory, self._vocabulary, chunk, self._style, self._decoder)
        return tokens

    def gives(
        self, cumulative: Integers, tokens: Integers, lanes: Integers, counts: NDArray[np.int64], selected: bool = False
    ) -> bool:
        decoded = np.zeros(tokens.shape, dtype=np.int32)
        chunk = Chunk(lanes.astype(np.int64), counts, decoded, np.require(cumulative, np.int32, ["C", "W"]), selected)
        try:
            decode_chunk(self.memory, self._vocabulary, chunk, self._style, self._decoder)
        except ValueError:
            if selected:  # beside the path of its token a prediction was not asked for
                return False
            raise
        coded = np.arange(tokens.shape[1]) < counts[:, None]
        return np.array_equal(decoded[coded], tokens[coded])

    def read_bytes(self) -> int:
        return _WORD_BYTES * self._decoder.position()

    def at_end(self) -> bool:
        return self._decoder.at_end()
