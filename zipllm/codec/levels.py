"""Compression levels: one table, which the command line, the benchmark and the Python API read.

A level presets model, history, lanes and block size. The number of lanes is what runs fastest on two cores: few enough
for the keys and values to stay in the cache (``small``), or enough to read the weights rarely. An archive does not
store its level; it stores what its decoder needs.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from zipllm.codec.options import EncodeOptions
from zipllm.container.block import FULL_MIXER, LEAN_MIXER
from zipllm.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Level:
    """A preset.

    Attributes:
        model: name of the shipped model that predicts beside the history; None: the history predicts alone.
        mixer: the version of the history (``EncodeOptions``).
        history_bits: the history has up to ``2**history_bits`` slots of 32 bytes.
        max_lanes: upper limit on the lanes of a block.
        block_size: bytes coded together.
        help: a few words for the command line's help; neighboring levels may share them.
    """

    model: str | None
    mixer: int
    history_bits: int
    max_lanes: int
    block_size: int
    help: str


_HISTORY = "history alone, fast"
_NANO = "with model nano"
_SMALL = "with small"
_BASE = "with base, ever slower"

LEVELS = {
    1: Level(model=None, mixer=LEAN_MIXER, history_bits=18, max_lanes=64, block_size=1 << 20, help=_HISTORY),
    2: Level(model=None, mixer=LEAN_MIXER, history_bits=20, max_lanes=64, block_size=4 << 20, help=_HISTORY),
    3: Level(model=None, mixer=LEAN_MIXER, history_bits=22, max_lanes=64, block_size=16 << 20, help=_HISTORY),
    4: Level(model="nano", mixer=FULL_MIXER, history_bits=20, max_lanes=64, block_size=4 << 20, help=_NANO),
    5: Level(model="nano", mixer=FULL_MIXER, history_bits=22, max_lanes=64, block_size=16 << 20, help=_NANO),
    6: Level(model="small", mixer=FULL_MIXER, history_bits=22, max_lanes=16, block_size=16 << 20, help=_SMALL),
    7: Level(model="base", mixer=FULL_MIXER, history_bits=22, max_lanes=64, block_size=16 << 20, help=_BASE),
    8: Level(model="base", mixer=FULL_MIXER, history_bits=23, max_lanes=16, block_size=16 << 20, help=_BASE),
    9: Level(model="base", mixer=FULL_MIXER, history_bits=24, max_lanes=8, block_size=16 << 20, help=_BASE),
}

DEFAULT_LEVEL = 6
MIN_LEVEL, MAX_LEVEL = min(LEVELS), max(LEVELS)
LEVEL_NAMES = tuple(map(str, LEVELS))
"""As a user types them: "1" to "9"."""


def levels_help() -> str:
    """Return one line about all levels: "1 to 3: history alone, fast; 4 and 5: ..."."""
    return "; ".join(f"{_range(list(numbers))}: {text}" for text, numbers in groupby(LEVELS, lambda n: LEVELS[n].help))


def _range(numbers: list[int]) -> str:
    if len(numbers) < 3:
        return " and ".join(map(str, numbers))
    return f"{numbers[0]} to {numbers[-1]}"


def level_of(number: int) -> Level:
    """Return a level by its number.

    Raises:
        UsageError: there is no such level.
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
    """Return a level's options, overridden by the caller's.

    Args:
        number: the level.
        history: False codes with the model's own predictions.
        block_size: None takes the level's.
        same_machine: see ``EncodeOptions``; such archives are always verified. The default is then one lane: a float
            model computes one lane after the other, so more lanes are no faster.
        options: any other fields of ``EncodeOptions``.

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
        mixer=level.mixer,
        max_lanes=level.max_lanes,
        same_machine=same_machine,
        **options,
    )
