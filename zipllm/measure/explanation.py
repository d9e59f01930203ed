"""Explains a file: compresses it like ``compress``, then codes it again to find every token's cost.

Both codings must give the same payload byte for byte, so the costs are exactly those of the archive.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from zipllm.codec.block.setup import byte_tokens
from zipllm.codec.block.transcoding import transcode
from zipllm.codec.choose import SAMPLE_FROM
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import MOST_EXPLAINED, By, EncodeOptions
from zipllm.container import BlockHeader, Coding, read_payload, scan
from zipllm.engine.engine import EngineSource, LazyEngine, lazy_engine
from zipllm.errors import LimitExceeded, UsageError, VerificationFailed
from zipllm.measure.costs import Costs, history_costs, model_costs
from zipllm.progress import Advance, ProgressCallback

Step = Callable[[float], None]
"""Called with the fraction of the work done, from 0 to 1."""


@dataclass(frozen=True)
class Explanation:
    """The cost of every token of some bytes.

    Attributes:
        raw: the bytes explained.
        text: what the tokens spell: ``raw``, or its UTF-8 form if the archive has it transcoded.
        encoding: of ``raw`` if it was transcoded, otherwise None.
        coding: the coding explained: ``MODEL`` or ``HISTORY``.
        costs: of each token.
        vocabulary: byte string of every token id.
        archive_bytes: size of the archive in this coding.
        lanes: number of lanes of its block.
        history: whether predictions learn from the file.
        model_id: of the model; None without one.
        whole: the sum of the model's frequencies.
        compress_coding: the coding that ``compress`` chooses for these bytes.
        compress_bytes: size of the archive that it makes.
    """

    raw: bytes
    text: bytes
    encoding: str | None
    coding: Coding
    costs: Costs
    vocabulary: tuple[bytes, ...]
    archive_bytes: int
    lanes: int
    history: bool
    model_id: bytes | None
    whole: int
    compress_coding: Coding
    compress_bytes: int

    @cached_property
    def lengths(self) -> list[int]:
        """Bytes of each token."""
        return [len(self.vocabulary[token]) for token in self.costs.tokens.tolist()]

    @property
    def bits(self) -> float:
        """The cost of all tokens together."""
        return float(self.costs.bits.sum())

    @property
    def payload_bytes(self) -> int:
        """Bytes of the payload: the tokens' bits, and fewer than 64 more at the end of the coder's words."""
        return len(self.costs.payload)

    @property
    def container_bytes(self) -> int:
        """Bytes of headers, checksums and the model's record."""
        return self.archive_bytes - self.payload_bytes


@dataclass(frozen=True)
class _Coded:
    coding: Coding
    header: BlockHeader
    payload: bytes
    archive_bytes: int


def explain_bytes(
    raw: bytes, engine: EngineSource, *, by: By = "auto", options: EncodeOptions | None = None, step: Step | None = None
) -> Explanation:
    """Explain what every token of some bytes costs.

    Args:
        raw: 1 to ``MOST_EXPLAINED`` bytes.
        engine: the model, or how to get it.
        by: "model": the model codes even where ``compress`` leaves it out. "history": no model. "auto": like
            ``compress`` if it predicts; the model if ``compress`` takes a conventional codec, or leaves the model out
            of a small archive only because naming it takes more bytes than it saves.
        options: as for ``compress``; nothing is verified.
        step: told about progress, if given.

    Raises:
        LimitExceeded: too many bytes.
        UsageError: there are no bytes; or ``by`` is "history", and it is off or a conventional codec does better.
        VerificationFailed: the second coding gave another payload.
        ModelError: the model cannot be loaded.
    """
    options = replace(options or EncodeOptions(), verify=False, fallback=True)
    _check(raw, by, options)
    lazy = lazy_engine(engine)
    usual = _compress(raw, lazy, options, _part(step, len(raw), 0, 1 / 3))
    chosen = _choose(raw, usual, lazy, by, options, _part(step, len(raw), 1 / 3, 2 / 3))
    transcoding = chosen.header.transcoding
    text = raw if transcoding is None else transcode(raw, transcoding)
    costs = _costs(text, chosen, lazy, _advance(step))
    if costs.payload != chosen.payload:
        raise VerificationFailed("coding the tokens one by one gave another payload than compressing")
    by_model = chosen.coding is Coding.MODEL
    assert chosen.header.parameters is not None, "every prediction has parameters"
    return Explanation(
        raw=raw,
        text=text,
        encoding=None if transcoding is None else transcoding.name,
        coding=chosen.coding,
        costs=costs,
        vocabulary=lazy().predictor.vocabulary if by_model and lazy else byte_tokens(),
        archive_bytes=chosen.archive_bytes,
        lanes=chosen.header.parameters.lanes,
        history=bool(chosen.header.parameters.mixer),
        model_id=lazy().model_id if by_model and lazy else None,
        whole=1 << chosen.header.parameters.precision,
        compress_coding=usual.coding,
        compress_bytes=usual.archive_bytes,
    )


def _check(raw: bytes, by: By, options: EncodeOptions) -> None:
    if not raw:
        raise UsageError("there is nothing to explain in no bytes")
    if len(raw) > MOST_EXPLAINED:
        raise LimitExceeded(f"more than {MOST_EXPLAINED >> 10} KiB cannot be explained at once")
    if by == "history" and options.history_bits is None:
        raise UsageError("the history alone cannot explain with the history switched off")


def _compress(
    raw: bytes, engine: LazyEngine | None, options: EncodeOptions, progress: ProgressCallback | None
) -> _Coded:
    """Compress to an archive and return its one block."""
    archive = io.BytesIO()
    whole = replace(options, block_size=MOST_EXPLAINED) if options.block_size < len(raw) else options
    compress_stream(io.BytesIO(raw), archive, engine=engine, options=whole, progress=progress)
    size = archive.tell()
    archive.seek(0)
    (item,) = (item for item in scan(archive) if isinstance(item.record, BlockHeader))
    assert isinstance(item.record, BlockHeader)
    return _Coded(item.record.coding, item.record, read_payload(archive, item), size)


def _choose(
    raw: bytes,
    usual: _Coded,
    engine: LazyEngine | None,
    by: By,
    options: EncodeOptions,
    progress: ProgressCallback | None,
) -> _Coded:
    """Return the coding to explain; see ``explain_bytes``."""
    if by == "history":
        return usual if usual.coding is Coding.HISTORY else _by_history(raw, options, progress)
    if usual.coding is Coding.MODEL:
        return usual
    if by == "auto" and usual.coding is Coding.HISTORY and (engine is None or len(raw) >= SAMPLE_FROM):
        return usual
    forced = _compress(raw, engine, replace(options, fallback=False), progress)
    helps = usual.coding is not Coding.HISTORY or len(forced.payload) < len(usual.payload)
    return forced if by == "model" or helps else usual


def _by_history(raw: bytes, options: EncodeOptions, progress: ProgressCallback | None) -> _Coded:
    alone = _compress(raw, None, options, progress)
    if alone.coding is not Coding.HISTORY:
        name = alone.coding.name.lower()
        raise UsageError(f"without a model these bytes are coded as {name}, which gives no cost of single bytes")
    return alone


def _costs(text: bytes, chosen: _Coded, engine: LazyEngine | None, advance: Advance | None) -> Costs:
    assert chosen.header.parameters is not None, "every prediction has parameters"
    if chosen.coding is Coding.HISTORY:
        return history_costs(text, chosen.header.parameters, advance)
    assert engine is not None, "a model-coded block has a model"
    return model_costs(engine(), text, chosen.header.parameters, advance)


def _part(step: Step | None, size: int, begin: float, end: float) -> ProgressCallback | None:
    if step is None:
        return None
    return lambda progress: step(begin + (end - begin) * min(1.0, progress.done / size))


def _advance(step: Step | None) -> Advance | None:
    return None if step is None else lambda fraction, coded: step((2 + fraction) / 3)
