"""What a codec is: bytes to bytes and back, with the facts about itself that the benchmark counts.

A codec is opened in a process of its own. The worker around it measures time and memory, and another process compares
the result, so a codec cannot get these wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zipllm.bench.spec import Spec


@dataclass(frozen=True)
class Facts:
    """What a decoder needs in addition to the archive.

    Attributes:
        level: the settings in effect.
        weights_bytes: model file or dictionary, in bytes; 0 without one.
        program_bytes: the codec's own code as installed: its extension module, its executable, zipllm's Python
            source. What it runs on (libc, Python, torch) is not counted.
        model: name of the model.
        model_id: hexadecimal id of the model.
        parameters: weights in the model.
        learned_from: digests (SHA-256, hexadecimal) of the known training files.
        learned_names: names of the training data on the model's card.
    """

    level: str = ""
    weights_bytes: int = 0
    program_bytes: int = 0
    model: str = ""
    model_id: str = ""
    parameters: int = 0
    learned_from: tuple[str, ...] = ()
    learned_names: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Facts":
        """Restore facts that crossed a pipe as JSON, which has lists for tuples."""
        members: dict[str, Any] = dict(value)
        return cls(**members | {name: tuple(value[name]) for name in ("learned_from", "learned_names")})


class Codec(Protocol):
    """Bytes to bytes and back."""

    @property
    def facts(self) -> Facts:
        """What a decoder needs in addition to the archive."""

    @property
    def compress(self) -> Callable[[bytes], bytes]:
        """Returns an archive from which ``decompress`` restores the data in another process."""

    @property
    def decompress(self) -> Callable[[bytes], bytes]:
        """Returns the original bytes."""


@dataclass(frozen=True)
class FunctionCodec:
    """A codec made of two functions."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]
    facts: Facts = Facts()


@dataclass(frozen=True)
class Kind:
    """An entry of the registry: a codec that can be named.

    Attributes:
        open: opens it with settings. Raises ``MissingPackage``, ``UsageError`` for a setting it does not have, or
            another ``ZipllmError``, such as a damaged model.
        package: the installable package it needs; empty if none.
        default: settings if the user gives none.
        reused: one process serves several files, because starting it takes long.
        check: refuses bad settings before anything runs. Raises ``UsageError``.
    """

    open: Callable[[Spec], Codec]
    package: str = ""
    default: tuple[str, ...] = ()
    reused: bool = False
    check: Callable[[Spec], object] = str


def file_size(path: str | Path | None) -> int:
    """Return the size of a file, or 0 if there is no such file."""
    return Path(path).stat().st_size if path and Path(path).is_file() else 0
