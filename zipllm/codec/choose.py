"""Chooses each block's coding: the smallest, found without trying codings that cannot win.

The model is two orders of magnitude slower than the quick conventional codecs, the history one order, and so are the
strong conventional codecs. Each is tried only while cheaper tests leave the outcome open:

1. Sound, a picture or DNA, found by a header or by the bytes, is coded as such if that wins on a part of it.
2. Nothing shrinks the block (JPEG, zip, random data): it is stored, and no model is loaded. Text in GB18030 or UTF-16
   is predicted in UTF-8 from here on.
3. The history codes a sample with contexts of text, and with those of rows or programs. If the quick codecs win by far,
   prediction is hopeless; otherwise the better contexts are kept.
4. The model joins the history on a smaller sample. If that helps, the block is coded both ways, since a sample ends
   before the history has learned what a long block teaches. One lane codes a block that repeats itself from lane to
   lane, so that every lane would learn the same anew.
5. The whole block is coded by the remaining candidates, and by the strong codecs unless prediction has clearly won.

All decisions compare integers, so a block gets the same coding on every machine.
"""

from dataclasses import replace
from typing import NamedTuple

from zipllm.codec.block.coding import StaticEncoder
from zipllm.codec.block.conventional_block import QUICK, STRONG, bz2_strong, each, smallest, stored, zstd_quick
from zipllm.codec.block.lane_groups import chunk_steps, predicted_chunks
from zipllm.codec.block.predicted_block import encode_history_block, encode_model_block
from zipllm.codec.block.row_search import binary_style
from zipllm.codec.block.setup import TEXT_STYLE, coding_parameters, lanes_for
from zipllm.codec.block.transcoding import find_transcoding
from zipllm.codec.options import DEFAULT_HISTORY_BITS, DEFAULT_MAX_LANES, EncodeOptions
from zipllm.codec.samples import code_samples
from zipllm.codec.threads.side_by_side import beside
from zipllm.container import Coding, CodingParameters
from zipllm.container.block import Transcoding
from zipllm.container.samples import Layout
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.mixing.contexts import Style
from zipllm.progress import Advance

SAMPLE_FROM = 32 * 1024
"""Smaller blocks are tried whole, since a sample would take nearly as long."""

_HISTORY_PIECES, _HISTORY_PIECE = 4, 16 * 1024
_MODEL_PIECES, _MODEL_PIECE = 8, 1024

_PROBE_FROM = 4096
_PROBE_BYTES = 128 * 1024
"""Where zstd fails, bzip2 is tried on this much of the block."""

_ROWS_FROM = 1024
"""Smaller blocks are not searched for rows."""

_STATIC_BELOW = 8192
"""Smaller blocks may teach the history nothing: the model alone is tried, too."""

# Thousandths, so that all comparisons are of integers.
_INCOMPRESSIBLE = 980
"""A codec that leaves more than this share of a block has failed."""

_CLEARLY_WON = 800
"""A prediction below this share of the quick codecs' best is not overtaken by the strong ones."""

_CLEARLY_LOST = 1050
"""A sample's contexts start empty, so it overestimates the model's cost a little."""

_HOPELESS = 4000
"""A sample teaches the history less than the whole block does, so it may overestimate the cost several times."""

_TRANSCODING_HELPS = 990
"""A sample in UTF-8 must shrink to this share of what it takes as it is."""

_MODEL_HELPS = 970
"""The model must shrink a sample to this share to be worth its time."""

_REPETITIVE = 1060
"""A sample that takes this share in many lanes of what it takes in one belongs to a block for one lane. English prose
takes 1,020, source code 1,050 to 1,060, XML, logs and JSON 1,070 to 1,100 (benchmarks/LOG.md, 2026-11-30)."""


class Choice(NamedTuple):
    """A block's coding.

    Attributes:
        coding, payload: of the block.
        parameters: of a prediction; None for conventional codings.
        transcoding: of a predicted block whose text was transcoded to UTF-8.
        layout: of a block of samples.
        cost_counts: the model was left out, perhaps only because naming it costs bytes. Another ``model_cost`` might
            then change the choice.
    """

    coding: Coding
    payload: bytes
    parameters: CodingParameters | None = None
    transcoding: Transcoding | None = None
    layout: Layout | None = None
    cost_counts: bool = False

    @property
    def size(self) -> int:
        """Bytes of payload, parameters, transcoding and layout."""
        parts = (self.parameters, self.transcoding, self.layout)
        return len(self.payload) + sum(len(part.encode()) for part in parts if part)


def choose(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int, advance: Advance | None
) -> Choice:
    """Code a block of at least one byte in the smallest way.

    Args:
        raw: the block.
        engine: the model, loaded only if it is tried.
        options: how to code.
        model_cost: bytes that the archive pays for naming the model, in addition to the block.
        advance: told about the progress of long predictions.
    """
    if engine is not None and not options.fallback:
        return _with_model(raw, engine(), TEXT_STYLE, options, advance)
    samples = code_samples(raw, options, advance)
    if samples is not None:
        choice = Choice(Coding.SAMPLES, samples[1], layout=samples[0])
        return min(choice, Choice(*smallest([stored(raw), *each(raw, QUICK)])), key=lambda found: found.size)
    if options.sample and incompressible(raw):
        return Choice(*smallest([stored(raw), zstd_quick(raw)]))
    best = Choice(*smallest([stored(raw), *each(raw, QUICK)]))
    spared = engine is not None and 0 < best.size <= model_cost
    if spared:  # zeros and the like: naming the model would cost more than the whole block
        engine = None
    text, transcoding = _as_text(raw, engine, options)
    if options.sample and len(text) >= SAMPLE_FROM:
        predicted = _predict_large(text, engine, options, best, advance)
    else:
        predicted = _predict_small(text, engine, options, model_cost)
    predicted = [choice._replace(transcoding=transcoding) for choice in predicted]

    def cost(choice: Choice) -> int:
        return choice.size + (model_cost if choice.coding is Coding.MODEL else 0)

    least = min(map(cost, predicted), default=len(raw) + 1)
    if least * 1000 > best.size * _CLEARLY_WON:
        best = Choice(*smallest([(best.coding, best.payload), *each(raw, STRONG)]))
    chosen = min([best, *predicted], key=cost)
    if chosen.coding is Coding.MODEL or not model_cost:
        return chosen
    return chosen._replace(cost_counts=spared or any(choice.coding is Coding.MODEL for choice in predicted))


def _as_text(raw: bytes, engine: LazyEngine | None, options: EncodeOptions) -> tuple[bytes, Transcoding | None]:
    """Return the block, transcoded to UTF-8 if a sample is predicted better that way."""
    found = find_transcoding(raw) if engine is not None or options.history_bits is not None else None
    if found is None:
        return raw, None
    transcoding, text = found
    as_it_is = min(
        _sampled_size(raw, engine, style, options) for style in (TEXT_STYLE, binary_style(raw, options.mixer))
    )
    as_text = _sampled_size(text, engine, TEXT_STYLE, options)
    return (text, transcoding) if as_text * 1000 < as_it_is * _TRANSCODING_HELPS else (raw, None)


def _sampled_size(raw: bytes, engine: LazyEngine | None, style: Style, options: EncodeOptions) -> int:
    """Estimate the bytes that a block takes by the model, or by the history where there is no model."""
    count, size = (_HISTORY_PIECES, _HISTORY_PIECE) if engine is None else (_MODEL_PIECES, _MODEL_PIECE)
    pieces = _pieces(raw, count, size)
    sample = b"".join(pieces)
    if engine is None:
        choice = _history(sample, style, options)
    else:
        choice = _with_model(sample, engine(), style, replace(options, lanes=len(pieces)), None)
    return choice.size * len(raw) // len(sample)


def incompressible(raw: bytes) -> bool:
    """Return whether quick tests find neither repetition nor skewed byte counts; takes 10 ms for a block of 4 MiB.

    False for short blocks: that conventional codecs cannot shrink them proves nothing.
    """
    if len(raw) < _PROBE_FROM:
        return False
    if len(zstd_quick(raw)[1]) * 1000 <= len(raw) * _INCOMPRESSIBLE:
        return False
    probe = b"".join(_pieces(raw, _MODEL_PIECES, _PROBE_BYTES // _MODEL_PIECES))
    return len(bz2_strong(probe)[1]) * 1000 > len(probe) * _INCOMPRESSIBLE


def model_helps(engine: Engine, raw: bytes, style: Style, options: EncodeOptions) -> bool:
    """Return whether the model clearly improves the history's predictions of some pieces."""
    pieces = _pieces(raw, _MODEL_PIECES, _MODEL_PIECE)
    sample = b"".join(pieces)
    alone = _history(sample, style, options, len(pieces)).size
    parameters = coding_parameters(len(sample), len(pieces), style, options.history_bits, mixer=options.mixer)
    joined = encode_model_block(engine, sample, parameters, None)
    return len(joined) * 1000 < alone * _MODEL_HELPS


def estimated_size(engine: Engine, raw: bytes) -> int:
    """Estimate the bytes that the model alone would need for the block, from pieces spread over it.

    The first quarter of each piece only provides context, as a real lane would have, and is not counted.
    """
    tokens = engine.tokenizer.encode_all(_pieces(raw, _MODEL_PIECES, _MODEL_PIECE))
    most = chunk_steps(engine, len(tokens))  # of whole predictions, so that all predictors give the same estimate
    steps = max(1, min(most, min(len(lane) for lane in tokens) // 4))
    coder = StaticEncoder(engine)
    for number, chunk in enumerate(predicted_chunks(engine, tokens, steps=steps)):
        if number > 0:
            coder.encode(chunk)
    vocabulary = engine.predictor.vocabulary
    counted = sum(len(vocabulary[token]) for lane in tokens for token in lane[steps:].tolist())
    return 4 * len(coder.finish()) * len(raw) // max(1, counted)


def _predict_small(raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int) -> list[Choice]:
    """Try every prediction on a small block."""
    found = []
    if options.history_bits is not None:
        found.append(_history(raw, TEXT_STYLE, options))
        if len(raw) >= _ROWS_FROM:
            found.append(_history(raw, binary_style(raw, options.mixer), options))
    if engine is not None and len(raw) > model_cost:
        found.append(_with_model(raw, engine(), TEXT_STYLE, options, None))
        if options.history_bits is not None and len(raw) < _STATIC_BELOW:
            found.append(_with_model(raw, engine(), None, options, None))
    return found


def _repeats(sample: bytes, style: Style, options: EncodeOptions, size: int) -> bool:
    """Whether a sample that takes ``size`` bytes in one lane takes clearly more in many."""
    return _history(sample, style, options, DEFAULT_MAX_LANES).size * 1000 > size * _REPETITIVE


def _predict_large(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, best: Choice, advance: Advance | None
) -> list[Choice]:
    """Test samples; then code the block by the history, by the model, by both or by neither."""
    if options.history_bits is None:
        if engine is None or estimated_size(engine(), raw) * 1000 > best.size * _CLEARLY_LOST:
            return []
        return [_with_model(raw, engine(), None, options, advance)]
    sample = b"".join(_pieces(raw, _HISTORY_PIECES, _HISTORY_PIECE))
    styles = (TEXT_STYLE, binary_style(raw, options.mixer))
    size, style = min(((_history(sample, style, options).size, style) for style in styles), key=lambda pair: pair[0])
    if size * len(raw) * 1000 > best.size * len(sample) * _HOPELESS:
        return []
    if engine is None or not model_helps(engine(), raw, style, options):
        return [_history(raw, style, options, advance=advance)]
    lanes = options.lanes
    if lanes is None and not engine().predictor.traits.costly_steps and _repeats(sample, style, options, size):
        lanes = 1

    def alone(progress: Advance | None = None) -> Choice:
        return _history(raw, style, options, advance=progress)

    def joined() -> Choice:
        return _with_model(raw, engine(), style, replace(options, lanes=lanes), advance)

    shared = engine().predictor.traits.threads > 1
    if not shared or options.history_bits > DEFAULT_HISTORY_BITS:  # two large histories take too much memory
        return [alone(), joined()]
    return list(beside(alone, joined))


def _with_model(
    raw: bytes, engine: Engine, style: Style | None, options: EncodeOptions, advance: Advance | None
) -> Choice:
    """Code by the model, and by the history if it is on and a style is given."""
    lanes = lanes_for(engine, len(raw), options.lanes, options.max_lanes)
    precision, mixer = engine.predictor.precision, options.mixer
    parameters = coding_parameters(len(raw), lanes, style, options.history_bits, precision, mixer)
    return Choice(Coding.MODEL, encode_model_block(engine, raw, parameters, advance), parameters)


def _history(
    raw: bytes, style: Style, options: EncodeOptions, lanes: int = 1, advance: Advance | None = None
) -> Choice:
    parameters = coding_parameters(len(raw), lanes, style, options.history_bits, mixer=options.mixer)
    return Choice(Coding.HISTORY, encode_history_block(raw, parameters, advance), parameters)


def _pieces(raw: bytes, count: int, size: int) -> list[bytes]:
    """Return ``count`` pieces of ``size`` bytes at even distances; a block that is not longer is one piece."""
    if len(raw) <= count * size:
        return [raw]
    room = len(raw) - size
    return [raw[begin : begin + size] for begin in (room * index // (count - 1) for index in range(count))]
