"""Was a model trained on the file it is measured with? What its card says is compared with the benchmark's file.

A card names its sources, and in their notes the SHA-256 of their files: a file with one of these digests was learned
from. Names alone are weaker: they say which corpus was used, not which part of it. They count for a registered
corpus, of which only a part may have been used, and for a source whose note does not name all its files.
"""

import re

from zipllm.bench.inputs import BenchInput
from zipllm.data.registry import corpora
from zipllm.data.slices import parse_slice
from zipllm.model_file.card import Card
from zipllm.model_file.provenance import listed_digests, lists_all

_GENERIC = {"files", "samples", "data"}
"""Names that zipllm itself gives to whatever it is shown."""

_WHOLE = "the model's card names this file's SHA-256 among its training data"


def learned_digests(card: Card) -> tuple[str, ...]:
    """Return the SHA-256 of training files, where a card gives them in the note of a source."""
    return tuple(digest for source in card.sources for digest in listed_digests(source.note))


def learned_names(card: Card) -> tuple[str, ...]:
    """Return the names on a card of data that its digests do not describe."""
    return tuple(s.name for s in card.sources if not lists_all(s.note) or _stem(s.name) in corpora())


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
    wanted = {_stem(item.file.partition("[")[0]), _stem(item.corpus)} - _GENERIC
    known = sorted(stems & wanted)
    return f"the model's card names {known[0]!r} among its training data" if known else ""


def _held_back(item: BenchInput) -> bool:
    """Whether this is a part of a corpus that no model may learn from, because all that may comes before it."""
    corpus = corpora().get(item.corpus)
    begin = parse_slice(item.file)[1].start
    return corpus is not None and corpus.train is not None and begin is not None and begin >= corpus.train[1]


def _stem(name: str) -> str:
    """``enwik8.txt``, ``enwik8.xz`` and ``enwik8`` are the same data."""
    return re.sub(r"\.(txt|xz|gz|bz2|zst)$", "", name.lower())
