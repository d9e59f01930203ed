"""Was a model trained on the file it is measured with? What its card says is compared with the benchmark's file.

A card names its sources; the SHA-256 of a source file may stand in the source's note, and then it decides. Names
alone are weaker: they say which corpus was used, not which part of it.
"""

import re
from typing import TYPE_CHECKING

from zipllm.bench.inputs import BenchInput

if TYPE_CHECKING:
    from zipllm.model.card import Card

_WHOLE = "the model's card names this file's SHA-256 among its training data"
_HELD_BACK = {"enwik8": 90_000_000}
"""By convention models learn from the first 90 % of enwik8 only, and are measured on the rest."""

_SLICE = re.compile(r"\[(\d+)([KMG]?):")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def learnt_digests(card: "Card") -> tuple[str, ...]:
    """Return the SHA-256 of training files, where a card gives them in the note of a source."""
    words = (word.strip(".,;:()") for source in card.sources for word in source.note.split())
    return tuple(word for word in words if len(word) == 64 and not set(word) - set("0123456789abcdef"))


def learnt_names(card: "Card") -> tuple[str, ...]:
    """Return the names of the training data."""
    return tuple(source.name for source in card.sources)


def contamination(item: BenchInput, digests: tuple[str, ...], names: tuple[str, ...]) -> str:
    """Return why a row is no fair test, or an empty text.

    Args:
        item: the file measured.
        digests: SHA-256 of training files, from the card.
        names: of training data, from the card.
    """
    if item.sha256 in digests:
        return _WHOLE
    if _held_back(item):
        return ""
    if item.whole_sha256 in digests:
        return _WHOLE
    stems = {_stem(name) for name in names}
    wanted = {_stem(item.file.partition("[")[0]), _stem(item.corpus)} - {"files", "samples"}
    known = sorted(stems & wanted)
    return f"the model's card names {known[0]!r} among its training data" if known else ""


def _held_back(item: BenchInput) -> bool:
    """Whether this is a part of a corpus that is kept back from training by convention."""
    match = _SLICE.search(item.file)
    return (
        item.corpus in _HELD_BACK and match is not None and int(match[1]) * _UNITS[match[2]] >= _HELD_BACK[item.corpus]
    )


def _stem(name: str) -> str:
    """``enwik8.txt``, ``enwik8.xz`` and ``enwik8`` are the same data."""
    return re.sub(r"\.(txt|xz|gz|bz2|zst)$", "", name.lower())
