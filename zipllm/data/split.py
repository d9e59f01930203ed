"""Which documents are held back to watch the training with: a fixed property of their bytes.

A document has a place between 0 and 1, the first 64 bits of its SHA-256. Those below 1/50 are held back: one document
in fifty, the same ones on every machine, and copies of a document always on the same side. Of little data that can be
far from a fiftieth of the bytes, or nothing; then the bound is raised until a hundredth is held back, and at least one
training window, but at most a fifth. Where that is not possible, nothing is held back.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

VALID_ONE_IN = 50
SMALL_BYTES = 8 << 20
"""Of less data than this the bound is fitted; a fiftieth of more is plenty."""

_WHOLE = 1 << 64
_LARGEST_SHARE = 5
"""At most one byte in so many is held back."""
_SMALLEST_DOCUMENT = 1 << 10
_LARGEST_DOCUMENT = 1 << 16
_WANTED_DOCUMENTS = 256


@dataclass(frozen=True)
class Split:
    """How a source is cut and divided.

    Attributes:
        document_bytes: largest document; files that are not longer stay whole.
        bound: documents whose place is below it are held back, as a multiple of 2**-64.
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
    """Return how long documents of a source may be: 64 KiB, or less so that there are some hundred, but 1 KiB."""
    return max(_SMALLEST_DOCUMENT, min(_LARGEST_DOCUMENT, source_bytes // _WANTED_DOCUMENTS))


def fit_bound(documents: Iterable[bytes], wanted: int) -> int:
    """Return the bound for a source of little data.

    Args:
        documents: all of them.
        wanted: bytes to hold back at least.

    Returns:
        The bound: that of one in fifty if it holds back ``wanted``, else the lowest that does; 0 when more than a fifth
        of all bytes would have to be held back.
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
