"""What guessing brings to a decoder of one lane, beside 16 lanes, with the default model and the history.

Rows are of the text's first 60,000 bytes, in this process. ``made`` counts guesses that the model was asked about,
``right`` those that came true.
"""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from benchmarks.speed.row import Row, Settings, kb_per_second, timed
from zipllm.codec.block import decoded_lanes
from zipllm.codec.block.guessing import Guesser
from zipllm.codec.block.predicted_block import decode_model_block, encode_model_block
from zipllm.codec.block.setup import TEXT_STYLE, coding_parameters
from zipllm.codec.options import DEFAULT_HISTORY_BITS
from zipllm.engine.engine import load_engine

BYTES = 60_000
WAYS = ((16, True), (4, False), (4, True), (1, False), (1, True))
"""Lanes, and whether the decoder may guess; with 16 it never does."""


class Counted(Guesser):
    """Counts calls, tokens and guesses."""

    calls = tokens = made = 0

    def guess(self, lanes: Any, front: Any, new: int, *rest: Any) -> Any:
        guesses = super().guess(lanes, front, new, *rest)
        Counted.calls += lanes.size
        Counted.tokens += lanes.size * new
        Counted.made += guesses.size
        return guesses


def guesses(settings: Settings) -> Iterator[Row]:
    """Decode one text in several ways; every result is compared."""
    engine, raw = load_engine("small", "cpu"), settings.text[:BYTES]
    warm = coding_parameters(2, 1, TEXT_STYLE, DEFAULT_HISTORY_BITS)
    decode_model_block(engine, encode_model_block(engine, raw[:2], warm, None), 2, warm, None)
    for lanes, may_guess in WAYS:
        parameters = coding_parameters(len(raw), lanes, TEXT_STYLE, DEFAULT_HISTORY_BITS)
        payload = encode_model_block(engine, raw, parameters, None)
        Counted.calls = Counted.tokens = Counted.made = 0
        with patch.object(decoded_lanes, "Guesser", Counted), patch.object(decoded_lanes, "MOST_LANES", 7 * may_guess):
            decoded, seconds = timed(decode_model_block, engine, payload, len(raw), parameters, None)
        assert decoded == raw
        right = max(0, Counted.tokens - Counted.calls + lanes) if Counted.made else 0
        note = f"{len(payload)} bytes, {kb_per_second(len(raw), seconds)} KB/s"
        if Counted.made:
            note += f", {right} of {Counted.made} guesses right, {right / Counted.tokens:.0%} of all tokens"
        what = f"{lanes} lanes{', guessing' if may_guess and lanes < 16 else ''}"
        yield {"what": what, "raw_bytes": len(raw), "seconds": round(seconds, 3), "made": Counted.made,
               "right": right, "note": note}  # fmt: skip
