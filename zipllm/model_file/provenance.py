"""Digests of training files in a model's card: written at export, read by the benchmark.

They stand in the note of each source. Where all fit, they decide whether a file was trained on; where there are too
many, those of the largest files are named, and one digest covers the list of all.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from zipllm.model_file.card import Card

MAX_DIGESTS = 96
"""Digests in one card at most, each of 65 bytes: the card has 16 KiB for everything."""

_COMPLETE = "SHA-256 of its"
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def with_digests(card: Card, digests: Mapping[str, Sequence[str]]) -> Card:
    """Return the card with digests in the notes of its sources, as many as there is room for.

    Args:
        card: with the sources named.
        digests: SHA-256 of the raw content of training files, hexadecimal, by source; the most important file first.
    """
    for room in (MAX_DIGESTS, MAX_DIGESTS // 2, MAX_DIGESTS // 4, len(digests), 0):
        try:
            return _with_room(card, digests, room)
        except ValueError:  # more than the card may have
            continue
    return card


def listed_digests(note: str) -> tuple[str, ...]:
    """Return the digests a note names; that of a list of files is among them, and matches no file."""
    return tuple(_DIGEST.findall(note))


def lists_all(note: str) -> bool:
    """Whether a note names the digest of every file of its source."""
    return _COMPLETE in note


def _with_room(card: Card, digests: Mapping[str, Sequence[str]], room: int) -> Card:
    """Give every source the same number of digests, and what some leave over to those that come later."""
    sources = []
    names = [source.name for source in card.sources]
    for index, source in enumerate(card.sources):
        known = tuple(dict.fromkeys(digests.get(source.name, ())))
        shown = known[: room // (len(names) - index)]
        room -= len(shown)
        note = " ".join(filter(None, (source.note, _note(known, shown))))
        sources.append(replace(source, note=note))
    return replace(card, sources=tuple(sources))


def _note(known: Sequence[str], shown: Sequence[str]) -> str:
    if not known:
        return ""
    if len(shown) == len(known):
        count = "one file" if len(known) == 1 else f"{len(known)} files"
        return f"{_COMPLETE} {count}: {' '.join(shown)}"
    listing = hashlib.sha256("".join(f"{digest}\n" for digest in sorted(known)).encode("ascii")).hexdigest()
    largest = f"SHA-256 of {len(shown)} of {len(known)} files: {' '.join(shown)}; " if shown else ""
    return f"{largest}SHA-256 of the sorted list of {len(known)} digests: {listing}"
