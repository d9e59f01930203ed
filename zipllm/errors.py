"""The error tree and the exit code of each branch.

    ZipllmError
    ├── FileError            1   a file cannot be read or written, or already exists
    ├── MissingPackage       1   a library or program of an extra is not installed or does not load
    ├── UsageError           2   the request itself makes no sense
    ├── CorruptData          3   damaged archive: checksum, truncation, impossible value
    ├── UnsupportedData      3   intact, but of a version or method this build does not know
    ├── ModelError           4   anything about model files
    │   ├── ModelNotFound        no model of that name, path or id
    │   ├── ModelInvalid         the file is damaged, hostile, or fails its self-test
    │   └── ModelMismatch        a model was found, but it is not the one the archive names
    ├── LimitExceeded        5   intact, but larger than a limit the caller may raise
    └── VerificationFailed   6   what was written does not decode to what was read

Library code raises these and nothing else for conditions a caller can meet; foreign exceptions are
wrapped where they appear (``raise CorruptData(...) from error``). 130 and 143 are the exit codes of
SIGINT and SIGTERM and belong to ``zipllm.cli``.
"""

import difflib
import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, ClassVar, Self


class ZipllmError(Exception):
    """Base of every error zipllm raises on purpose."""

    exit_code: ClassVar[int] = 1

    def at(self, place: str) -> Self:
        """Return the same error, its fields kept, with a place in parentheses behind its message."""
        located = copy(self)
        located.args = (f"{self} ({place})",)
        return located


class FileError(ZipllmError):
    """A file cannot be opened, read, written or replaced."""


class MissingPackage(ZipllmError):
    """A library or program that only some commands need is not installed, or does not load; the message says more."""


class UsageError(ZipllmError):
    """Options or arguments that contradict each other or are out of range."""

    exit_code = 2


class CorruptData(ZipllmError):
    """The archive is damaged; nothing decoded from it can be trusted."""

    exit_code = 3


class UnsupportedData(ZipllmError):
    """The archive is intact but needs a feature or version this build does not have."""

    exit_code = 3


class ModelError(ZipllmError):
    """A model file is missing, unusable, or not the one asked for."""

    exit_code = 4


class ModelNotFound(ModelError):
    """No model of this name, path or id is known here."""


class ModelInvalid(ModelError):
    """A model file is damaged, hostile, or fails its self-test."""


class ModelMismatch(ModelError):
    """The model offered is not the model the archive was written with."""


class LimitExceeded(ZipllmError):
    """A declared or measured size passes a limit; the limit can be raised by the caller.

    Attributes:
        limit: what was exceeded: a field of ``container.Limits``, or another name that its raiser documents; None for
            limits without a name.
    """

    exit_code = 5

    def __init__(self, message: str, limit: str | None = None) -> None:
        super().__init__(message)
        self.limit = limit


class VerificationFailed(ZipllmError):
    """Decoding what was just written did not give back what was read."""

    exit_code = 6


def import_extra(name: str, absent: str) -> Any:
    """Import a module of an extra.

    Raises:
        MissingPackage: its package is not installed, which ``absent`` says, or does not load for the reason given.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        package, _, module = name.partition(".")
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and missing.partition(".")[0] in (package, module.rpartition(".")[2]):
            raise MissingPackage(absent) from error
        raise MissingPackage(f"{package} is installed but does not load: {error}") from error


@contextmanager
def file_errors(place: object) -> Iterator[None]:
    """Raise errors of the operating system as ``FileError`` about ``place``."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{place}: {error.strerror or error}") from error


def means_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out: Python's own, or torch's, of the processor or of a GPU."""
    words = str(error)
    of_torch = isinstance(error, RuntimeError) and ("out of memory" in words or "allocate memory" in words)
    return of_torch or isinstance(error, MemoryError)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise torch's own errors for exhausted memory as ``MemoryError``."""
    try:
        yield
    except RuntimeError as error:
        if means_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the known word it resembles, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (known: {', '.join(names)})"
