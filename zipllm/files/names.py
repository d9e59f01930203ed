"""Names of files: how they are printed, and how the archive suffix is added and taken off.

A file name is any byte string without NUL and slash. Printed as it is, it can hold line breaks, terminal escape
codes or text that runs right to left, so every message passes through ``escape_name``.
"""

import os
from typing import Self

from zipllm.errors import FileError, UsageError

SUFFIX = ".zllm"
STDIN = "-"


def means_stdin(name: str) -> bool:
    """Whether a name means standard input: ``-`` alone. ``./-`` is a file; a ``Path`` knows no difference."""
    return name == STDIN


class PathError(FileError):
    """A `FileError` about one file: what is wrong with it, and the flag that helps, if one does.

    Args:
        name: the file as the user knows it; escaped here.
        reason: what is wrong, without the name.
        hint: what to do about it, or empty.
    """

    def __init__(self, name: str | os.PathLike[str], reason: str, hint: str = "") -> None:
        self.name = escape_name(name) or "''"
        self.reason = reason
        self.hint = hint
        super().__init__(f"{self.name}: {reason}" + (f" ({hint})" if hint else ""))

    @classmethod
    def from_os(cls, name: str | os.PathLike[str], error: OSError) -> Self:
        """Wrap an `OSError`, keeping the system's own words for it."""
        return cls(name, error.strerror or str(error))


def escape_name(name: str | os.PathLike[str]) -> str:
    r"""Return a printable form of a name or message: one line, no control, format or undecodable characters.

    Printable text comes back unchanged and so does an already escaped name, hence a message can be escaped again as
    a whole. Bytes that are not valid UTF-8 (held by Python as lone surrogates) become ``\xNN``.
    """
    text = os.fspath(name)
    return text if text.isprintable() else "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a raw byte of the name
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def check_suffix(suffix: str) -> str:
    """Return the suffix, or raise `UsageError` if a file name could not end in it."""
    if not suffix or "/" in suffix or "\0" in suffix:
        raise UsageError("a suffix must not be empty and must not contain a slash")
    return suffix


def has_suffix(path: str, suffix: str) -> bool:
    """Whether taking the suffix off would leave a name: ``.zllm`` alone is a hidden file, not an archive's name."""
    name = os.path.basename(path)
    return name.endswith(suffix) and name != suffix


def add_suffix(path: str, suffix: str, *, force: bool = False) -> str:
    """Return the name of the archive of ``path``; `PathError` if it has the suffix already, without ``force``."""
    if has_suffix(path, suffix) and not force:
        raise PathError(path, f"already has the suffix {escape_name(suffix)}, skipped", "-f compresses it again")
    return path + suffix


def strip_suffix(path: str, suffix: str) -> str:
    """Return the name of the file that was compressed to ``path``; `PathError` if that does not end in the suffix."""
    if not has_suffix(path, suffix):
        raise PathError(path, f"unknown suffix, expected {escape_name(suffix)}", "name the result with -o or use -c")
    return path[: -len(suffix)]
