"""JSON with one spelling per value, read strictly because it may come from a hostile file.

Canonical means sorted keys, no spaces, ASCII only: equal values give equal bytes on every machine, so
they can be hashed. Reading refuses what ``json`` lets through: repeated keys, ``NaN``, numbers past the
range of float64, lone surrogates, deep nesting (which would end in ``RecursionError``) and long input.
"""

import json
import math
import re
from typing import Any, NoReturn

from zipllm.errors import ModelInvalid

_BRACKET = re.compile(r"[\[\]{}]")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A JSON string. The closing quote is optional so that a match never fails, which keeps the scan linear."""


def dump_json(value: object) -> bytes:
    """Return the canonical ASCII spelling of a JSON-able value.

    Raises:
        ValueError: ``value`` holds NaN or an infinity.
        TypeError: ``value`` is not JSON-able.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def load_json(data: bytes, *, what: str, max_bytes: int, max_depth: int) -> Any:
    r"""Parse JSON (not necessarily in canonical spelling), refusing anything unusual.

    Args:
        data: ASCII bytes; other characters must be written as ``\uXXXX``.
        what: name of the part, for messages.
        max_bytes: refused above this size.
        max_depth: refused when objects and arrays nest deeper; ``[]`` has depth 1.

    Raises:
        ModelInvalid: the data is not such JSON; the message says why.
    """
    if len(data) > max_bytes:
        raise ModelInvalid(f"{what} is {len(data)} bytes long, more than the {max_bytes} allowed")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ModelInvalid(f"{what} is not ASCII JSON") from error
    if _depth(text) > max_depth:
        raise ModelInvalid(f"{what} nests deeper than {max_depth} levels")
    try:
        return json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_no_constant, parse_float=_finite, parse_int=_small_int
        )
    except ValueError as error:
        raise ModelInvalid(f"{what} is not valid JSON: {error}") from error


def _depth(text: str) -> int:
    """Return the deepest nesting of brackets outside strings; an upper bound if the text is not valid JSON."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is repeated")
    for key, value in pairs:
        _refuse_surrogates(key)
        _refuse_surrogates(value)
    return members


def _refuse_surrogates(value: Any) -> None:
    """Refuse lone surrogates, which no file or terminal can take."""
    if isinstance(value, str):
        value.encode("utf-8")  # UnicodeEncodeError is a ValueError
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _small_int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("an integer has more than 20 digits")
    return int(digits)
