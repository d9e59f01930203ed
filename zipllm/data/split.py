"""Decides which documents are held back for validation, from their bytes alone.

The first 64 bits of a document's SHA-256 are its place between 0 and 1. Documents below 1/50 are held back: one in
fifty, the same ones on every machine, and copies of a document always on the same side. Little data gets a bound that
holds back what the caller needs, at most a fifth; if that is impossible, nothing is held back.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

VALID_ONE_IN = 50
SMALL_BYTES = 8 << 20
"""Sources with less data than this get a fitted bound."""

_WHOLE = 1 << 64
_LARGEST_SHARE = 5
"""At most one byte in five is held back."""

_SMALLEST_DOCUMENT = 1 << 10
_LARGEST_DOCUMENT = 1 << 16
_WANTED_DOCUMENTS = 256


@dataclass(frozen=True)
class Split:
    """How to cut a source into documents and divide them.

    Attributes:
        document_bytes: size of the largest document; smaller files stay whole.
        bound: documents with a place below it are held back, as a multiple of 2**-64.
    """

    document_bytes: int
    bound: int = _WHOLE // VALID_ONE_IN

    def is_valid(self, document: bytes) -> bool:
        """Whether a document is held back."""
        return place(document) < self.bound


def place(document: bytes) -> int:
    """Return the place of a document, from 0 to 2**64 - 1."""
    return int.from_bytes(hashlib.sha256(document).digest()[:8], "big")


def document_bytes(source_bytes: int) -> int:
    """Return the largest size of a source's documents: 64 KiB, or down to 1 KiB to get some hundred documents."""
    return max(_SMALLEST_DOCUMENT, min(_LARGEST_DOCUMENT, source_bytes // _WANTED_DOCUMENTS))


def fit_bound(documents: Iterable[bytes], wanted: int) -> int:
    """Return the bound for a source of little data, of which at least ``wanted`` bytes are to be held back.

    Returns:
        The bound of one in fifty if it holds back ``wanted`` bytes, else the lowest bound that does; 0 if that would
        hold back more than a fifth of all bytes.
    """
    sizes: dict[int, int] = {}
    for document in documents:
        where = place(document)
        sizes[where] = sizes.get(where, 0) + len(document)
    most, held, bound = sum(sizes.values()) // _LARGEST_SHARE, 0, 0
    for where in sorted(sizes):
        usual = where < _WHOLE // VALID_ONE_IN
        if held + sizes[where] > most or (held >= wanted and not usual):
            break
        held, bound = held + sizes[where], where + 1
    return bound if held >= wanted else 0
