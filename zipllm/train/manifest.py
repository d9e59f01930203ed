"""``data.json`` in the folder of a run: what was asked for, what was read, and that the preparation is complete.

It is written last, so that a folder which has it can be used again without reading the data a second time.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, UsageError

VERSION = 1


@dataclass(frozen=True)
class ReadFile:
    """A file that was read: its name, raw size, and SHA-256 of its raw content (hexadecimal)."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReadSource:
    """A source that was read: its name, its own weight, and its files."""

    name: str
    weight: float
    files: tuple[ReadFile, ...]


@dataclass(frozen=True)
class Manifest:
    """What is in the token files of a run.

    Attributes:
        request: what was asked for, to be compared when the run goes on.
        train: sources of training data.
        valid: sources of validation data.
        notes: lines for the user.
    """

    request: Mapping[str, Any]
    train: tuple[ReadSource, ...]
    valid: tuple[ReadSource, ...]
    notes: tuple[str, ...] = ()


def write_manifest(manifest: Manifest, run: Path) -> None:
    """Write ``data.json`` in one step. Raises ``OSError``."""
    path = run / "data.json"
    part = run / ".data.json.part"
    value = {"version": VERSION, "request": manifest.request, "notes": manifest.notes}
    sides = {"train": _sources(manifest.train), "valid": _sources(manifest.valid)}
    try:
        part.write_text(json.dumps({**value, **sides}, indent=1), encoding="ascii")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_manifest(run: Path) -> Manifest | None:
    """Return what was prepared in a run, or None if its preparation was not completed.

    Raises:
        FileError: ``data.json`` cannot be read or is damaged.
    """
    path = run / "data.json"
    try:
        value = json.loads(path.read_bytes())
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r} instead of {VERSION}")
        train, valid = (tuple(map(_source, value[side])) for side in ("train", "valid"))
        return Manifest(value["request"], train, valid, tuple(value["notes"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: damaged ({error}); remove it to prepare the data again") from error


def check_request(manifest: Manifest, request: Mapping[str, Any], run: Path) -> None:
    """Require that a run goes on with the data it began with.

    Raises:
        UsageError: something else is asked for now.
    """
    for key, value in request.items():
        before = manifest.request.get(key)
        if before != value:
            raise UsageError(
                f"{run} was prepared with another {key}: {_show(before)}, not {_show(value)}; "
                "ask for the same, or choose another folder with --run"
            )


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _sources(sources: tuple[ReadSource, ...]) -> list[dict[str, Any]]:
    return [
        {"name": source.name, "weight": source.weight, "files": [vars(file) for file in source.files]}
        for source in sources
    ]


def _source(value: Mapping[str, Any]) -> ReadSource:
    files = tuple(ReadFile(str(f["name"]), int(f["bytes"]), str(f["sha256"])) for f in value["files"])
    return ReadSource(str(value["name"]), float(value["weight"]), files)
