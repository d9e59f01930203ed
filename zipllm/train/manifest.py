"""``data.json`` of a run: the data asked for and read, written last, when the preparation is complete."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, UsageError
from zipllm.temporary import replacing

VERSION = 1


@dataclass(frozen=True)
class ReadFile:
    """A file that was read, with the size and the SHA-256 (hexadecimal) of its raw content."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReadSource:
    """A source that was read."""

    name: str
    weight: float
    files: tuple[ReadFile, ...]


@dataclass(frozen=True)
class Manifest:
    """What is in the token files of a run.

    Attributes:
        request: what was asked for, compared when the run resumes.
        train: sources of training data.
        valid: sources of validation data.
        notes: lines for the user.
        prepared: SHA-256 of ``tokenizer.json`` and of the token files.
    """

    request: Mapping[str, Any]
    train: tuple[ReadSource, ...]
    valid: tuple[ReadSource, ...]
    notes: tuple[str, ...] = ()
    prepared: Mapping[str, str] = field(default_factory=dict)


def write_manifest(manifest: Manifest, run: Path) -> None:
    """Write ``data.json`` in one step. Raises ``OSError``."""
    with replacing(run / "data.json") as (sink, _):
        sink.write(json.dumps({"version": VERSION, **asdict(manifest)}, indent=1).encode())


def read_manifest(run: Path) -> Manifest | None:
    """Return what was prepared in a run; None if its preparation is incomplete. Raises ``FileError``."""
    path = run / "data.json"
    try:
        value = json.loads(path.read_bytes())
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r} instead of {VERSION}")
        train, valid = (tuple(map(_source, value[side])) for side in ("train", "valid"))
        return Manifest(value["request"], train, valid, tuple(value["notes"]), dict(value.get("prepared", {})))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: damaged ({error}); remove it to prepare the data again") from error


def check_request(manifest: Manifest, request: Mapping[str, Any], run: Path) -> None:
    """Require that a run goes on with the data it began with. Raises ``UsageError``."""
    for key, value in request.items():
        before = manifest.request.get(key)
        if before != value:
            raise UsageError(
                f"{run} was prepared with another {key}: {_show(before)}, not {_show(value)}; "
                "ask for the same, or choose another folder with --run"
            )


def prepared_digests(run: Path) -> dict[str, str]:
    """Return the SHA-256 of the tokenizer and of the token files in a run. Raises ``OSError``."""
    digests = {}
    for path in [run / "tokenizer.json", *sorted((run / "tokens").glob("*.bin"))]:
        with path.open("rb") as file:
            digests[str(path.relative_to(run))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _source(value: Mapping[str, Any]) -> ReadSource:
    files = tuple(ReadFile(str(f["name"]), int(f["bytes"]), str(f["sha256"])) for f in value["files"])
    return ReadSource(str(value["name"]), float(value["weight"]), files)
