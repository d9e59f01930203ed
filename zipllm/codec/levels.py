"""Compression levels, as presets over model, history and lanes.

Levels 1 to 3 do without a Transformer: the history alone, several times faster. From 4 on both predict together: at 4
and 5 with the smallest model, at 6 with the default one, from 7 on with the largest. Higher levels have more memory for
the history, too, and the highest fewer lanes, each with a longer context of its own. Lanes are as many as
are fastest on two cores: few enough for keys and values to stay in the cache (``small``), or enough to read the weights
seldom.
Nothing here is stored: an archive says what its decoder needs.
"""

from dataclasses import dataclass
from typing import Any

from zipllm.codec.options import EncodeOptions
from zipllm.errors import UsageError

DEFAULT_LEVEL = 6
MIN_LEVEL, MAX_LEVEL = 1, 9


@dataclass(frozen=True)
class Level:
    """A preset.

    Attributes:
        model: name of the shipped model that predicts, too, unless the user chooses another; None: none does.
        history_bits: the history has up to ``2**history_bits`` slots of 32 bytes.
        max_lanes: lanes of a block, at most.
        block_size: bytes coded together.
    """

    model: str | None
    history_bits: int
    max_lanes: int
    block_size: int


LEVELS = {
    1: Level(None, 18, 64, 1 << 20),
    2: Level(None, 20, 64, 4 << 20),
    3: Level(None, 22, 64, 16 << 20),
    4: Level("nano", 20, 64, 4 << 20),
    5: Level("nano", 22, 64, 16 << 20),
    6: Level("small", 22, 16, 16 << 20),
    7: Level("base", 22, 64, 16 << 20),
    8: Level("base", 23, 16, 16 << 20),
    9: Level("base", 24, 8, 16 << 20),
}


def level_of(number: int) -> Level:
    """Return a preset.

    Raises:
        UsageError: there is none of this number.
    """
    if number not in LEVELS:
        raise UsageError(f"level must be {MIN_LEVEL} to {MAX_LEVEL}, not {number}")
    return LEVELS[number]


def encode_options(
    number: int = DEFAULT_LEVEL,
    *,
    history: bool = True,
    block_size: int | None = None,
    same_machine: bool = False,
    **options: Any,
) -> EncodeOptions:
    """Return a level's options, with what the caller wants otherwise.

    Args:
        number: of the level.
        history: False codes with the model's own predictions.
        block_size: None takes the level's.
        same_machine: see ``EncodeOptions``; always verified. One lane if none are asked for: a model of floats computes
            one lane after the other, so that more are no faster.
        options: the others of ``EncodeOptions``.

    Raises:
        UsageError: there is no such level, an option is out of range, or two contradict each other.
    """
    level = level_of(number)
    if same_machine:
        if not options.get("verify", True):
            raise UsageError("what decodes on one machine only is always verified")
        if options.get("embed_model"):
            raise UsageError("a model of floats cannot be put into an archive")
        options["lanes"] = options.get("lanes") or 1
    return EncodeOptions(
        block_size=level.block_size if block_size is None else block_size,
        history_bits=level.history_bits if history else None,
        max_lanes=level.max_lanes,
        same_machine=same_machine,
        **options,
    )
