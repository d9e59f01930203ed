"""Which coding a block gets: the smallest, found without trying what cannot win.

The model is two orders of magnitude slower than any conventional codec, the history one order, and the strong
conventional ones are ten times slower than the quick ones, so each is asked only when the cheaper looks leave it open:

1. nothing shrinks the block: JPEG, zip, random data. It is stored; no model is loaded.
2. the history codes a sample, as text and as rows, against the quick codecs: hopeless, or the style to use.
3. the model joins in on a smaller sample: does it make the history's predictions better? If so the block is coded both
   ways, since a sample ends before the history has learned what a long block teaches.
4. the whole block by what is left, and by the strong codecs unless prediction has clearly won.

Everything that decides is an integer, so the same block gets the same coding on every machine.
"""

from functools import partial
from typing import NamedTuple

from zipllm.codec.block.coders import StaticEncoder
from zipllm.codec.block.conventional import (
    Candidate,
    bz2_strong,
    each,
    lzma_quick,
    lzma_strong,
    smallest,
    stored,
    zstd_quick,
    zstd_strong,
)
from zipllm.codec.block.history_block import encode_history_block
from zipllm.codec.block.model_block import chunk_steps, encode_model_block, lanes_for, predicted_chunks, selects
from zipllm.codec.block.styles import TEXT_STYLE, row_style
from zipllm.codec.options import DEFAULT_HISTORY_BITS, EncodeOptions
from zipllm.codec.threads.beside import beside
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import Coding, CodingParameters
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.mixing.adaptive import MIXER_VERSION, Style
from zipllm.mixing.memory import MIN_SLOT_BITS
from zipllm.progress import Advance

SAMPLE_FROM = 32 * 1024
"""Smaller blocks are tried whole: a sample would cost a good part of that."""

_HISTORY_PIECES, _HISTORY_PIECE = 4, 16 * 1024
_MODEL_PIECES, _MODEL_PIECE = 8, 1024

_PROBE_FROM = 4096
_PROBE_BYTES = 128 * 1024
"""bzip2 is asked about this much of a block on which zstd fails."""

_ROWS_FROM = 1024
"""Bytes from which on a period is worth looking for."""

_STATIC_BELOW = 8192
"""In so few bytes there may be nothing to learn: the model alone is tried, too."""

# Thousandths, so that every comparison is one of integers.
_INCOMPRESSIBLE = 980
"""A codec that leaves more than this of a block has failed."""

_CLEARLY_WON = 800
"""Below this share of the quick codecs' best the strong ones do not overtake a prediction."""

_CLEARLY_LOST = 1050
"""A sample of the model alone begins its contexts anew, so its cost is a little too high."""

_HOPELESS = 4000
"""A sample has not learned what the whole block teaches, so its cost may be several times too high."""

_MODEL_HELPS = 970
"""The model must save this much on a sample to be worth its time."""


class Choice(NamedTuple):
    """A coding, the payload it gave, and the parameters of a prediction.

    Attributes:
        coding: of the block.
        payload: that it gave.
        parameters: of a prediction.
        cost_counts: naming the model costs something and may be why it was not chosen; a block by the model is none.
    """

    coding: Coding
    payload: bytes
    parameters: CodingParameters | None = None
    cost_counts: bool = False

    @property
    def size(self) -> int:
        """Payload and parameters."""
        return len(self.payload) + (len(self.parameters.encode()) if self.parameters else 0)


def choose(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int, advance: Advance | None
) -> Choice:
    """Code a block in the smallest way.

    Args:
        raw: the block, at least one byte.
        engine: the model, loaded only if it is needed; None does without.
        options: ``sample``, ``fallback``, ``lanes`` and the history's are looked at.
        model_cost: bytes that naming the model costs besides the block.
        advance: told how far a long prediction is, if given.
    """
    if engine is not None and not options.fallback:
        return _with_model(raw, engine(), TEXT_STYLE, options, advance)
    if options.sample and incompressible(raw):
        return Choice(*smallest([stored(raw), zstd_quick(raw)]))
    best = Choice(*_quick(raw))
    spared = engine is not None and 0 < best.size <= model_cost
    if spared:  # zeros and the like: naming the model would cost more than the whole block
        engine = None
    if options.sample and len(raw) >= SAMPLE_FROM:
        predicted = _predict_large(raw, engine, options, best, advance)
    else:
        predicted = _predict_small(raw, engine, options, model_cost)
    costs = {id(choice): choice.size + (model_cost if choice.coding is Coding.MODEL else 0) for choice in predicted}
    least = min(costs.values(), default=len(raw) + 1)
    if least * 1000 > best.size * _CLEARLY_WON:
        best = Choice(*_thorough(raw, (best.coding, best.payload)))
    chosen = min([best, *predicted], key=lambda choice: costs.get(id(choice), choice.size))
    if chosen.coding is Coding.MODEL or not model_cost:
        return chosen
    return chosen._replace(cost_counts=spared or any(choice.coding is Coding.MODEL for choice in predicted))


def incompressible(raw: bytes) -> bool:
    """Whether neither repetition nor skewed byte counts are in sight; takes 10 ms for a block of 4 MiB.

    Says no for short blocks, which conventional codecs cannot shrink whatever is in them.
    """
    if len(raw) < _PROBE_FROM:
        return False
    if len(zstd_quick(raw)[1]) * 1000 <= len(raw) * _INCOMPRESSIBLE:
        return False
    probe = b"".join(_pieces(raw, _MODEL_PIECES, _PROBE_BYTES // _MODEL_PIECES))
    return len(bz2_strong(probe)[1]) * 1000 > len(probe) * _INCOMPRESSIBLE


def model_helps(engine: Engine, raw: bytes, style: Style, options: EncodeOptions) -> bool:
    """Whether the model makes the history's predictions of some pieces clearly better."""
    pieces = _pieces(raw, _MODEL_PIECES, _MODEL_PIECE)
    sample = b"".join(pieces)
    alone = _history(sample, style, options, len(pieces)).size
    joined = encode_model_block(engine, sample, _parameters(sample, style, options, len(pieces)), None)
    return len(joined) * 1000 < alone * _MODEL_HELPS


def estimated_size(engine: Engine, raw: bytes) -> int:
    """Return about how many bytes the model alone would need for the block, from pieces spread over it.

    The first quarter of each piece is only read, not counted: a real lane has context there.
    """
    tokens = engine.tokenizer.encode_all(_pieces(raw, _MODEL_PIECES, _MODEL_PIECE))
    selecting = selects(engine)
    most = chunk_steps(engine, len(tokens))  # also where the predictor selects: the estimate is the same everywhere
    steps = max(1, min(most, min(len(lane) for lane in tokens) // 4))
    coder = StaticEncoder(engine)
    for number, chunk in enumerate(predicted_chunks(engine, tokens, steps, selecting)):
        if number > 0:
            coder.encode(chunk.cumulative, chunk.tokens, chunk.lanes, chunk.counts, chunk.selected)
    vocabulary = engine.predictor.vocabulary
    counted = sum(len(vocabulary[token]) for lane in tokens for token in lane[steps:].tolist())
    return 4 * len(coder.finish()) * len(raw) // max(1, counted)


def _predict_small(raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int) -> list[Choice]:
    """Try everything on a block that is soon done."""
    found = []
    if options.history_bits is not None:
        found.append(_history(raw, TEXT_STYLE, options))
        if len(raw) >= _ROWS_FROM:
            found.append(_history(raw, row_style(raw), options))
    if engine is not None and len(raw) > model_cost:
        found.append(_with_model(raw, engine(), TEXT_STYLE, options, None))
        if options.history_bits is not None and len(raw) < _STATIC_BELOW:
            found.append(_with_model(raw, engine(), None, options, None))
    return found


def _predict_large(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, best: Choice, advance: Advance | None
) -> list[Choice]:
    """Look at samples, then code the block once, or not at all."""
    if options.history_bits is None:
        if engine is None or estimated_size(engine(), raw) * 1000 > best.size * _CLEARLY_LOST:
            return []
        return [_with_model(raw, engine(), None, options, advance)]
    sample = b"".join(_pieces(raw, _HISTORY_PIECES, _HISTORY_PIECE))
    styles = (TEXT_STYLE, row_style(raw))
    size, style = min(((_history(sample, style, options).size, style) for style in styles), key=lambda pair: pair[0])
    if size * len(raw) * 1000 > best.size * len(sample) * _HOPELESS:
        return []
    if engine is None or not model_helps(engine(), raw, style, options):
        return [_history(raw, style, options, advance=advance)]
    if (
        engine().predictor.traits.threads == 1 or options.history_bits > DEFAULT_HISTORY_BITS
    ):  # two of those are too much
        return [_history(raw, style, options), _with_model(raw, engine(), style, options, advance)]
    history = partial(_history, raw, style, options, 1)
    return list(beside(history, lambda: _with_model(raw, engine(), style, options, advance)))


def _with_model(
    raw: bytes, engine: Engine, style: Style | None, options: EncodeOptions, advance: Advance | None
) -> Choice:
    """Code by the model; with the history if it is on and there is a style for it."""
    lanes = lanes_for(engine, len(raw), options.lanes, options.max_lanes)
    precision = engine.predictor.precision
    if style is None or options.history_bits is None:
        parameters = CodingParameters(lanes, PROBABILITY_BITS, precision=precision)
    else:
        parameters = _parameters(raw, style, options, lanes, precision)
    return Choice(Coding.MODEL, encode_model_block(engine, raw, parameters, advance), parameters)


def _history(
    raw: bytes, style: Style, options: EncodeOptions, lanes: int = 1, advance: Advance | None = None
) -> Choice:
    parameters = _parameters(raw, style, options, lanes)
    return Choice(Coding.HISTORY, encode_history_block(raw, parameters, advance), parameters)


def _parameters(raw: bytes, style: Style, options: EncodeOptions, lanes: int, precision: int = 24) -> CodingParameters:
    """Return the parameters of a prediction with history; more slots than the block can fill would be a waste."""
    assert options.history_bits is not None, "asked for only where the history is on"
    bits = max(MIN_SLOT_BITS, min(options.history_bits, len(raw).bit_length() + 4))
    return CodingParameters(
        lanes,
        PROBABILITY_BITS,
        precision=precision,
        mixer=MIXER_VERSION,
        history=bits,
        family=style.family,
        row=style.row,
    )


def _pieces(raw: bytes, count: int, size: int) -> list[bytes]:
    """Return ``count`` pieces of ``size`` bytes at even distances, the whole block if it is no longer than that."""
    if len(raw) <= count * size:
        return [raw]
    room = len(raw) - size
    return [raw[begin : begin + size] for begin in (room * index // (count - 1) for index in range(count))]


def _quick(raw: bytes) -> Candidate:
    return smallest([stored(raw), *each(raw, (lzma_quick, bz2_strong, zstd_quick))])


def _thorough(raw: bytes, best: Candidate) -> Candidate:
    return smallest([best, *each(raw, (lzma_strong, zstd_strong))])
