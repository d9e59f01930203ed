"""Opening model files safely, and seeing them through their headers alone (no torch, no numpy).

A header has one metadata string: format, config, card, self-test and the id that the file claims.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from zipllm.errors import FileError, LimitExceeded, ModelInvalid, ModelNotFound
from zipllm.model.architecture import config_from_dict
from zipllm.model.config import NetworkConfig
from zipllm.model_file.canonical_json import dump_json, load_json
from zipllm.model_file.card import Card, card_from_dict
from zipllm.model_file.layout import read_header
from zipllm.model_file.limits import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, ModelLimits

FORMAT = 0
"""Version of the model file. 0 until the first release: files of development builds are not kept readable."""


@dataclass(frozen=True)
class Metadata:
    """What the header says about the model.

    Attributes:
        config: shape of the network; an exportable one within the limits.
        card: provenance and measurements.
        model_id: the id the file claims; true only once the whole file was loaded.
        self_test: unchecked JSON value, see ``self_test.self_test_from_dict``.
    """

    config: NetworkConfig
    card: Card
    model_id: bytes
    self_test: Any


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


def dump_metadata(metadata: Metadata) -> str:
    """Return the canonical JSON string for the header."""
    value = {
        "format": FORMAT,
        "config": metadata.config.to_dict(),
        "card": metadata.card.to_dict(),
        "model_id": metadata.model_id.hex(),
        "self_test": metadata.self_test,
    }
    return dump_json(value).decode("ascii")


def parse_metadata(text: str, limits: ModelLimits) -> Metadata:
    """Check the metadata string. Raises ``ModelInvalid`` or ``LimitExceeded``."""
    value = load_json(text.encode("utf-8"), what="metadata", max_bytes=MAX_METADATA_BYTES, max_depth=MAX_METADATA_DEPTH)
    if not isinstance(value, dict) or type(value.get("format")) is not int:
        raise ModelInvalid("metadata has no format number")
    if value["format"] != FORMAT:
        raise ModelInvalid(f"model file format {value['format']} is not supported; this build reads format {FORMAT}")
    if set(value) != {"format", "config", "card", "model_id", "self_test"}:
        raise ModelInvalid("metadata does not have exactly the fields format, config, card, model_id and self_test")
    return Metadata(
        config=_config(value["config"], limits),
        card=card_from_dict(value["card"]),
        model_id=digest_from_hex(value["model_id"], "model_id"),
        self_test=value["self_test"],
    )


def _config(value: object, limits: ModelLimits) -> NetworkConfig:
    """Restore the config, refusing one whose sizes could exhaust memory."""
    config = config_from_dict(value)
    try:
        config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    if config.state_bytes > limits.state_bytes:
        raise LimitExceeded(
            f"the model needs {config.state_bytes} bytes of state a lane, more than the {limits.state_bytes} allowed",
            "state_bytes",
        )
    return config


def digest_from_hex(value: object, what: str) -> bytes:
    """Parse 64 lower-case hexadecimal digits. Raises ``ModelInvalid``."""
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise ModelInvalid(f"{what} is not 64 hexadecimal digits")
    return bytes.fromhex(value)
