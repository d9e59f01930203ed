"""Everything a block needs before its first token is coded: parameters, checks, lanes, memory and coder.

A block is cut into lanes that are coded side by side, each with its own context. The cut depends only on the
block's size and the number of lanes, so an archive stores just that number. A lane ends when its bytes are complete, so
no token counts are stored either.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zipllm.codec.block.coding import AdaptiveDecoder, AdaptiveEncoder, Decoder, Encoder, StaticDecoder, StaticEncoder
from zipllm.codec.options import DEFAULT_MAX_LANES, LANE_BYTES
from zipllm.coder.range_coder import PROBABILITY_BITS, words_from_bytes
from zipllm.container import CodingParameters
from zipllm.container.block import FULL_MIXER, LEAN_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import LimitExceeded, UnsupportedData
from zipllm.jit.compiled import note_work
from zipllm.mixing.contexts import CODE, TEXT, Style
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.machine_code import make_absolute, make_relative
from zipllm.mixing.memory import MIN_SLOT_BITS, SHAPES, SLOT_BYTES, Memory, new_memory
from zipllm.mixing.prior import load_prior
from zipllm.mixing.token_path import Vocabulary

MAX_STATE_BYTES = 2 << 30
"""Limit on the memory for the predictor's state and frequencies of all lanes, for encoders and decoders."""

MOST_MEMORY = 8 << 30
"""Approximate limit in bytes for all blocks in work; a single block is always allowed."""

_HISTORY_TABLES = 64 << 20
"""Bytes of a history without its slots; measured: 190 to 240 MB for a block with 128 MiB of slots."""

_BLOCK_COPIES = 16
"""A block in work takes this multiple of its size, history excluded: bytes, tokens, tables of parallel codecs."""

TEXT_STYLE = Style(TEXT)
_SLOTS_OF_A_BYTE = {LEAN_MIXER: 4, FULL_MIXER: 5}
"""Slots that a byte may fill, by the mixer: a power of two."""


def coding_parameters(
    raw_size: int,
    lanes: int,
    style: Style | None,
    history_bits: int | None,
    precision: int = 24,
    mixer: int = FULL_MIXER,
) -> CodingParameters:
    """Return the parameters of a prediction: with history if both a style and its size are given.

    The history gets no more slots than the block can fill.
    """
    if style is None or history_bits is None:
        return CodingParameters(lanes, PROBABILITY_BITS, precision=precision)
    return CodingParameters(
        lanes,
        PROBABILITY_BITS,
        precision=precision,
        mixer=mixer,
        history=max(MIN_SLOT_BITS, min(history_bits, raw_size.bit_length() + _SLOTS_OF_A_BYTE[mixer])),
        family=style.family,
        row=style.row,
        sample=style.sample,
    )


def lane_count(raw_size: int, wanted: int | None = None, most: int = DEFAULT_MAX_LANES) -> int:
    """Return the wanted number of lanes, but no more than the block has bytes.

    By default a block has one lane per ``LANE_BYTES``, at least one and at most ``most``.
    """
    return min(wanted or max(1, min(most, raw_size // LANE_BYTES)), max(1, raw_size))


def lane_sizes(raw_size: int, lanes: int) -> list[int]:
    """Return the size of each lane in bytes; sizes differ by at most one, and none is 0.

    Requires ``raw_size >= lanes >= 1``, which readers check first.
    """
    assert raw_size >= lanes >= 1
    return [raw_size * (lane + 1) // lanes - raw_size * lane // lanes for lane in range(lanes)]


def split(data: bytes, lanes: int) -> list[bytes]:
    """Cut a block into its lanes; joining them gives the block back."""
    pieces, begin = [], 0
    for size in lane_sizes(len(data), lanes):
        pieces.append(data[begin : begin + size])
        begin += size
    return pieces


def lanes_for(engine: Engine, raw_size: int, wanted: int | None, most: int) -> int:
    """Return the lanes of a block: as wanted, or by its size and, for a large model, by what memory allows."""
    lanes = lane_count(raw_size, wanted, most)
    return lanes if wanted else max(1, min(lanes, MAX_STATE_BYTES // lane_memory(engine)))


def block_memory(raw_size: int, history_bits: int, lanes: int = 0, lane_bytes: int = 0) -> int:
    """Estimate the bytes that coding a block takes; ``lane_bytes`` is the model's state per lane."""
    history = (SLOT_BYTES << history_bits) + _HISTORY_TABLES if history_bits else 0
    return _BLOCK_COPIES * raw_size + history + lanes * lane_bytes


def check_memory(engine: Engine, lanes: int) -> None:
    """Refuse more lanes than memory allows, before allocating any.

    Raises:
        LimitExceeded: the state and the frequencies of all lanes would take more than ``MAX_STATE_BYTES``.
    """
    needed = lanes * lane_memory(engine)
    if needed > MAX_STATE_BYTES:
        raise LimitExceeded(
            f"{lanes} lanes of this model take {needed >> 20} MiB of memory, over the limit of "
            f"{MAX_STATE_BYTES >> 20} MiB",
            "state_bytes",
        )


def lane_memory(engine: Engine) -> int:
    """Return the bytes that a lane takes: the predictor's state and its frequencies."""
    return engine.predictor.lane_bytes + 4 * (len(engine.predictor.vocabulary) + 1)


def byte_tokens() -> tuple[bytes, ...]:
    """Return the 256 tokens of a vocabulary of bytes."""
    return tuple(bytes([value]) for value in range(256))


@lru_cache(maxsize=1)
def _byte_vocabulary() -> Vocabulary:
    """Return the vocabulary of the 256 bytes: eight decisions each, no stops."""
    tokens = byte_tokens()
    return Vocabulary.of(DecisionTree.from_vocabulary(tokens), tokens)


class BlockSetup:
    """A block about to be coded or decoded.

    Args:
        engine: the model; None if the history predicts bytes alone.
        raw_size: bytes of the block, at least one per lane.
        parameters: of the block's header; they choose encoder and decoder.

    Attributes: ``sizes`` int64 ``[lanes]``, bytes of each lane; ``vocabulary``, the model's or the 256 bytes.

    Raises:
        UnsupportedData: the block is of another precision than this version or the engine has.
        LimitExceeded: the lanes take more than ``MAX_STATE_BYTES``.
    """

    def __init__(self, engine: Engine | None, raw_size: int, parameters: CodingParameters) -> None:
        _check_precision("probability bits", parameters.probability_bits, PROBABILITY_BITS)
        if engine is not None:
            _check_precision("precision", parameters.precision, engine.predictor.precision)
            check_memory(engine, parameters.lanes)
        note_work(raw_size)
        self._engine = engine
        self._parameters = parameters
        self._style = Style(parameters.family, parameters.row, parameters.sample)
        self.sizes: NDArray[np.int64] = np.array(lane_sizes(raw_size, parameters.lanes), dtype=np.int64)
        self.vocabulary = _byte_vocabulary() if engine is None else engine.vocabulary

    def filtered(self, raw: bytes) -> bytes:
        """Return the block as it is coded: in programs, calls have absolute targets."""
        return make_absolute(raw) if self._style.family == CODE else raw

    def restored(self, coded: bytes) -> bytes:
        """Undo ``filtered``."""
        return make_relative(coded) if self._style.family == CODE else coded

    def tokens(self, raw: bytes) -> list[NDArray[np.int32]]:
        """Return the model's token ids of each lane of the filtered block."""
        assert self._engine is not None, "tokens are the model's"
        return self._engine.tokenizer.encode_all(split(raw, self._parameters.lanes))

    def encoder(self) -> Encoder:
        if self._parameters.mixer:
            return self.adaptive_encoder()
        assert self._engine is not None, "something predicts"
        return StaticEncoder(self._engine)

    def decoder(self, payload: bytes) -> Decoder:
        if self._parameters.mixer:
            return self.adaptive_decoder(payload)
        assert self._engine is not None, "something predicts"
        return StaticDecoder(self._engine, words_from_bytes(payload))

    def adaptive_encoder(self) -> AdaptiveEncoder:
        return AdaptiveEncoder(self.vocabulary, self._memory(), self._style)

    def adaptive_decoder(self, payload: bytes) -> AdaptiveDecoder:
        return AdaptiveDecoder(self.vocabulary, self._memory(), self._style, words_from_bytes(payload))

    def _memory(self) -> Memory:
        """Return the memory at the block's beginning; text starts from a prior."""
        kind, mixer = "text" if self._engine is None else "model", self._parameters.mixer
        prior = load_prior(mixer, kind) if self._parameters.family == TEXT else None
        return new_memory(self.sizes, self._parameters.history, prior, SHAPES[mixer])


def _check_precision(name: str, written: int, ours: int) -> None:
    if written != ours:
        raise UnsupportedData(f"a block was coded with {written} {name}, this version codes with {ours}")
