"""The codec protocol, and which codecs there are.

A codec is opened in a process of its own and asked to turn bytes into bytes and back. Everything else (timing,
memory, comparing) is done by those who run it, so a codec cannot get it wrong. Opening one imports what it needs.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zipllm.bench.spec import Spec, parse_spec
from zipllm.errors import UsageError, ZipllmError


class MissingCodec(ZipllmError):
    """A codec that cannot run here because something is not installed."""


class Codec(Protocol):
    """Bytes to bytes and back."""

    @property
    def facts(self) -> "Facts":
        """What the codec consists of besides the archive."""

    def compress(self, data: bytes) -> bytes:
        """Return an archive from which ``decompress`` restores ``data`` in another process."""

    def decompress(self, archive: bytes) -> bytes:
        """Return the original bytes."""


@dataclass(frozen=True)
class Facts:
    """What a decoder needs besides the archive.

    Attributes:
        level: the settings as they are in effect.
        weights_bytes: model file or dictionary, in bytes; 0 without one.
        program_bytes: the codec's own code as installed: its extension module, its executable, zipllm's Python
            source. What it runs on (libc, Python, torch) is not counted.
        model: name of the model.
        model_id: hexadecimal id of the model.
        parameters: weights in the model.
        learned_from: digests (SHA-256, hexadecimal) of the files its weights were learned from, as far as known.
        learned_names: names of its training data, as its card gives them.
        versions: of the libraries that code.
    """

    level: str = ""
    weights_bytes: int = 0
    program_bytes: int = 0
    model: str = ""
    model_id: str = ""
    parameters: int = 0
    learned_from: tuple[str, ...] = ()
    learned_names: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of codec.

    Attributes:
        module: where it is opened, without ``zipllm.bench.``.
        package: the installable package it needs; empty if none.
        reused: whether one process serves several files, because starting it takes long.
        default: the settings when none are given.
    """

    module: str
    package: str = ""
    reused: bool = False
    default: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "copy": Kind("conventional"),
    "gzip": Kind("conventional", default=("9",)),
    "bzip2": Kind("conventional", default=("9",)),
    "xz": Kind("conventional", default=("9e",)),
    "zstd": Kind("conventional", default=("22",)),
    "brotli": Kind("conventional", "brotli", default=("11",)),
    "ppmd": Kind("conventional", "pyppmd", default=("12",)),  # 16 of pyppmd 1.3.1 does not give plrabn12.txt back
    "lz4": Kind("conventional", "lz4", default=("12",)),
    "zipllm": Kind("neural", reused=True),
    "order0": Kind("predictors", reused=True),
    "order2": Kind("predictors", reused=True),
    "ngram": Kind("predictors", reused=True),
    "lstm": Kind("predictors", reused=True),
}

DEFAULT_CODECS = "gzip,bzip2,xz,zstd,brotli,ppmd,zipllm"


def open_codec(spec: Spec, program: Mapping[str, Any] | None = None) -> Codec:
    """Open a codec in this process.

    Args:
        spec: which one.
        program: the TOML entry of an external program of that name, if it is one.

    Raises:
        MissingCodec: something it needs is not installed.
        UsageError: there is no such codec or setting.
        ZipllmError: it cannot be opened, say because its model is damaged.
    """
    if program is not None:
        from zipllm.bench.external import open_program

        return open_program(spec, program)
    kind = find_kind(spec)
    module = importlib.import_module(f"zipllm.bench.{kind.module}")
    opener: Callable[[Spec], Codec] = module.open_codec
    return opener(with_defaults(spec))


def find_kind(spec: Spec) -> Kind:
    """Return the kind of a codec that is not an external program.

    Raises:
        UsageError: there is none of that name.
    """
    if spec.name not in KINDS:
        raise UsageError(f"no codec called {spec.name!r} (known: {', '.join(KINDS)}; others through --programs)")
    return KINDS[spec.name]


def with_defaults(spec: Spec) -> Spec:
    """Return the codec with its default settings where none are given, so that a row says what was done."""
    return spec if spec.settings or spec.name not in KINDS else Spec(spec.name, KINDS[spec.name].default)


def import_package(name: str, package: str) -> Any:
    """Import a library that may be missing.

    Raises:
        MissingCodec: it is; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingCodec(f"needs {package}, which is not installed: pip install 'zipllm[bench]'") from error


def parse_codecs(text: str, models: str | None, programs: Sequence[str] = ()) -> tuple[Spec, ...]:
    """Return the codecs of a comma-separated list; every plain ``zipllm`` in it stands for each of ``models``.

    Raises:
        UsageError: an entry is malformed, unknown or there twice.
    """
    specs: list[Spec] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        spec = parse_spec(entry)
        if spec.name not in programs:
            find_kind(spec)
        if spec == Spec("zipllm") and models:
            specs += [parse_spec(f"zipllm:{model.strip()}") for model in models.split(",") if model.strip()]
        else:
            specs.append(with_defaults(spec))
    if not specs:
        raise UsageError("no codec is named")
    for spec in specs:
        if specs.count(spec) > 1:
            raise UsageError(f"{spec} is named twice")
        if spec.name == "zipllm":
            check_zipllm(spec)
    return tuple(specs)


def check_zipllm(spec: Spec) -> None:
    """Refuse settings that this zipllm's encoder does not have, before anything runs.

    Raises:
        UsageError: a setting is unknown or out of range.
    """
    from zipllm.bench.neural import options_of
    from zipllm.bench.spec import zipllm_settings

    options_of(zipllm_settings(spec))


def file_size(path: str | Path | None) -> int:
    """Return the size of a file, 0 if there is none."""
    return Path(path).stat().st_size if path and Path(path).is_file() else 0
