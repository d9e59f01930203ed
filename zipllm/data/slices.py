"""Parts of a file as users write them: ``enwik8[95M:100M]``.

K, M and G are powers of 1000, as in the names of the corpora: enwik8 has 100M bytes.
"""

import re

from zipllm.errors import UsageError

_SLICE = re.compile(r"(.+)\[(-?\d+[KMG]?)?:(-?\d+[KMG]?)?\]", re.DOTALL)
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


def parse_slice(text: str) -> tuple[str, slice]:
    """Split ``NAME[BEGIN:END]`` into name and slice; without brackets the slice is everything."""
    match = _SLICE.fullmatch(text)
    if match is None:
        return text, slice(None)
    return match[1], slice(_number(match[2]), _number(match[3]))


def check_slice(text: str, part: slice, size: int) -> tuple[int, int]:
    """Return begin and end of a part of a file of ``size`` bytes. Raises ``UsageError`` if it is empty or too long."""
    begin, end, _ = part.indices(size)
    if part != slice(None) and (begin >= end or (part.stop or 0) > size):
        raise UsageError(f"{text}: the file has {size} bytes, the slice would be empty or longer than that")
    return begin, end


def show_slice(begin: int, end: int) -> str:
    """Return ``[BEGIN:END]`` in the largest units that are exact."""
    return f"[{_short(begin)}:{_short(end)}]"


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def _short(value: int) -> str:
    for unit, size in reversed(_UNITS.items()):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)
