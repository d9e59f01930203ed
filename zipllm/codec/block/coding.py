"""Codes the tokens of a block: with the model's predictions as they are, or mixed with the block's own history."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.coder.fused import FusedDecoder, FusedEncoder, open_decoder, open_encoder
from zipllm.coder.range_coder import BitDecoder, BitEncoder
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.mixing.adaptive import Chunk, decode_chunk, encode_chunk
from zipllm.mixing.contexts import Style
from zipllm.mixing.decisions import chunk_decisions, decode_tokens
from zipllm.mixing.memory import Memory
from zipllm.mixing.predictions import NO_MODEL, Predictions
from zipllm.mixing.token_path import Vocabulary

_WORD_BYTES = 4

Integers = NDArray[np.int32]


class Predicted(NamedTuple):
    """Some steps of some lanes: known tokens with their predictions.

    Attributes:
        lanes: int32 ``[n]``, the lanes with tokens here, ascending.
        counts: int64 ``[n]``, how many of the steps each lane has.
        tokens: int32 ``[n, steps]``, what follows a lane's end is ignored.
        predictions: cumulative frequencies ``[n, steps, ...]``, or ``NO_MODEL``.
        done: fraction of the block up to the end of these steps.
    """

    lanes: Integers
    counts: NDArray[np.int64]
    tokens: Integers
    predictions: Predictions
    done: float = 0.0


class StaticEncoder:
    """Codes the tokens of a block, chunk by chunk, with the model's frequencies as they are."""

    def __init__(self, engine: Engine) -> None:
        self._tree = engine.tree
        self._encoder: BitEncoder = open_encoder()

    def encode(self, chunk: Predicted) -> None:
        self._encoder.encode(*chunk_decisions(self._tree, chunk.predictions, chunk.tokens, chunk.counts))

    def written_bytes(self) -> int:
        return _WORD_BYTES * self._encoder.position()

    def finish(self) -> NDArray[np.uint32]:
        return self._encoder.finish()


class StaticDecoder:
    """Undoes ``StaticEncoder``. Methods raise ``CorruptData`` if the words are impossible or a token overruns its lane.

    Attributes:
        by_lane: the tokens of a step are coded one after the other, so that some lanes can be decoded before the next
            lanes' predictions are known.
    """

    by_lane = False

    def __init__(self, engine: Engine, words: NDArray[np.uint32]) -> None:
        self._tree = engine.tree
        self._decoder: BitDecoder = open_decoder(words)
        self._words = words

    def decode(self, cumulative: Integers, lanes: Integers, guesses: Integers) -> Integers:
        """Decode a step of some lanes, and further ones while all tokens are those guessed.

        Args:
            cumulative: int32 ``[n, k + 1, V + 1]``, predictions after the last token of each lane and its guesses.
            lanes: int32 ``[n]``.
            guesses: int32 ``[n, k]``; they leave every lane incomplete.

        Returns:
            Tokens int32 ``[n, steps]``, 1 to k + 1 steps.
        """
        steps = []
        for step in range(cumulative.shape[1]):
            steps.append(decode_tokens(self._tree, cumulative[:, step], self._decoder))
            if step < guesses.shape[1] and not np.array_equal(steps[-1], guesses[:, step]):
                break
        return np.stack(steps, axis=1)

    def gives(self, chunk: Predicted) -> bool:
        """Decode steps that were predicted for known tokens; return whether just these tokens come."""
        bits, probabilities = chunk_decisions(self._tree, chunk.predictions, chunk.tokens, chunk.counts)
        return np.array_equal(self._decoder.decode(probabilities), bits)

    def read_bytes(self) -> int:
        """Return about how many bytes of payload were read so far."""
        position = self._decoder.position() if isinstance(self._decoder, FusedDecoder) else self._words.size
        return _WORD_BYTES * position

    def check_length(self) -> None:
        """Raise ``CorruptData`` if what was decoded takes more words than there are; a decoder reads on in zeros."""
        if isinstance(self._decoder, FusedDecoder):
            check_length(self._decoder)

    def at_end(self) -> bool:
        """Return whether the payload is exactly that of what was decoded."""
        return self._decoder.at_end()


class AdaptiveEncoder:
    """Codes with the mixture of the model and the block's history, or with the history alone; learns each decision."""

    def __init__(self, vocabulary: Vocabulary, memory: Memory, style: Style) -> None:
        self.memory = memory
        self._vocabulary = vocabulary
        self._style = style
        self._encoder = FusedEncoder()

    def encode(self, chunk: Predicted) -> None:
        steps = _compiled_chunk(chunk, np.require(chunk.tokens, np.int32, ["C", "W", "O"]))
        encode_chunk(self.memory, self._vocabulary, steps, self._style, self._encoder)

    def written_bytes(self) -> int:
        return _WORD_BYTES * self._encoder.position()

    def spent(self) -> float:
        """Return the bits coded so far, fractions included; see ``FusedEncoder.spent``."""
        return self._encoder.spent()

    def finish(self) -> NDArray[np.uint32]:
        return self._encoder.finish()


class AdaptiveDecoder:
    """Undoes ``AdaptiveEncoder``."""

    by_lane = True

    def __init__(self, vocabulary: Vocabulary, memory: Memory, style: Style, words: NDArray[np.uint32]) -> None:
        self.memory = memory
        self._vocabulary = vocabulary
        self._style = style
        self._decoder = FusedDecoder(words)

    def decode(self, cumulative: Integers, lanes: Integers, guesses: Integers) -> Integers:
        tokens = np.full((lanes.size, guesses.shape[1] + 1), -1, dtype=np.int32)
        tokens[:, :-1] = guesses
        steps = self._decode_steps(cumulative, lanes, tokens, guessed=True)
        return tokens[:, :steps]

    def decode_without_model(self, lanes: Integers, steps: int) -> Integers:
        """Decode several steps at once, since no model waits for their tokens: int32 ``[n, steps]``."""
        tokens = np.zeros((lanes.size, steps), dtype=np.int32)
        self._decode_steps(NO_MODEL.cumulative, lanes, tokens)
        return tokens

    def _decode_steps(self, cumulative: Integers, lanes: Integers, tokens: Integers, *, guessed: bool = False) -> int:
        counts = np.full(lanes.size, tokens.shape[1], dtype=np.int64)
        chunk = Chunk(lanes.astype(np.int64), counts, tokens, np.require(cumulative, np.int32, ["C", "W"]))
        return decode_chunk(self.memory, self._vocabulary, chunk, self._style, self._decoder, guessed=guessed)

    def gives(self, chunk: Predicted) -> bool:
        decoded = np.array(chunk.tokens, dtype=np.int32, order="C")
        steps = _compiled_chunk(chunk, decoded)
        try:
            decode_chunk(self.memory, self._vocabulary, steps, self._style, self._decoder, guessed=True)
        except ValueError:
            if chunk.predictions.selected:  # a wrong token's path leads to columns that were not selected
                return False
            raise
        coded = np.arange(chunk.tokens.shape[1]) < chunk.counts[:, None]
        return np.array_equal(decoded[coded], chunk.tokens[coded])

    def read_bytes(self) -> int:
        return _WORD_BYTES * self._decoder.position()

    def check_length(self) -> None:
        check_length(self._decoder)

    def at_end(self) -> bool:
        return self._decoder.at_end()


def check_length(decoder: FusedDecoder) -> None:
    """See ``StaticDecoder.check_length``; two words are read before the first decision, and one is left at the end."""
    if decoder.position() - 1 > max(1, decoder.words.size):
        raise CorruptData("the payload of a block is too short for its content")


Encoder = StaticEncoder | AdaptiveEncoder
Decoder = StaticDecoder | AdaptiveDecoder


def _compiled_chunk(chunk: Predicted, tokens: Integers) -> Chunk:
    """Return a chunk in the form of the compiled code, with ``tokens`` to read or to fill."""
    cumulative = np.require(chunk.predictions.cumulative, np.int32, ["C", "W"])
    return Chunk(chunk.lanes.astype(np.int64), chunk.counts, tokens, cumulative, chunk.predictions.selected)
