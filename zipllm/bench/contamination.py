"""Whether a model has learned from the file that measures it, by comparing the model's card with the file.

A card names its sources and, in their notes, the SHA-256 of their files; a file with such a digest was learned from.
Names alone are weaker: they tell the corpus, not the part of it. They count for registered corpora, which may have been
used in part, and for sources whose notes do not list all files.
"""

import re

from zipllm.bench.inputs import BenchInput
from zipllm.data.registry import corpora
from zipllm.data.slices import parse_slice
from zipllm.model_file.card import UNKNOWN_DATA, Card
from zipllm.model_file.provenance import listed_digests, lists_all

_GENERIC = {"files", "samples", "data"}
"""Names that zipllm gives to any data; they prove nothing."""

_WHOLE = "the model's card names this file's SHA-256 among its training data"


def learned_digests(card: Card) -> tuple[str, ...]:
    """Return the SHA-256 of training files in the notes of a card's sources."""
    return tuple(digest for source in card.sources for digest in listed_digests(source.note))


def learned_names(card: Card) -> tuple[str, ...]:
    """Return the names of a card's sources that its digests do not cover."""
    return tuple(s.name for s in card.sources if not lists_all(s.note) or _stem(s.name) in corpora())


def contamination(item: BenchInput, digests: tuple[str, ...], names: tuple[str, ...]) -> str:
    """Return why a file is no fair test of a model with these digests and names on its card, or an empty text."""
    if item.sha256 in digests:
        return _WHOLE
    if UNKNOWN_DATA in names:
        return "what the model was trained on is unknown: it may know this file by heart"
    if _held_back(item):
        return ""
    if item.whole_sha256 in digests:
        return _WHOLE
    stems = {_stem(name) for name in names}
    wanted = {_stem(item.file.partition("[")[0]), _stem(item.corpus)} - _GENERIC
    known = sorted(stems & wanted)
    return f"the model's card names {known[0]!r} among its training data" if known else ""


def _held_back(item: BenchInput) -> bool:
    """Whether this part of a corpus comes after the bytes that models may learn from."""
    corpus = corpora().get(item.corpus)
    begin = parse_slice(item.file)[1].start
    return corpus is not None and corpus.train is not None and begin is not None and begin >= corpus.train[1]


def _stem(name: str) -> str:
    """``enwik8.txt``, ``enwik8.xz`` and ``enwik8`` are the same data."""
    return re.sub(r"\.(txt|xz|gz|bz2|zst)$", "", name.lower())
