"""Names, origins and licences of checkpoints, as the card of a model has them."""

import re

from zipllm.model_file.card import check_name

_LICENCES = {
    name.lower(): name
    for name in ("Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC0-1.0")
}
_MOST_ORIGIN = 400


def model_name(*candidates: object) -> str:
    """Return the first candidate that can be made a valid name of a model."""
    for candidate in candidates:
        if isinstance(candidate, str):
            name = re.sub(r"[^a-z0-9._-]+", "-", candidate[:200].lower()).strip("._-")[:64].rstrip("._-")
            if name:
                check_name(name)
                return name
    return "imported"


def licence_of(value: object) -> str:
    """Return the SPDX identifier of a licence, empty if it is not one that zipllm knows."""
    return _LICENCES.get(value.strip().lower(), "") if isinstance(value, str) else ""


def origin_of(*parts: object) -> str:
    """Return the texts among ``parts`` in one line that a card may hold."""
    texts = (plain(part) for part in parts if isinstance(part, str))
    return "; ".join(dict.fromkeys(filter(None, texts)))[:_MOST_ORIGIN]


def plain(text: str, most: int = 120) -> str:
    """Return text without what a terminal or page would not show."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text[:most]).split())
