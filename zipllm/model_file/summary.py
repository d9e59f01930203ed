"""Opening model files safely, and seeing them through their headers alone (no torch, no numpy)."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zipllm.errors import FileError, LimitExceeded, ModelInvalid, ModelNotFound
from zipllm.model_file.layout import read_header
from zipllm.model_file.limits import ModelLimits
from zipllm.model_file.metadata import Metadata, parse_metadata


@dataclass(frozen=True)
class ModelSummary:
    """A model file seen through its header.

    Attributes:
        path: the file.
        metadata: checked, except that its ``model_id`` is only a claim until the whole file is loaded.
        file_bytes: size of the file.
    """

    path: Path
    metadata: Metadata
    file_bytes: int


def read_summary(path: Path, limits: ModelLimits | None = None) -> ModelSummary:
    """Read only the header of a model file; errors as in ``open_model_file``, ``read_header``, ``parse_metadata``."""
    limits = limits or ModelLimits()
    with open_model_file(path) as (stream, size), naming(path):
        header = read_header(stream, size, limits)
        return ModelSummary(path, parse_metadata(header.metadata, limits), size)


@contextmanager
def open_model_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file, or a link to one, and yield it with its size; never waits on a pipe or device.

    Raises:
        ModelNotFound: nothing is there.
        ModelInvalid: it is a folder, pipe, socket or device, or a loop of links.
        FileError: it cannot be opened or read, say for lack of permission.
    """
    shown = repr(os.fspath(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
        raise ModelNotFound(f"there is no model file {shown}") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ModelInvalid(f"model file {shown}: a loop of symbolic links") from error
        raise FileError(f"cannot open model file {shown}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelInvalid(f"model file {shown}: not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            yield stream, status.st_size
    except OSError as error:
        raise FileError(f"cannot read model file {shown}: {error.strerror}") from error
    finally:
        os.close(descriptor)


@contextmanager
def naming(source: object) -> Iterator[None]:
    """Put the name of the file in front of what is wrong with it."""
    try:
        yield
    except ModelInvalid as error:
        raise ModelInvalid(f"model file {str(source)!r}: {error}") from error
    except LimitExceeded as error:
        raise LimitExceeded(f"model file {str(source)!r}: {error}", error.limit) from error
