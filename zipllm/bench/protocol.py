"""How users write a codec, and what a codec is: bytes to bytes and back, with the facts that the benchmark counts.

``NAME``, or ``NAME:SETTING/SETTING/...``: ``xz:9e``, ``zstd:19/long``, ``zstd:19/dict=FILE``, ``zipllm:6``,
``zipllm:small/6/history=off``. A codec runs in a process of its own; the worker around it measures time and memory,
and another process compares the result, so a codec cannot get these wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zipllm.errors import UsageError

_DICTIONARY = "dict="


@dataclass(frozen=True)
class Spec:
    """The name of a codec, and its settings: the texts between the slashes, in order."""

    name: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{'/'.join(self.settings)}" if self.settings else self.name


def parse_spec(text: str) -> Spec:
    """Return the codec and settings of one entry.

    Raises:
        UsageError: the entry has no name, or an empty setting.
    """
    name, colon, rest = text.strip().partition(":")
    if not name:
        raise UsageError(f"{text!r} names no codec")
    if not colon:
        return Spec(name)
    begin = rest.find(_DICTIONARY)  # a path has slashes itself, so it comes last
    tail = (rest[begin:],) if begin == 0 or (begin > 0 and rest[begin - 1] == "/") else ()
    head = rest if not tail else rest[: max(0, begin - 1)]
    settings = (*(head.split("/") if head else ()), *tail)
    if not settings or "" in settings[1:]:
        raise UsageError(f"{text!r} has an empty setting; write NAME or NAME:SETTING/SETTING")
    return Spec(name, settings)


@dataclass(frozen=True)
class Facts:
    """What a decoder needs in addition to the archive.

    Attributes:
        level: the settings in effect.
        weights_bytes: model file or dictionary; 0 without one.
        program_bytes: the codec's own code as installed: its extension module, its executable, zipllm's Python
            source. What it runs on (libc, Python, torch) is not counted.
        model: name of the model.
        model_id: hexadecimal.
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
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore facts that crossed a pipe as JSON, which has lists for tuples."""
        members: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in value.items()}
        return cls(**members)


@dataclass(frozen=True)
class Codec:
    """Two functions: ``decompress`` restores in another process what ``compress`` was given."""

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
