"""Which coding a block gets: the smallest, found without trying what cannot win.

The model is two orders of magnitude slower than any conventional codec, and the strong ones are ten times
slower than the quick ones, so each is asked only when the cheaper looks leave the matter open:

1. nothing shrinks the block: JPEG, zip, random data. It is stored; no model is loaded.
2. the model's cost on a few pieces of the block, against the quick codecs: clearly lost, clearly won, or open.
3. the strong codecs, unless the model has clearly won; the model, unless it has clearly lost.

Everything that decides is an integer, so the same block gets the same coding on every machine.
"""

from zipllm.codec.conventional import (
    Candidate,
    bz2_strong,
    lzma_quick,
    lzma_strong,
    smallest,
    stored,
    zstd_quick,
    zstd_strong,
)
from zipllm.codec.engine import Engine, LazyEngine
from zipllm.codec.model_block import Advance, chunk_steps, code_tokens, encode_model_block, lanes_for
from zipllm.codec.options import EncodeOptions
from zipllm.coder.fused import open_encoder
from zipllm.container import Coding

SAMPLE_PIECES = 8
SAMPLE_PIECE_BYTES = 1024
SAMPLE_FROM = 32 * 1024
"""Smaller blocks are tried whole: the sample would cost a good part of that."""

_PROBE_FROM = 4096
_PROBE_BYTES = 128 * 1024
"""bzip2 is asked about this much of a block on which zstd fails."""

# Thousandths, so that every comparison is one of integers.
_INCOMPRESSIBLE = 980
"""A codec that leaves more than this of a block has failed."""

_CLEARLY_WON = 800
"""Below this share of the quick codecs' best the strong ones do not overtake the model: of 50 files of Canterbury,
Calgary, Silesia and others they went further with two only (0.78 kennedy.xls, 0.75 kppkn.gtb)."""

_CLEARLY_LOST = 1050
"""A sample begins its contexts anew, so its cost is a little too high."""


def choose(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, model_cost: int, advance: Advance | None
) -> Candidate:
    """Code a block in the smallest way.

    Args:
        raw: the block, at least one byte.
        engine: the model, loaded only if it is needed; None for conventional codings only.
        options: ``sample``, ``fallback`` and ``lanes`` are looked at.
        model_cost: bytes that model coding needs besides its payload.
        advance: told how far the model is with the block, if given.
    """
    if engine is None:
        return _conventional(raw)
    if not options.fallback:
        return _model(raw, engine(), options, advance)
    if len(raw) <= model_cost or (options.sample and incompressible(raw)):
        return smallest([stored(raw), zstd_quick(raw)])
    best, thorough = _quick(raw), False
    if len(best[1]) <= model_cost:  # zeros and the like: naming the model would cost more than the whole block
        return _thorough(raw, best)
    if options.sample and len(raw) >= SAMPLE_FROM:
        estimate = estimated_size(engine(), raw) + model_cost
        if estimate * 1000 > len(best[1]) * _CLEARLY_WON:
            best, thorough = _thorough(raw, best), True
            if estimate * 1000 > len(best[1]) * _CLEARLY_LOST:
                return best
    model = _model(raw, engine(), options, advance)
    size = len(model[1]) + model_cost
    if not thorough and size * 1000 > len(best[1]) * _CLEARLY_WON:
        best = _thorough(raw, best)
    return model if size < len(best[1]) else best


def incompressible(raw: bytes) -> bool:
    """Whether neither repetition nor skewed byte counts are in sight; takes 10 ms for a block of 4 MiB.

    Says no for short blocks, which conventional codecs cannot shrink whatever is in them.
    """
    if len(raw) < _PROBE_FROM:
        return False
    if len(zstd_quick(raw)[1]) * 1000 <= len(raw) * _INCOMPRESSIBLE:
        return False
    probe = b"".join(_pieces(raw, SAMPLE_PIECES, _PROBE_BYTES // SAMPLE_PIECES))
    return len(bz2_strong(probe)[1]) * 1000 > len(probe) * _INCOMPRESSIBLE


def estimated_size(engine: Engine, raw: bytes) -> int:
    """Return about how many bytes the model would need for the block, from pieces spread over it.

    The first quarter of each piece is only read, not counted: a real lane has context there.
    """
    tokens = [engine.tokenizer.encode(piece) for piece in _pieces(raw, SAMPLE_PIECES, SAMPLE_PIECE_BYTES)]
    shortest = min(len(lane) for lane in tokens)
    steps = max(1, min(shortest // 4, chunk_steps(engine, len(tokens))))
    encoder = open_encoder()
    code_tokens(engine, tokens, encoder, steps, skip=1)
    vocabulary = engine.predictor.vocabulary
    counted = sum(len(vocabulary[token]) for lane in tokens for token in lane[steps:].tolist())
    return 4 * len(encoder.finish()) * len(raw) // max(1, counted)


def _pieces(raw: bytes, count: int, size: int) -> list[bytes]:
    """Return ``count`` pieces of ``size`` bytes at even distances, the whole block if it is no longer than that."""
    if len(raw) <= count * size:
        return [raw]
    room = len(raw) - size
    return [raw[begin : begin + size] for begin in (room * index // (count - 1) for index in range(count))]


def _model(raw: bytes, engine: Engine, options: EncodeOptions, advance: Advance | None) -> Candidate:
    lanes = lanes_for(engine, len(raw), options.lanes)
    return Coding.MODEL, encode_model_block(engine, raw, lanes, advance)


def _quick(raw: bytes) -> Candidate:
    return smallest([stored(raw), zstd_quick(raw), lzma_quick(raw), bz2_strong(raw)])


def _thorough(raw: bytes, best: Candidate) -> Candidate:
    return smallest([best, zstd_strong(raw), lzma_strong(raw)])


def _conventional(raw: bytes) -> Candidate:
    if incompressible(raw):
        return smallest([stored(raw), zstd_quick(raw)])
    return _thorough(raw, _quick(raw))
